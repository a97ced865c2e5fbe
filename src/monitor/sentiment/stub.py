"""A scorer without a model: a word list that reads a text in about two microseconds, always in the same way.

It is for tests and for measuring what the pipeline costs beside the model. It is never the default.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.sentiment.reading import Reading, Sentiment

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD: Final = frozenset(
    str.split("""
    angry annoyed awful bad broke broken cancelled cancel cheated complaint crap damaged delayed delay
    disappointed disgrace disgraceful disgusting dreadful fail failed failure fraud furious garbage hate hated
    horrible ignored joke late lied lost mess never nightmare nobody outrage outrageous overcharged pathetic
    poor refused refund ridiculous rude ruined scam shame shameful smashed stole stolen stranded stuck sucks
    terrible trash ugly unacceptable useless worst wrong
""")
)
GOOD: Final = frozenset(
    str.split("""
    amazing awesome beautiful best brilliant charming comfortable congrats delicious enjoyed excellent
    fabulous fantastic friendly fun glad good great happy helpful kind kudos lovely love loved nice perfect
    pleased recommend smooth superb sweet thank thanks thrilled win wonderful won wow
""")
)
ASKS: Final = frozenset(
    str.split("""
    again answer anyone broken call cancelled claim complaint customer damaged days delayed explain fix help
    hold hour hours ignored lost money never nobody overcharged phone refund refused reply respond response
    rude service still waiting why
""")
)
WIDTH: Final = 384
_TOP: Final = 4


def _reading(bad: int, good: int, asks: int) -> Reading:
    weights = np.exp(np.array([1.5 * bad, 1.0, 1.5 * good]))
    negative, neutral, positive = (float(share) for share in weights / weights.sum())
    complaint = negative * (0.3 + 0.2 * min(asks, 3))
    return Reading(model=StubScorer.name, sentiment=Sentiment(negative, neutral, positive), complaint=complaint)


def _vector(words: frozenset[str]) -> bytes:
    out = np.zeros(WIDTH, np.float32)
    for word in sorted(words):
        code = zlib.crc32(word.encode("utf-8", "replace"))
        out[code % WIDTH] += 1.0 if code & 0x8000_0000 else -1.0
    norm = float(np.linalg.norm(out))
    return (out / norm if norm else out).astype("<f2").tobytes()


class StubScorer:
    """Reads by counting words of three small lists; implements `Scorer`.

    Args:
        vectors: also give each reading a vector: hashed words, 384 wide, unit length (slower).

    >>> scorer = StubScorer()
    >>> [reading.sentiment.label for reading in scorer.read(["the worst, rude and useless", "lovely stay, thanks"])]
    ['negative', 'positive']
    >>> scorer.read(["  "])[0].unread
    'empty'
    """

    name = "stub-1"
    runtime = "words"

    def __init__(self, *, vectors: bool = False) -> None:
        self.vectors = vectors
        steps = range(_TOP + 1)
        self._table = [[[_reading(bad, good, asks) for asks in steps] for good in steps] for bad in steps]
        self._unread = Reading(model=self.name, unread="empty")

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return one reading per text, in order; `langs` is not looked at."""
        del langs
        table, out = self._table, []
        for text in texts:
            words = frozenset(text.lower().replace(",", " ").replace(".", " ").split())
            if not words:
                reading = self._unread
            else:
                bad, good, asks = len(words & BAD), len(words & GOOD), len(words & ASKS)
                reading = table[min(bad, _TOP)][min(good, _TOP)][min(asks, _TOP)]
            if self.vectors:
                reading = Reading(
                    model=reading.model,
                    sentiment=reading.sentiment,
                    complaint=reading.complaint,
                    unread=reading.unread,
                    vector=_vector(words),
                )
            out.append(reading)
        return out
