"""Seeded randomness: a generator for each part of the simulation, so that the others stay when one is switched off."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")
BLOCK = 16_384
SPAN = 1 << 32


class Dice:
    """Draws one at a time from blocks of 32-bit integers that numpy draws at once: about 0.1 microseconds a draw.

    `seed` is any non-negative integer and `part` names who draws. All distributions are made from the integers by hand,
    so that the same seed gives the same week wherever PCG64 runs.

    >>> Dice(7, "example").pick(["a", "b", "c"]) == Dice(7, "example").pick(["a", "b", "c"])
    True
    >>> 0 <= Dice(7, "example").uniform() < 1
    True
    """

    def __init__(self, seed: int, part: str) -> None:
        self._rng = np.random.Generator(np.random.PCG64([seed, zlib.crc32(part.encode())]))
        self.draw = self._stream().__next__

    def _stream(self) -> Iterator[int]:
        while True:
            yield from self._rng.integers(0, SPAN, BLOCK, dtype=np.uint32).tolist()

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.draw() / SPAN

    def loguniform(self, low: float, high: float) -> float:
        """Return a number in [low, high) whose logarithm is uniform."""
        return low * math.exp(math.log(high / low) * self.draw() / SPAN)

    def chance(self, p: float) -> bool:
        """Return True with probability `p`."""
        return self.draw() < p * SPAN

    def pick(self, items: Sequence[T]) -> T:
        """Return one of `items`."""
        return items[self.draw() % len(items)]

    def whole(self, low: int, high: int) -> int:
        """Return a whole number in [low, high]."""
        return low + self.draw() % (high - low + 1)

    def exponential(self, mean: float) -> float:
        """Return an exponential waiting time."""
        return -mean * math.log1p(-self.draw() / SPAN)

    def poisson(self, mean: float) -> int:
        """Return a Poisson count: exact to a mean of 30, by the normal approximation above."""
        if mean > 30:  # noqa: PLR2004 -- where the approximation's error is below the count's own scatter
            return max(0, round(mean + math.sqrt(mean) * self.normal()))
        limit, count, product = math.exp(-mean), 0, self.uniform()
        while product > limit:
            count += 1
            product *= self.uniform()
        return count

    def normal(self) -> float:
        """Return a standard normal number (Box and Muller, 1958)."""
        return math.sqrt(-2 * math.log1p(-self.draw() / SPAN)) * math.cos(math.tau * self.draw() / SPAN)

    def times(self, start: float, end: float, mean: float) -> list[float]:
        """Return the sorted moments of a Poisson process with `mean` events between `start` and `end` (seconds)."""
        count = self.poisson(mean)
        return (np.sort(self._rng.random(count)) * (end - start) + start).tolist()  # type: ignore[no-any-return]
