"""Something new, or only one more busy hour? A brand's surprise held against its own daily surprises.

A negative-binomial tail calls every ordinary daily burst an anomaly, for mentions come in bursts on most days. Here the
tail's score is not judged by itself: each window's score is compared with the largest that each of the last days
brought in the same window (block maxima, Gumbel 1958; the robust median and its deviation in the place of a fit, so
that one storm does not hide the next). It takes two windows to agree, for a single window is noisy.
"""

from __future__ import annotations

from math import log
from statistics import median

from msgspec import Struct

from monitor.spread.scores import score

WINDOWS = (1, 3, 6, 12, 36)
"""Bins of five minutes: 5, 15 and 30 minutes, 1 and 3 hours."""

AGREE = 2
"""So many windows make the surprise (their mean)."""

ON = 1.4
"""Surprise, in robust deviations above the usual daily maximum, from which on something is new."""

LEAST_SCORE = 3.0
"""No surprise without this score in some window."""

LEAST_DISPERSION = 0.1
FLOOR = 0.5
"""A window's score counts at least this much, so that quiet days can be compared."""

DAYS = 28
SETTLED = 3
"""Whole days before anything is judged new ..."""

FEW = 3
FEW_FACTOR = 2.0
"""... and with no more than these behind it, a surprise counts half: they may all be a weekend's."""

DEVIATION = 0.15
BELIEF = 7.0
"""Prior of a log daily maximum's deviation, and its weight in days."""

PER_DAY = 288


class Novelty(Struct):
    """What is kept: a few sums of bins, and the largest score of each day and window.

    Attributes:
        first: the first bin's number; days are counted from it.
        counts: observed and expected of the last 36 bins, oldest first.
        today: the largest log score of the running day, by window.
        days: the same of whole days, oldest first.
        surprise: of the last bin, in robust deviations above the usual daily maximum.

    Example: ten days with a burst of 30 each; a burst of 30 is nothing new, one of 300 is.

    >>> novelty = Novelty()
    >>> for at in range(10 * PER_DAY):
    ...     _ = novelty.step(at, 30.0 if at % PER_DAY == 200 else 3.0 + at % 3, 4.0, 0.1)
    >>> novelty.step(10 * PER_DAY, 30.0, 4.0, 0.1) < ON, novelty.step(10 * PER_DAY + 1, 300.0, 4.0, 0.1) > ON
    (True, True)
    """

    first: int | None = None
    counts: list[tuple[float, float]] = []
    today: list[float] = []
    days: list[list[float]] = []
    day: int = 0
    surprise: float = 0.0

    def step(self, at: int, observed: float, expected: float, dispersion: float) -> float:
        """Take the next bin and return its surprise; bins come in order, and silence is a bin too.

        Args:
            at: the bin's number.
            observed: what it brought.
            expected: what the baseline expected of it.
            dispersion: the baseline's overdispersion.
        """
        if self.first is None:
            self.first = at
            self.today = [log(FLOOR)] * len(WINDOWS)
        day = (at - self.first) // PER_DAY
        if day > self.day:
            self.days = [*self.days, self.today][-DAYS:]
            self.today = [log(FLOOR)] * len(WINDOWS)
            self.day = day
        self.counts = [*self.counts, (observed, expected)][-max(WINDOWS) :]
        phi = max(dispersion, LEAST_DISPERSION)
        scores = [log(max(score(*self._sums(w), phi), FLOOR)) for w in WINDOWS]
        self.today = [max(a, b) for a, b in zip(self.today, scores, strict=True)]
        self.surprise = self._surprise(scores)
        return self.surprise

    def skip(self) -> None:
        """Forget the running windows (the input was down): what comes next is not compared across the gap."""
        self.counts = []
        self.surprise = 0.0

    def _sums(self, window: int) -> tuple[float, float]:
        last = self.counts[-window:]
        return sum(o for o, _ in last), sum(e for _, e in last)

    def _surprise(self, scores: list[float]) -> float:
        if len(self.days) < SETTLED or max(scores) <= log(LEAST_SCORE):
            return 0.0
        n = len(self.days)
        found = []
        for window, value in enumerate(scores):
            past = [day[window] for day in self.days]
            usual = median(past)
            deviation = 1.4826 * median(abs(p - usual) for p in past)
            found.append((value - usual) / ((n * deviation + BELIEF * DEVIATION) / (n + BELIEF)))
        surprise = max(0.0, sum(sorted(found)[-AGREE:]) / AGREE)
        return surprise / FEW_FACTOR if n <= FEW else surprise
