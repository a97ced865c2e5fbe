"""A simulated stream of mentions and the truth about it, for the demo, the scenario tests and the load tests.

`Simulation(settings, seed)` yields mentions of a fictional hotel-and-airline group: ordinary chatter with the rhythm of
the week, one complaint that goes viral, and decoys that do not. The same seed gives the same stream.
"""

from monitor.simulate.cast import brands_file
from monitor.simulate.settings import DEMO, STORIES, Settings, StoryName
from monitor.simulate.simulation import Simulation
from monitor.simulate.truth import StoryTruth, Truth

__all__ = ["DEMO", "STORIES", "Settings", "Simulation", "StoryName", "StoryTruth", "Truth", "brands_file"]
