"""The rhythm of a week: how busy an hour is, as a multiple of the week's mean."""

from __future__ import annotations

import math

HOUR = 3600.0
DAY = 86_400.0
WEEK = 7 * DAY
MONDAY = 4 * DAY  # 1970-01-05 was a Monday

# A travel brand's day in UTC, mostly of Europe and the American east: quiet at 4, a morning rush, a long evening.
_HOURS = (38, 26, 20, 17, 18, 26, 44, 70, 96, 110, 112, 112, 116, 124, 130, 136, 142, 150, 158, 156, 142, 118, 88, 60)
_DAYS = (1.10, 0.98, 0.95, 1.00, 1.14, 0.92, 0.91)
_MEAN = sum(_HOURS) / 24 * sum(_DAYS) / 7
HOUR_OF_WEEK: tuple[float, ...] = tuple(day * hour / _MEAN for day in _DAYS for hour in _HOURS)
"""168 factors from Monday 00:00 UTC; their mean is 1."""


def busy(t: float) -> float:
    """Return how busy the moment `t` (seconds since the epoch) is; linear between the middles of the hours.

    >>> from datetime import datetime, timezone
    >>> night = datetime(2026, 3, 4, 3, 30, tzinfo=timezone.utc).timestamp()
    >>> evening = datetime(2026, 3, 4, 18, 30, tzinfo=timezone.utc).timestamp()
    >>> round(busy(evening) / busy(night), 1)
    9.3
    """
    place = (t - MONDAY) % WEEK / HOUR - 0.5
    hour = math.floor(place)
    share = place - hour
    return (1 - share) * HOUR_OF_WEEK[hour % 168] + share * HOUR_OF_WEEK[(hour + 1) % 168]


def awake(t: float) -> float:
    """Return the share of people who are up and reading, 0.35 to 1: a story slows down at night, it does not stop."""
    return 0.35 + 0.65 * min(1.0, busy(t) / 1.2)
