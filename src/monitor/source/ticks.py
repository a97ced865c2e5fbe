"""When a replayed stream ticks: densely while things happen, ever more seldom through quiet hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK_S = 30.0
"""Seconds of event time between ticks while mentions come in."""

LONGEST_S = 960.0
"""Seconds between ticks in a silence in which something may still end."""

SETTLED_S = 5 * 86_400.0
"""Seconds of silence after which all has ended that time alone ends: stories close after three days."""

LEAP_S = 30 * 86_400.0
"""The most seconds between ticks from then on: a file may have years between two mentions."""


class Ticker:
    """Makes the ticks of a replay from its mentions' times.

    After a mention the ticks come 30, 60, 120, ... seconds apart, up to 16 minutes, until the next one: hold-downs end
    in time, and a quiet night costs few records. After five days of silence they go on to a month apart. Asked again
    for a time that has passed it has nothing to say: a repeated mention changes nothing.

    >>> ticker = Ticker()
    >>> list(ticker.until(1000.0)), list(ticker.until(1010.0)), list(ticker.until(1100.0))
    ([1000.0], [], [1030.0, 1090.0])
    >>> list(ticker.until(1120.0))
    [1120.0]
    >>> list(ticker.until(1360.0)), list(ticker.until(1360.0))
    ([1150.0, 1210.0, 1330.0], [])
    >>> len(list(ticker.until(1360.0 + 5 * 86400.0))), len(list(ticker.until(3 * 365 * 86400.0)))
    (454, 500)
    """

    def __init__(self) -> None:
        self._at: float | None = None
        self._gap = TICK_S
        self._now = float("-inf")

    def until(self, now: float) -> Iterator[float]:
        """Yield the ticks that come before a mention at `now` (event time, seconds since the epoch)."""
        if now <= self._now:
            return
        silent_since, self._now = self._now, now
        if self._at is None:
            self._at = now
            yield now
            return
        while self._at + self._gap <= now:
            self._at += self._gap
            settled = self._at - silent_since >= SETTLED_S
            self._gap = min(self._gap * 2, LEAP_S if settled else LONGEST_S)
            yield self._at
        self._at = max(self._at, now - LONGEST_S)
        self._gap = TICK_S
