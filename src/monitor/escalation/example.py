"""A made-up story, wave, budget and umbrella: for test pages, for examples in the documentation, and for tests."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from monitor.escalation.types import Quote, StoryView, Together
from monitor.spread.types import Burn, Forecast, Spread, Tide, ViralLine

START = 1_900_000_000.0
"""When the examples begin (2030-03-17T17:46:40Z)."""


def example_spread(**changes: Any) -> Spread:
    """Return a spread that goes viral; `changes` replace fields of it or, by name, of its forecast.

    One that is past its line by its voices says so in its forecast.
    """
    forecast = Forecast(q10=210.0, q50=640.0, q90=2_900.0, p_viral=0.82, minutes_to_viral=70.0)
    line = ViralLine(size=400.0, reach=None, why="twice the largest ordinary story of the last 60 days")
    named = {name: changes.pop(name) for name in forecast.__struct_fields__ if name in changes}
    spread = Spread(
        at=START + 2400,
        size=46,
        voices=38,
        reach=91_000.0,
        per_hour=60.0,
        expected_per_hour=10.0,
        reproduction=1.6,
        forecast=structs.replace(forecast, **named),
        line=line,
        since=START,
    )
    spread = structs.replace(spread, **changes)
    if spread.voices < spread.line.size or "minutes_to_viral" in named:
        return spread
    return structs.replace(spread, forecast=structs.replace(spread.forecast, p_viral=1.0, minutes_to_viral=0.0))


def example_view(**changes: Any) -> StoryView:
    """Return a complaint that is going viral; `changes` replace fields of it.

    >>> example_view(voices=3).voices
    3
    """
    view = StoryView(
        umbrella="aurora",
        story="s0example",
        brand="aurora-grand-lisbon",
        kind="story",
        headline="Left outside at midnight with two children, reservation cancelled by the hotel",
        first_at=START,
        last_at=START + 2390,
        size=46,
        voices=38,
        own_replies=0,
        complaint_share=0.87,
        negative_share=0.9,
        positive_share=0.02,
        repost_share=0.6,
        unread_share=0.04,
        cause="cancelled_booking",
        sources=(("bluesky", 31), ("mastodon", 15)),
        quotes=(
            Quote("They gave our room away. It is midnight and the children are crying.", "ana", 84_000, START),
            Quote("Same thing happened to us in May, nobody ever answered.", "joao", 120, START + 600),
            Quote("Is anyone at Aurora awake?", "mika", None, START + 2390),
        ),
        spread=example_spread(),
    )
    return structs.replace(view, **changes)


def example_wave(**changes: Any) -> StoryView:
    """Return a wave of complaints; `changes` replace fields of it or, by name, of its tide."""
    tide = Tide(
        at=START + 3600,
        observed=54.0,
        expected=9.0,
        low=4.0,
        high=17.0,
        window_s=3600.0,
        score=8.1,
        voices=41,
        wave_since=START,
    )
    named = {name: changes.pop(name) for name in tide.__struct_fields__ if name in changes and name != "voices"}
    view = example_view(
        story="w0example",
        brand="aurora",
        kind="wave",
        headline="A wave of complaints about Aurora",
        size=54,
        voices=41,
        spread=None,
        tide=structs.replace(tide, **named),
    )
    return structs.replace(view, **changes)


def example_budget(**changes: Any) -> StoryView:
    """Return a cause out of its budget; `changes` replace fields of its burn."""
    burn = Burn(
        at=START + 3600,
        cause="on_hold",
        allowed=280.0,
        why="usual are 15 in 3 days",
        burn_5m=1.2,
        burn_30m=1.4,
        burn_1h=1.6,
        burn_6h=1.9,
        burn_3d=1.7,
        people_1h=4,
        people_6h=13,
        people_3d=51,
        spent=120.0,
    )
    burn = structs.replace(burn, **changes)
    headline = "Forty minutes on hold again, then they hung up"
    return example_view(
        story="b0example",
        brand="aurora",
        kind="budget",
        headline=headline,
        size=burn.people_3d,
        voices=burn.fastest()[2],
        cause=burn.cause,
        complaint_share=1.0,
        spread=None,
        burn=burn,
    )


def example_umbrella(**changes: Any) -> StoryView:
    """Return trouble in several brands at once; `changes` replace fields of what it is made of."""
    found = Together(
        at=START + 3600,
        brands=(("Aurora Air", 61), ("Aurora Hotels", 33)),
        same=2,
        authors=94,
        cause="on_hold",
        stories=("w0air", "w0hotels"),
    )
    found = structs.replace(found, **changes)
    return example_view(
        story="u0example",
        brand="aurora",
        kind="umbrella",
        headline="Nobody at Aurora answers the phone today",
        size=94,
        voices=94,
        cause=found.cause,
        complaint_share=1.0,
        spread=None,
        together=found,
    )
