"""How common each word is in an umbrella, bounded."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_WORDS = 60_000
PRIOR = 30.0
COMMON = 1.0 + PRIOR / 50
LEAST = 0.05
KEPT = 4096
_LOGS = [log(COMMON + n) for n in range(KEPT)]
"""A look-up takes a third of the time of a logarithm, and nearly every word is looked up."""


class Lexicon:
    """Counts in how many mentions a word stood. When too many words are known, all counts are halved and ones dropped.

    >>> lexicon = Lexicon()
    >>> for words in (("flight", "late"), ("flight", "guitar")):
    ...     lexicon.learn(words)
    >>> squares = lexicon.squares(("guitar", "flight"))
    >>> squares["guitar"] > squares["flight"]
    True
    """

    __slots__ = ("counts", "names", "texts", "words")

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.names = names
        """Words of the brands' names: they tell which brand is meant, which is known, not what about it."""
        self.counts: dict[str, int] = {}  # small whole numbers take no memory of their own
        self.texts = 0.0
        self.words = 0.0

    def learn(self, words: tuple[str, ...]) -> None:
        """Count one text's distinct words."""
        counts = self.counts
        self.texts += 1.0
        self.words += len(words)
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        if len(counts) > MOST_WORDS:
            self._halve()

    def relearn(self, counts: Mapping[str, int], texts: float) -> None:
        """Count a restored story's words again: in how many mentions each stood."""
        self.texts += texts
        for word, n in counts.items():
            self.words += n
            self.counts[word] = self.counts.get(word, 0) + n
        if len(self.counts) > MOST_WORDS:
            self._halve()

    def _halve(self) -> None:
        self.counts = {word: n // 2 for word, n in self.counts.items() if n >= 2}  # noqa: PLR2004 -- seen once: forget
        self.texts /= 2
        self.words /= 2

    def squares(self, words: Iterable[str]) -> dict[str, float]:
        """Return each word's inverse document frequency squared, next to nothing for one in every text.

        As if `PRIOR` texts had been read before, so that the first words do not all count as common.
        """
        most, get, logs, names = log(PRIOR + self.texts), self.counts.get, _LOGS, self.names
        found: dict[str, float] = {}
        for word in words:
            n = get(word, 0)
            rarity = most - (logs[n] if n < KEPT else log(COMMON + n))
            if rarity < LEAST or word in names:
                rarity = LEAST
            found[word] = rarity * rarity
        return found

    def square(self, counts: Mapping[str, float]) -> float:
        """Return the squared length of a vector of words weighted by rarity."""
        most, get, logs, names, total = log(PRIOR + self.texts), self.counts.get, _LOGS, self.names, 0.0
        for word, said in counts.items():
            n = get(word, 0)
            rarity = most - (logs[n] if n < KEPT else log(COMMON + n))
            weight = said * (LEAST if rarity < LEAST or word in names else rarity)
            total += weight * weight
        return total
