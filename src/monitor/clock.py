"""The one place where the wall clock enters.

Engines take event time from the stream; whatever needs the wall clock takes a `Clock`, so that a test, a replay or a
backtest can bring its own.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in seconds since 1970-01-01T00:00:00Z."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ...


class WallClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the seconds since the epoch, by the machine."""
        return time.time()


class VirtualClock:
    """A clock that stands still until it is told to move.

    >>> clock = VirtualClock(100.0)
    >>> clock.advance(30)
    >>> clock.now()
    130.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the seconds since the epoch, as last set."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        self._now += seconds

    def set(self, now: float) -> None:
        """Move to `now`; a clock never runs backwards."""
        self._now = max(self._now, now)
