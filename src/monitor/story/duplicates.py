"""Near-duplicate texts: MinHash signatures in bands (locality-sensitive hashing).

Broder, "On the resemblance and containment of documents" (1997); Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", 3.4. 48 hashes in 12 bands of 4: two texts with a Jaccard similarity of 0.7 meet with probability 0.96,
of 0.3 with 0.09; those that meet are compared by their whole signatures (standard error at 0.55: 0.07).

Bands are looked up in a hash table, a kilobyte a text. From `MANY` texts on most of them lie in one sorted array, 96
bytes a text and some 10 microseconds a search, and only the newest in the table, until they are sorted in.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from rensa import RMinHash, RMinHashLSH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    Slots: TypeAlias = int | list[int]

HASHES = 48
BANDS = 12
MOST_CANDIDATES = 64
MANY = 12_000
"""Up to so many texts the table is small enough, and a search in it takes a fifth of the time."""
SORT_PART = 8
"""Sorted anew when this part of all texts was added since."""
CHUNK = 1024
ROW = np.uint64((1 << 24) - 1)
"""The low bits of an entry say whose band it is, the others are a hash of its 4 numbers."""
_ONES = np.ones(HASHES, np.int8)
_MIX = np.array([0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93], np.uint64)


class Sketch(Struct, frozen=True):
    """A text's MinHash; `digest` is its hashes alone, 192 bytes, a fifth of what the whole takes."""

    minhash: RMinHash
    digest: bytes


@lru_cache(maxsize=512)  # what spreads is repeated word for word
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
        self._kept: dict[int, bytes] = {}
        self._same: dict[bytes, Slots] = {}  # slots of one digest, the oldest first; mostly there is but one
        self._next = 0
        self._asked: tuple[bytes, list[tuple[int, int]]] | None = None
        self._sort()

    def _sort(self) -> None:
        """Put the bands of all kept texts into the array."""
        self._newest = RMinHashLSH(0.5, HASHES, BANDS)
        self._sorted_to = self._next
        self._slots = [*self._kept]
        self._bands = np.empty(0, np.uint64)  # the old one is let go before the new one is made
        bands = np.empty((len(self._slots), BANDS), np.uint64)
        for row in range(0, len(self._slots), CHUNK):  # all at once would take five times the memory
            part = bands[row : row + CHUNK]
            sketches = b"".join([self._kept[slot] for slot in self._slots[row : row + CHUNK]])
            part[:] = _hashed(sketches).reshape(-1, BANDS)
            part |= np.arange(row, row + len(part), dtype=np.uint64)[:, None]
        self._bands = bands.reshape(-1)
        self._bands.sort()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, sketch: Sketch) -> int:
        """Keep a signature and return its slot."""
        self._asked = None
        slot = self._next
        self._next += 1
        self._kept[slot] = sketch.digest
        same = self._same.setdefault(sketch.digest, slot)
        if isinstance(same, list):
            same.append(slot)
        elif same != slot:
            self._same[sketch.digest] = [same, slot]
        self._newest.insert(slot, sketch.minhash)
        if len(self._kept) >= MANY and self._next - self._sorted_to >= len(self._kept) // SORT_PART:
            self._sort()
        return slot

    def drop(self, slot: int) -> None:
        """Forget a slot; an unknown one is ignored."""
        digest = self._kept.pop(slot, None)
        if digest is None:
            return
        self._asked = None
        if slot >= self._sorted_to:
            self._newest.remove(slot)
        same = self._same[digest]
        if isinstance(same, list):
            same.remove(slot)
        if same in (slot, []):
            del self._same[digest]

    def find(self, sketch: Sketch, least: float) -> Iterable[tuple[int, float]]:
        """Return kept slots whose estimated Jaccard similarity is `least` or more, best first, older first on ties.

        Identical ones cost a look-up, the others are compared only if they are asked for. At most `MOST_CANDIDATES` of
        those are compared, the oldest first, so that a crowded band costs no more.
        """
        same = self._same.get(sketch.digest)
        if same is not None:
            return self._from_same((same,) if isinstance(same, int) else tuple(same), sketch, least)
        return self._alike(sketch, least)

    def _from_same(self, same: tuple[int, ...], sketch: Sketch, least: float) -> Iterator[tuple[int, float]]:
        for slot in same:
            yield slot, 1.0
        yield from self._alike(sketch, least)

    def _alike(self, sketch: Sketch, least: float) -> list[tuple[int, float]]:
        found = self._compared(sketch)
        return [(slot, n / HASHES) for n, slot in found if n >= least * HASHES] if found else []

    def _compared(self, sketch: Sketch) -> list[tuple[int, int]]:
        """Return (equal hashes, slot) of the candidates, best first; a text is asked for twice as it is placed."""
        if self._asked is not None and self._asked[0] == sketch.digest:
            return self._asked[1]
        hits = self._newest.query(sketch.minhash)
        if len(self._bands):
            hits += self._in_array(sketch.digest)
        hits = sorted(hits)[:MOST_CANDIDATES]
        found: list[tuple[int, int]] = []
        if hits:
            mine = np.frombuffer(sketch.digest, np.uint32)
            kept = np.frombuffer(b"".join([self._kept[slot] for slot in hits]), np.uint32).reshape(-1, HASHES)
            alike = (kept == mine).view(np.int8).dot(_ONES).tolist()
            found = [(n, slot) for slot, n in zip(hits, alike, strict=True) if 0 < n < HASHES]
            found.sort(key=lambda hit: (-hit[0], hit[1]))
        self._asked = sketch.digest, found
        return found

    def _in_array(self, digest: bytes) -> list[int]:
        """Return the kept slots in the array that have a band's 4 numbers in common with a text."""
        first = _hashed(digest)
        start = self._bands.searchsorted(first)
        met = self._bands.take(start, mode="clip") - first <= ROW  # of an entry before `first` it wraps around
        if not met.any():
            return []
        stop = self._bands.searchsorted(first[met] | ROW, "right")
        rows: set[int] = set()
        for i, j in zip(start[met].tolist(), stop.tolist(), strict=True):
            rows.update((self._bands[i:j] & ROW).tolist())
        return [slot for row in rows if (slot := self._slots[row]) in self._kept]


def _hashed(sketches: bytes) -> NDArray[np.uint64]:
    """Return a hash of 40 bits of each band's numbers; the low bits are left free for a row."""
    pairs = np.frombuffer(sketches, np.uint64).reshape(-1, 2)
    hashes: NDArray[np.uint64] = pairs.dot(_MIX) & ~ROW
    return hashes
