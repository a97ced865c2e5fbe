"""How common each word is in an umbrella, bounded."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_WORDS = 60_000
PRIOR = 30.0
COMMON = 1.0 + PRIOR / 50
LEAST = 0.05


class Lexicon:
    """Counts in how many mentions a word stood. When too many words are known, all counts are halved and ones dropped.

    >>> lexicon = Lexicon()
    >>> for words in (("flight", "late"), ("flight", "guitar")):
    ...     lexicon.learn(words)
    >>> lexicon.rarity("guitar") > lexicon.rarity("flight")
    True
    """

    __slots__ = ("counts", "texts", "words")

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}
        self.texts = 0.0
        self.words = 0.0

    def learn(self, words: tuple[str, ...]) -> None:
        """Count one text's distinct words."""
        counts = self.counts
        self.texts += 1.0
        self.words += len(words)
        for word in words:
            counts[word] = counts.get(word, 0.0) + 1.0
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

    def norm(self, counts: Mapping[str, float]) -> float:
        """Return the length of a vector of words weighted by rarity; 1 for no words."""
        get, texts, square = self.counts.get, PRIOR + self.texts, 0.0
        for word, n in counts.items():
            rare = log(texts / (COMMON + get(word, 0.0)))
            square += (n * max(LEAST, rare)) ** 2
        return sqrt(square) or 1.0

    def rarity(self, word: str) -> float:
        """Return the word's inverse document frequency, next to nothing for one in every text.

        As if `PRIOR` texts had been read before, so that the first words do not all count as common.
        """
        return max(LEAST, log((PRIOR + self.texts) / (COMMON + self.counts.get(word, 0.0))))
