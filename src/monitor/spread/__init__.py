"""How stories spread and how brands are doing: numbers in, numbers out, event time only.

`StorySpread` keeps one story's state in constant time and forecasts its size; `BrandTide` holds a brand's complaining
voices against its own baseline and says when they are a wave, and how fast each cause's budget is spent; `Pulse` tells
an input that is down from one that is calm. `Spread`,
`Forecast`, `Tide`, `Burn` and `ViralLine` are what leaves the room, each with what a page needs to say why.
"""

from monitor.spread.assess import StorySpread
from monitor.spread.pulse import Pulse
from monitor.spread.tide import BrandTide
from monitor.spread.types import Burn, Forecast, Spread, Tide, ViralLine

__all__ = ["BrandTide", "Burn", "Forecast", "Pulse", "Spread", "StorySpread", "Tide", "ViralLine"]
