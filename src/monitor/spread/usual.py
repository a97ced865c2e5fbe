"""What a story usually brings: the slow baseline that tells a theme, always spoken of, from a story that grows.

Lost bags, late trains, rude staff: a few people a day, every day, are about one matter and are no story that spreads.
Their rate is read off the growth curve, so that nothing more has to be kept of a story: a mean of its past, clipped as
the brands' own baseline is, so that a storm of the past is not usual; without the last hours, so that what grows now is
not either; shrunk to nothing where there is little past (James and Stein 1961): a young story has no usual rate.
"""

from __future__ import annotations

from math import sqrt

HOUR = 3600.0
RECENT = 12.0 * HOUR
"""Seconds up to now that teach nothing; what is younger has no usual rate."""

BELIEF = 12.0 * HOUR
"""Seconds of a past that is believed by half."""

CLIP = 2.0
"""A stretch of the past counts at most as this many standard deviations above the mean."""

ROUNDS = 4
"""How often the past is clipped around its mean: a storm has to go before the mean is the usual's."""


def usual_per_hour(ages: list[float], voices: list[float]) -> float:
    """Return how many new voices an hour a story usually brings, from its growth curve (`Growth.curve`).

    A voice an hour for five days; the same with two hundred more in an hour of the second day; a story of six hours.

    >>> from monitor.spread.growth import Growth
    >>> theme, storm, young = Growth(), Growth(), Growth()
    >>> for hour in range(120):
    ...     theme.add(3600.0 * hour, 1.0)
    ...     storm.add(3600.0 * hour, 1.0)
    >>> for i in range(200):
    ...     storm.add(3600.0 * 30 + 18.0 * i, 1.0)
    ...     young.add(3600.0 * 114 + 100.0 * i, 1.0)
    >>> [round(usual_per_hour(*growth.curve(3600.0 * 120)), 1) for growth in (theme, storm, young)]
    [1.0, 2.1, 0.0]
    """
    past = ages[0] - RECENT if ages else 0.0
    if past <= 0.0:
        return 0.0
    spans = []
    for i in range(0, len(ages), 2):
        begins, ends, came = ages[i], ages[i + 1], voices[i + 1] - voices[i]
        if begins <= RECENT:
            break
        seen = (begins - RECENT) / (begins - ends) if ends < RECENT else 1.0
        spans.append((begins - max(ends, RECENT), came * seen))
    total = sum(came for _, came in spans)
    for _ in range(ROUNDS):
        rate = total / past
        total = sum(min(came, _most(rate * width)) for width, came in spans)
    return total * past / (past * past + BELIEF * BELIEF) * HOUR


def _most(expected: float) -> float:
    """Return how many voices of a stretch that usually brings `expected` count."""
    return expected + 1.0 + CLIP * sqrt(expected + expected * expected)
