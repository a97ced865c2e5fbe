"""How fast a brand spends what it allows itself of each cause: error budgets for complaints.

A budget is a number of people who may complain about one cause in `PERIOD_H` hours (four weeks). A burn rate says how
many times faster than that it is being spent: at 1 the budget lasts four weeks exactly. It is over where a long window
and a short one agree, as in Google's SRE workbook (Beyer et al. 2018, chapter 5, "Alerting on SLOs"): the long window
says that it matters, the short one that it is still going on. What a wave is too short-sighted to see, a cause that
brings twice the usual for days, shows here.

A person counts once in twelve hours. Who set no budget has one from the brand's own past: see `allowance`.
"""

from __future__ import annotations

from math import sqrt
from statistics import median
from typing import TYPE_CHECKING

from monitor.spread.bins import PER_HOUR
from monitor.spread.types import Burn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.spread.bins import Bins, Causes

PERIOD_H = 28 * 24
"""Hours for which a budget is meant."""

LONG_H = 3 * 24
"""The longest window, in hours."""

OPEN_H = 6
"""Hours of the longest window that are counted anew each time; the rest once an hour."""

LEARNED_D = 28
LEAST_D = 4
"""The usual is learned from so many days before the longest window, and known from so many on: after a week."""

TIMES = 2.0
DEVIATIONS = 4.0
DISPERSION = 0.03
"""A budget that nobody set allows twice the usual, and so many standard deviations above it in `LONG_H` hours. Their
variance is mean + DISPERSION * mean^2: a brand's days differ by more than chance."""

CONFIGURED = "configured"
"""Why a budget is what it is, where somebody said so."""

LEAST_PEOPLE = 5
NEAR = 0.75
"""Looked at are causes of which so many people complain in a window that burns at this rate or faster."""


def allowance(usual_per_day: float) -> float:
    """Return how many people may complain of a cause in four weeks where nobody said so.

    >>> [round(allowance(per_day)) for per_day in (0, 1, 10, 100)]
    [0, 96, 562, 5600]
    """
    usual = LONG_H / 24 * usual_per_day
    spread = sqrt(usual + DISPERSION * usual**2)
    return max(TIMES * usual, usual + DEVIATIONS * spread) * PERIOD_H / LONG_H


class Meter:
    """Counts people by cause over the windows of a brand's bins.

    What lies more than `OPEN_H` hours back is added up once an hour, what is usual once a day: asking costs a few dozen
    look-ups. Nothing of it has to be kept.
    """

    __slots__ = ("_day", "_days", "_hour", "_older", "_usual")

    def __init__(self) -> None:
        self._hour: int | None = None
        self._older: Causes = {}
        self._day: int | None = None
        self._days = 0
        self._usual: Causes = {}

    def usual(self, bins: Bins, hour: int, start: int) -> tuple[Causes, int]:
        """Return people a day by cause (the upper end of what the days seen allow), and how many days that is from.

        A day counts at most three standard deviations above the median of all, so that a storm does not buy itself a
        budget; the three days before the day of `hour` do not count at all.

        Args:
            bins: the brand's.
            hour: now, in hours since the epoch.
            start: the first hour that was seen whole.
        """
        day = hour // 24
        if day != self._day:
            end = day * 24 - LONG_H
            self._day, self._days = day, max(0, min(LEARNED_D, (end - start) // 24))
            sums: dict[str, list[float]] = {}
            for h, causes in bins.hour_causes.items():
                back = (end - 1 - h) // 24
                if 0 <= back < self._days:
                    for cause, count in causes.items():
                        sums.setdefault(cause, [0.0] * self._days)[back] += count
            self._usual = {cause: _ordinary(days) for cause, days in sums.items()}
        return self._usual, self._days

    def counts(self, bins: Bins, last: int) -> list[Causes]:
        """Return people by cause in the 5 minutes, 30 minutes, hour, 6 hours and 3 days that end with bin `last`."""
        hour = last // PER_HOUR
        first = (hour - OPEN_H + 1) * PER_HOUR
        if hour != self._hour:
            self._hour, self._older = hour, {}
            for h in range(hour - LONG_H + 1, hour - OPEN_H + 1):
                _add(self._older, bins.hour_by_cause(h))
        out: list[Causes] = []
        for width in (1, 6, PER_HOUR, 6 * PER_HOUR):
            causes: Causes = {}
            bins.by_cause(last - width + 1, last, causes)
            out.append(causes)
        recent: Causes = dict(self._older)
        bins.by_cause(first, last, recent)
        return [*out, recent]


def spent(bins: Bins, cause: str, hour: int) -> float:
    """Return the people who complained of a cause in the four weeks that end with `hour`."""
    closed = sum(causes.get(cause, 0.0) for at, causes in bins.hour_causes.items() if hour - PERIOD_H < at <= hour)
    still_open = sum(
        causes.get(cause, 0.0) for at, causes in bins.causes.items() if at // PER_HOUR not in bins.hour_causes
    )
    return closed + still_open


def burns(
    at: float,
    counts: list[Causes],
    allowed: Mapping[str, tuple[float, str]],
) -> list[Burn]:
    """Return how the causes burn that are near their budget or over it, the fastest first.

    Args:
        at: the end of the windows, seconds since the epoch.
        counts: what `Meter.counts` returned.
        allowed: by cause, the people that its budget allows in four weeks, and why so many.
    """
    found = []
    five, thirty, hour, six, three = counts
    for cause, (people, why) in allowed.items():
        per_hour = max(people, 1.0) / PERIOD_H
        burn = Burn(
            at=at,
            cause=cause,
            allowed=people,
            why=why,
            burn_5m=five.get(cause, 0.0) * PER_HOUR / per_hour,
            burn_30m=thirty.get(cause, 0.0) * 2.0 / per_hour,
            burn_1h=hour.get(cause, 0.0) / per_hour,
            burn_6h=six.get(cause, 0.0) / 6.0 / per_hour,
            burn_3d=three.get(cause, 0.0) / LONG_H / per_hour,
            people_1h=round(hour.get(cause, 0.0)),
            people_6h=round(six.get(cause, 0.0)),
            people_3d=round(three.get(cause, 0.0)),
        )
        if any(rate >= NEAR and number >= LEAST_PEOPLE for _, rate, number, _ in burn.windows()):
            found.append(burn)
    return sorted(found, key=lambda one: -one.fastest()[3])


def _ordinary(days: list[float]) -> float:
    """Return what a cause's days may well bring: their mean, the loud ones clipped, and two standard errors more.

    >>> [round(_ordinary(days), 1) for days in ([4.0, 5.0, 6.0, 5.0] * 7, [4.0, 5.0, 6.0, 5.0], [5.0, 5.0, 500.0])]
    [5.8, 7.2, 10.6]
    """
    middle = median(days)
    most = middle + 3.0 * sqrt(middle + 1.0)
    mean = sum(min(day, most) for day in days) / len(days)
    return mean + 2.0 * sqrt(mean / len(days))


def _add(into: Causes, causes: Causes) -> None:
    for cause, count in causes.items():
        into[cause] = into.get(cause, 0.0) + count
