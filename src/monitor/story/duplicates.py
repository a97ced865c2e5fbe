"""Near-duplicate texts: MinHash signatures in bands (locality-sensitive hashing).

Broder, "On the resemblance and containment of documents" (1997); Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", 3.4. 48 hashes in 12 bands of 4: two texts with a Jaccard similarity of 0.7 meet with probability 0.96,
of 0.3 with 0.09; those that meet are compared by their whole signatures (standard error at 0.55: 0.07).
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rensa import RMinHash, RMinHashLSH

if TYPE_CHECKING:
    from collections.abc import Iterator

HASHES = 48
BANDS = 12
MOST_CANDIDATES = 64


class Sketch(NamedTuple):
    """A text's MinHash; `digest` is its hashes alone, 192 bytes, a fifth of what the whole takes."""

    minhash: RMinHash
    digest: bytes


@lru_cache(maxsize=4096)  # what spreads is repeated word for word
def signature(words: tuple[str, ...]) -> Sketch:
    """Return the MinHash of the single words and of the pairs of neighbours."""
    minhash = RMinHash(HASHES, 1)
    minhash.update([*words, *map(" ".join, pairwise(words))])
    return Sketch(minhash, array("I", minhash.digest()).tobytes())


class Duplicates:
    """Finds which kept text a new one repeats. Slots are numbers given out by `add` and given back by `drop`.

    >>> kept = Duplicates()
    >>> slot = kept.add(signature(("hotel", "lost", "my", "booking", "twice")))
    >>> [found for found, _ in kept.find(signature(("hotel", "lost", "my", "booking", "thrice")), 0.5)] == [slot]
    True
    >>> kept.drop(slot)
    >>> list(kept.find(signature(("hotel", "lost", "my", "booking", "twice")), 0.5))
    []
    """

    def __init__(self) -> None:
        self._index = RMinHashLSH(0.5, HASHES, BANDS)
        self._kept: dict[int, bytes] = {}
        self._same: dict[bytes, list[int]] = {}  # slots of one digest, the oldest first
        self._next = 0
        self._asked: tuple[bytes, list[tuple[int, int]]] | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, sketch: Sketch) -> int:
        """Keep a signature and return its slot."""
        self._asked = None
        slot = self._next
        self._next += 1
        self._kept[slot] = sketch.digest
        self._same.setdefault(sketch.digest, []).append(slot)
        self._index.insert(slot, sketch.minhash)
        return slot

    def drop(self, slot: int) -> None:
        """Forget a slot; an unknown one is ignored."""
        digest = self._kept.pop(slot, None)
        if digest is None:
            return
        self._asked = None
        self._index.remove(slot)
        same = self._same[digest]
        same.remove(slot)
        if not same:
            del self._same[digest]

    def find(self, sketch: Sketch, least: float) -> Iterator[tuple[int, float]]:
        """Yield kept slots whose estimated Jaccard similarity is `least` or more, best first, older first on ties.

        Identical ones cost a look-up, the others are compared only if they are asked for. At most `MOST_CANDIDATES` of
        those are compared, the oldest first, so that a crowded band costs no more.
        """
        if not self._kept:
            return
        same = tuple(self._same.get(sketch.digest, ()))
        for slot in same:
            yield slot, 1.0
        yield from ((slot, n / HASHES) for n, slot in self._compared(sketch) if n >= least * HASHES)

    def _compared(self, sketch: Sketch) -> list[tuple[int, int]]:
        """Return (equal hashes, slot) of the candidates, best first; a text is asked for twice as it is placed."""
        if self._asked is not None and self._asked[0] == sketch.digest:
            return self._asked[1]
        hits = sorted(self._index.query(sketch.minhash))[:MOST_CANDIDATES]
        found: list[tuple[int, int]] = []
        if hits:
            mine = np.frombuffer(sketch.digest, np.uint32)
            kept = np.frombuffer(b"".join([self._kept[slot] for slot in hits]), np.uint32).reshape(-1, HASHES)
            alike = np.count_nonzero(kept == mine, axis=1).tolist()
            found = [(n, slot) for slot, n in zip(hits, alike, strict=True) if 0 < n < HASHES]
            found.sort(key=lambda hit: (-hit[0], hit[1]))
        self._asked = sketch.digest, found
        return found
