"""What an ordinary hour brings: a robust baseline of counts by hour of the week, usable from the first day.

An hour's expectation is the clipped mean of what earlier weeks brought in the same hour of the week, shrunk to the same
hour of the day, shrunk to a constant: with little history the coarser figure rules (James and Stein 1961, with the
weights of a gamma-Poisson model). Medians come first and means second, clipped around them, so that a storm does not
raise what is expected of the next one; hours inside a wave weigh nothing until the wave has outlived `NEW_NORMAL`.
"""

from __future__ import annotations

from statistics import median

import numpy as np
from numpy.typing import NDArray

HOUR = 3600.0
DAY = 24
WEEK = 168
KEEP = 8 * WEEK
"""Hours of history."""

HALF_LIFE = 14 * DAY
"""Hours after which an hour weighs half."""

TO_DAY = 3.0
TO_CONSTANT = 2.0
"""Hours' worth of belief in the coarser figure."""

CLIP = 2.0
"""An hour counts at most as this many standard deviations above its first estimate."""

DISPERSION = 0.08
"""Overdispersion of an hour's count when there is no history: variance = mean + DISPERSION * mean^2."""

Array = NDArray[np.float64]


class Baseline:
    """Learned once an hour from the history; then `expected` is a look-up.

    >>> import numpy as np
    >>> hours = np.arange(24 * 9)
    >>> base = Baseline.fit(hours, np.where(hours % 24 == 12, 40.0, 4.0), np.ones(len(hours)))
    >>> base.expected(24 * 9 + 12) > 1.5 * base.expected(24 * 9 + 3)
    True
    """

    __slots__ = ("cells", "constant", "dispersion", "hours")

    def __init__(self, cells: Array, constant: float, dispersion: float, hours: int) -> None:
        self.cells = cells
        self.constant = constant
        self.dispersion = dispersion
        self.hours = hours

    def expected(self, hour: int) -> float:
        """Return what hour number `hour` (since the epoch) brings, usually."""
        return float(self.cells[hour % WEEK])

    @classmethod
    def fit(cls, hours: NDArray[np.int64], counts: Array, weights: Array) -> Baseline:
        """Learn from `counts` of the hours numbered `hours`; `weights` in 0..1 (0: not seen, or inside a wave)."""
        seen = weights > 0.0
        hours, counts, weights = hours[seen], counts[seen], weights[seen]
        if not len(hours):
            return cls(np.zeros(WEEK), 0.0, DISPERSION, 0)
        weights = weights * 0.5 ** ((hours.max() - hours) / HALF_LIFE)
        rough = _rough(hours, counts)
        clipped = np.minimum(counts, rough + 1.0 + CLIP * np.sqrt(rough + DISPERSION * rough**2))
        constant = float(np.average(clipped, weights=weights))
        day = _shrunk(hours % DAY, clipped, weights, np.full(DAY, constant), TO_CONSTANT)
        week = _shrunk(hours % WEEK, clipped, weights, np.tile(day, 7), TO_DAY)
        return cls(week, constant, _dispersion(counts, week[hours % WEEK]), len(hours))


def _rough(hours: NDArray[np.int64], counts: Array) -> Array:
    """First estimate: the median of the counts within an hour of the same time of day."""
    overall = float(np.median(counts))
    of_day = hours % DAY
    days: list[list[float]] = [[] for _ in range(DAY)]
    for h, count in zip(of_day.tolist(), counts.tolist(), strict=True):
        days[h].append(count)
    cells = []
    for h in range(DAY):
        near = [*days[h - 1], *days[h], *days[(h + 1) % DAY]]
        cells.append(median(near) if len(near) >= 3 else overall)  # noqa: PLR2004 -- a median of fewer is no median
    return np.array(cells)[of_day]


def _shrunk(of: NDArray[np.int64], counts: Array, weights: Array, prior: Array, belief: float) -> Array:
    """Weighted mean by cell, a quarter of each neighbour mixed in, with `belief` hours' worth of `prior`."""
    cells = len(prior)
    total = np.bincount(of, weights * counts, cells)
    weight = np.bincount(of, weights, cells)
    total = total + 0.25 * (np.roll(total, 1) + np.roll(total, -1))
    weight = weight + 0.25 * (np.roll(weight, 1) + np.roll(weight, -1))
    return np.asarray((total + belief * prior) / (weight + belief))


def _dispersion(counts: Array, expected: Array) -> float:
    """Robust overdispersion: from the median squared residual, shrunk to the prior, within sane bounds."""
    big = expected >= 1.0
    if not big.any():
        return DISPERSION
    excess = ((counts[big] - expected[big]) ** 2 / 0.455 - expected[big]) / expected[big] ** 2
    n = int(big.sum())
    return float(np.clip((n * np.median(excess) + 48 * DISPERSION) / (n + 48), 0.05, 1.0))
