"""How common each word is in an umbrella, bounded."""

from __future__ import annotations

from itertools import repeat
from math import log, sqrt
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MOST_WORDS = 60_000
PRIOR = 30.0
COMMON = 1.0 + PRIOR / 50
LEAST = 0.05
MANY = 24
"""From so many words on they are weighed as an array."""


class Lexicon:
    """Counts in how many mentions a word stood. When too many words are known, all counts are halved and ones dropped.

    >>> lexicon = Lexicon()
    >>> for words in (("flight", "late"), ("flight", "guitar")):
    ...     lexicon.learn(words)
    >>> guitar, flight = lexicon.rarities(("guitar", "flight"))
    >>> guitar > flight
    True
    """

    __slots__ = ("counts", "names", "texts", "words")

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.names = names
        """Words of the brands' names: they tell which brand is meant, which is known, not what about it."""
        self.counts: dict[str, float] = {}
        self.texts = 0.0
        self.words = 0.0

    def learn(self, words: tuple[str, ...]) -> None:
        """Count one text's distinct words."""
        counts = self.counts
        self.texts += 1.0
        self.words += len(words)
        for word in words:
            counts[word] = counts.get(word, 0) + 1  # small whole numbers take no memory of their own
        if len(counts) > MOST_WORDS:
            self._halve()

    def relearn(self, counts: Mapping[str, float], texts: float) -> None:
        """Count a restored story's words again."""
        self.texts += texts
        for word, n in counts.items():
            self.words += n
            self.counts[word] = self.counts.get(word, 0.0) + n
        if len(self.counts) > MOST_WORDS:
            self._halve()

    def _halve(self) -> None:
        self.counts = {word: n / 2 for word, n in self.counts.items() if n >= 2}  # noqa: PLR2004 -- seen once: forget
        self.texts /= 2
        self.words /= 2

    def rarities(self, words: Collection[str]) -> list[float]:
        """Return each word's inverse document frequency, next to nothing for one in every text.

        As if `PRIOR` texts had been read before, so that the first words do not all count as common.
        """
        texts = PRIOR + self.texts
        found = [*map(self.counts.get, words, repeat(0))]
        rare = [rarity if (rarity := log(texts / (COMMON + n))) > LEAST else LEAST for n in found]
        if self.names:
            return [LEAST if word in self.names else rarity for word, rarity in zip(words, rare, strict=True)]
        return rare

    def norm(self, counts: Mapping[str, float]) -> float:
        """Return the length of a vector of words weighted by rarity; 1 for no words."""
        if len(counts) >= MANY:
            rare = np.array([*map(self.counts.get, counts, repeat(0))], np.float64)
            rare += COMMON
            np.log(np.divide(PRIOR + self.texts, rare, out=rare), out=rare)
            np.maximum(rare, LEAST, out=rare)
            if self.names:
                rare[[word in self.names for word in counts]] = LEAST
            rare *= [*counts.values()]
            return sqrt(rare.dot(rare))
        weighted = [*map(mul, counts.values(), self.rarities(counts))]
        return sqrt(sum(map(mul, weighted, weighted))) or 1.0
