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

ONSET = 3_600.0
"""Seconds from the first that was heard of an umbrella: what is spoken of by then may have been for weeks."""

ONSET_RECENT = 4.0 * HOUR
"""Of such a story only so much teaches nothing."""

ONSET_BELIEF = 2.0 * HOUR
"""And of its past so much is believed by half: it is likelier a theme than a story that began as we did."""

CLIP = 2.0
"""A stretch of the past counts at most as this many standard deviations above the mean."""

ROUNDS = 4
"""How often the past is clipped around its mean: a storm has to go before the mean is the usual's."""


def teaches_from(*, onset: bool) -> float:
    """Return the seconds up to now that teach nothing of a story; `onset`: it was there when listening began."""
    return ONSET_RECENT if onset else RECENT


def usual_per_hour(ages: list[float], voices: list[float], *, onset: bool = False) -> float:
    """Return how many new voices an hour a story usually brings, from its growth curve (`Growth.curve`).

    `onset`: it was there when listening began.

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
    recent, belief = teaches_from(onset=onset), ONSET_BELIEF if onset else BELIEF
    past = ages[0] - recent if ages else 0.0
    if past <= 0.0:
        return 0.0
    spans = []
    for i in range(0, len(ages), 2):
        begins, ends, came = ages[i], ages[i + 1], voices[i + 1] - voices[i]
        if begins <= recent:
            break
        seen = (begins - recent) / (begins - ends) if ends < recent else 1.0
        spans.append((begins - max(ends, recent), came * seen))
    total = sum(came for _, came in spans)
    for _ in range(ROUNDS):
        rate = total / past
        total = sum(min(came, _most(rate * width)) for width, came in spans)
    return total * past / (past * past + belief * belief) * HOUR


def _most(expected: float) -> float:
    """Return how many voices of a stretch that usually brings `expected` count."""
    return expected + 1.0 + CLIP * sqrt(expected + expected * expected)
