"""The figures of a story as words: what the reason on a page is made of.

No mention's text enters here: only counts, times, shares and the names of causes from the configuration.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.escalation.names import crossed, seen_at

if TYPE_CHECKING:
    from monitor.escalation.types import StoryView
    from monitor.spread.types import Burn, Spread, Tide

_FAR_ABOVE = 100.0
_SURE = 0.995
HARDLY = 0.05
"""What is usual is hardly any below this: one decimal would say 0.0."""


def lasting(seconds: float) -> str:
    """Return a duration as a person says it.

    >>> [lasting(s) for s in (20, 90, 2400, 4200, 7200, 202_000)]
    ['20 s', '2 min', '40 min', '1 h 10 min', '2 h', '2 days 8 h']
    """
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{max(seconds, 0.0):.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        named = "1 day" if days == 1 else f"{days} days"
        return f"{named} {hours} h" if hours else named
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def count(number: float) -> str:
    """Return a count with thousands apart; small ones with one decimal.

    >>> [count(n) for n in (0, 0.04, 0.25, 7, 7.46, 9.97, 12_345.6)]
    ['0', 'under 0.1', '0.2', '7', '7.5', '10', '12,346']
    """
    if 0 < number < HARDLY:
        return "under 0.1"
    if number >= 9.95 or number == int(number):  # noqa: PLR2004 -- a decimal says nothing from ten on
        return f"{number:,.0f}"
    return f"{number:.1f}"


def percent(share: float) -> str:
    """Return a probability or share as a person says it.

    >>> [percent(p) for p in (0.823, 0.001, 0.9999)]
    ['82 %', 'under 1 %', 'over 99 %']
    """
    if share < 1 - _SURE:
        return "under 1 %"
    return "over 99 %" if share > _SURE else f"{share * 100:.0f} %"


def times_usual(observed: float, expected: float) -> str:
    """Say how an hourly rate stands to what is usual; just the rate, if what is usual is not known (0).

    >>> times_usual(60, 10), times_usual(60, 0.01), times_usual(3, 4), times_usual(60, 0)
    ('6 times the usual', 'far above the usual', 'no more than usual', 'now 60 an hour')
    """
    if expected <= 0:
        return f"now {count(observed)} an hour"
    if observed <= expected:
        return "no more than usual"
    if observed / expected > _FAR_ABOVE:
        return "far above the usual"
    return f"{count(round(observed / expected, 1))} times the usual"


def beside_usual(tide: Tide) -> str:
    """Say how many complaints there are beside what is usual, as far as that is known.

    >>> from monitor.spread.types import Tide
    >>> tide = Tide(at=0, observed=54, expected=9, low=4, high=17, window_s=3600, score=8, voices=41)
    >>> beside_usual(tide)
    '54 complaints in 1 h where 9 are usual (at most 17)'
    """
    found = f"{count(tide.observed)} complaints in {lasting(tide.window_s)}"
    if not tide.confident:
        return f"{found} (what is usual is not known yet)"
    if tide.expected < HARDLY:
        return f"{found} where hardly any are usual"
    return f"{found} where {count(tide.expected)} are usual (at most {count(tide.high)})"


def outlook(spread: Spread) -> str:
    """Say where a story is going: the chance of passing the viral line and when, or how far it is past it."""
    forecast, line = spread.forecast, spread.line
    beyond = f" beyond its usual {count(round(spread.usual))}" if round(spread.usual) else ""
    ending = f"likely to end near {count(forecast.q50)}, 80 % between {count(forecast.q10)} and {count(forecast.q90)}"
    if crossed(spread):
        if spread.voices - spread.usual < line.size and line.reach is not None:
            return f"past the viral line of {count(line.reach)} followers reached ({ending})"
        return f"past the viral line of {count(line.size)} people{beyond} ({ending})"
    if not math.isfinite(line.size):
        return ending
    when = ""
    if forecast.minutes_to_viral is not None:
        when = f" (median in {lasting(forecast.minutes_to_viral * 60)})"
    return f"{percent(forecast.p_viral)} likely to pass {count(line.size)} people{beyond}{when}"


def figures(view: StoryView) -> dict[str, str]:
    """Return the phrases that a reason template can use; a phrase without its figures is empty.

    people, mentions, lasting, times, outlook, complaining, about, wave, budget, together.
    """
    at = seen_at(view)
    words = {
        "people": f"{view.voices:,} people" if view.voices != 1 else "1 person",
        "mentions": f"{view.size:,} mentions" if view.size != 1 else "1 mention",
        "lasting": lasting(at - view.first_at),
        "complaining": f"{percent(view.complaint_share)} complain",
        "about": f", mostly about {view.cause.replace('_', ' ')}" if view.cause else "",
        "times": "",
        "outlook": "",
        "wave": "",
        "budget": "",
        "together": "",
    }
    if spread := view.spread:
        words["times"] = times_usual(spread.per_hour, spread.expected_per_hour)
        words["outlook"] = outlook(spread)
    if tide := view.tide:
        words["wave"] = beside_usual(tide)
    if view.burn is not None:
        words["budget"] = over_budget(view.burn)
    if (together := view.together) is not None:
        each = ", ".join(f"{brand} ({people:,} people)" for brand, people in together.brands)
        words["together"] = f"{len(together.brands)} brands at once: {each}{words['about']}"
    return words


def over_budget(burn: Burn) -> str:
    """Say how fast a budget is spent, in the window that is furthest over.

    >>> from monitor.spread.types import Burn
    >>> over_budget(Burn(at=0, cause="on_hold", allowed=140, why="configured", burn_3d=2, burn_6h=3, people_3d=30))
    '30 people about on hold in 3 days, 2 times what its budget allows (140 people in 4 weeks)'
    """
    window, rate, people, _ = burn.fastest()
    spent = f", {percent(burn.spent / burn.allowed)} of it spent" if 0 < burn.spent < burn.allowed else ""
    said = f"{people:,} people about {burn.cause.replace('_', ' ')} in {'an hour' if window == 'hour' else window}"
    allowed = f"{count(round(burn.allowed))} people in 4 weeks{spent}"
    return f"{said}, {count(round(rate, 1))} times what its budget allows ({allowed})"


def evidence(view: StoryView) -> tuple[tuple[str, float | str], ...]:
    """Return the figures behind a decision, by name: what the log, the page and a test hold it to."""
    rows: list[tuple[str, float | str]] = [
        ("size", view.size),
        ("voices", view.voices),
        ("complaint_share", round(view.complaint_share, 4)),
        ("promo_share", round(view.promo_share, 4)),
        ("unread_share", round(view.unread_share, 4)),
        ("own_replies", view.own_replies),
    ]
    if view.cause:
        rows.append(("cause", view.cause))
    if spread := view.spread:
        rows += [
            ("per_hour", round(spread.per_hour, 3)),
            ("expected_per_hour", round(spread.expected_per_hour, 4)),
            ("usual", round(spread.usual, 1)),
            ("reproduction", round(spread.reproduction, 3)),
            ("reach", spread.reach),
            ("line", spread.line.size),
            ("p_viral", round(spread.forecast.p_viral, 4)),
            ("q10", round(spread.forecast.q10, 1)),
            ("q50", round(spread.forecast.q50, 1)),
            ("q90", round(spread.forecast.q90, 1)),
        ]
        if spread.forecast.minutes_to_viral is not None:
            rows.append(("minutes_to_viral", round(spread.forecast.minutes_to_viral, 1)))
    if tide := view.tide:
        rows += [
            ("observed", round(tide.observed, 2)),
            ("expected", round(tide.expected, 3)),
            ("high", round(tide.high, 2)),
            ("score", round(tide.score, 3)),
        ]
        if tide.wave_since is not None:
            rows.append(("wave_since", tide.wave_since))
        if tide.silent_since is not None:
            rows.append(("silent_since", tide.silent_since))
    if burn := view.burn:
        rows += [(name, round(getattr(burn, name), 3)) for name in _BURN]
    if together := view.together:
        rows += [("brands", len(together.brands)), ("same", together.same), ("authors", together.authors)]
    return tuple(rows)


_BURN = (
    "allowed",
    "spent",
    "burn_5m",
    "burn_30m",
    "burn_1h",
    "burn_6h",
    "burn_3d",
    "people_1h",
    "people_6h",
    "people_3d",
)
