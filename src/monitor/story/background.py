"""What the texts about one brand have in common, which says nothing of what one of them is about.

The running mean is taken off every embedding (Mu and Viswanath, "All-but-the-top", 2018). An umbrella's texts are to a
good part told apart by which of its brands they name: so each brand below it has a mean of its own, shrunk to the
umbrella's while little was said of it (James and Stein, 1961), and a mention is held against its own brand's. In that
mean a story counts by about the square root of its size: what everybody says of a brand during a storm is its matter,
not its background.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from monitor.story.recent import Recent
from monitor.story.settings import BackgroundSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]

MOST_BRANDS = 512
"""Of so many brands a mean is kept, those spoken of last; others are held against the umbrella's."""


class _Mean:
    """A decaying mean, given as its sum and how many mentions that is."""

    __slots__ = ("sum", "weight")

    def __init__(self, width: int, weight: float = 0.0) -> None:
        self.sum = np.zeros(width, np.float32)
        self.weight = weight

    def add(self, sum_: Vector, weight: float, memory: float) -> None:
        self.sum += sum_
        self.weight += weight
        if self.weight > memory:
            self.sum /= 2
            self.weight /= 2


class Background:
    """The means of one umbrella and of the brands below it.

    >>> background = Background("hotels", 2)
    >>> for _ in range(300):
    ...     background.learn(np.array([1.0, 0.0], np.float32), ("hotels-oslo",))
    ...     background.learn(np.array([0.0, 1.0], np.float32), ("hotels-lisbon",))
    >>> [round(float(number), 1) for number in background.of(("hotels-oslo",))]
    [0.9, 0.1]
    >>> [round(float(number), 1) for number in background.of(())]
    [0.4, 0.4]
    """

    def __init__(self, umbrella: str, width: int, settings: BackgroundSettings | None = None) -> None:
        self._umbrella = umbrella
        self._width = width
        self._settings = settings or BackgroundSettings()
        self._all = _Mean(width, self._settings.prior)
        self._brands: Recent[_Mean] = Recent(MOST_BRANDS)

    def of(self, brands: tuple[str, ...]) -> Vector:
        """Return what texts that name `brands` (the most specific first) have in common: those of the first one."""
        mean = self._all.sum / self._all.weight
        kept = self._brands.get(brands[0]) if brands else None
        if kept is None:
            return mean
        prior = self._settings.brand_prior
        blended = kept.sum + mean * prior
        blended /= kept.weight + prior
        return blended

    def learn(self, raw: Vector, brands: tuple[str, ...], nth: int = 1) -> None:
        """Count a mention in, the `nth` of its story."""
        self._all.add(raw, 1.0, self._settings.memory)
        if brands:
            self._learn_brand(brands[0], raw, 1.0 / sqrt(nth))

    def relearn(self, raw: Vector, weight: float, count: int, brands: Mapping[str, int]) -> None:
        """Count a restored story in: its mean, the weight of its `count` mentions, and how often brands were named."""
        self._all.add(raw * weight, weight, self._settings.memory)
        named = sum(brands.values())
        for brand, n in brands.items():
            self._learn_brand(brand, raw, (2.0 * sqrt(count) - 1.0) * n / named)

    def _learn_brand(self, brand: str, raw: Vector, weight: float) -> None:
        if brand == self._umbrella:
            return
        kept = self._brands.get(brand) or _Mean(self._width)
        self._brands.put(brand, kept)
        kept.add(raw * weight, weight, self._settings.memory)
