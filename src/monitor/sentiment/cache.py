"""Readings of texts already read, so that a repost costs a dictionary look-up.

The key is the text as the model would see it (and its language). Keys are kept as 16-byte digests, so memory is
bounded by the number of readings, not by the length of texts.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from monitor.sentiment.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer

ENTRY_BYTES: Final = 640
"""What one reading without a vector costs in memory, measured: objects, digest, dictionary slot."""


@runtime_checkable
class Cleaning(Protocol):
    """A scorer that says how it sees a text, and takes what it said instead of asking itself again."""

    def clean(self, text: str) -> str:
        """Return the text as the model sees it: texts that are equal here read equally."""
        ...

    def read(
        self, texts: Sequence[str], langs: Sequence[str | None] | None = None, cleaned: Sequence[str] | None = None
    ) -> list[Reading]:
        """Return one reading per text, in order; `cleaned` are the texts as `clean` gave them."""
        ...


class _Asked(NamedTuple):
    """What the scorer inside is asked for, text by text; `seen` is what the key was made of."""

    texts: list[str]
    langs: list[str | None]
    seen: list[str]


class CachedScorer:
    """A scorer that remembers: equal texts are read once, until memory for `max_bytes` is full (oldest use goes first).

    Texts are equal if the scorer's own `clean` makes them so; for a scorer without one, if they are but for the space
    around them. It may be called from several threads at a time if `scorer` may: a text that one of them reads, the
    others wait for.

    Args:
        scorer: whose readings are kept.
        max_bytes: roughly the memory to spend; 0 keeps nothing between calls (equal texts of one call are still
            read once).

    Attributes:
        hits: texts answered from memory or from an equal text of the same call.
        misses: texts that were read.

    >>> from monitor.sentiment.stub import StubScorer
    >>> cached = CachedScorer(StubScorer(), 1_000_000)
    >>> first, second = cached.read(["so rude", "so rude "])
    >>> first == second, cached.hits, cached.misses
    (True, 1, 1)
    """

    def __init__(self, scorer: Scorer, max_bytes: int) -> None:
        self._scorer = scorer
        self._cleaning: Cleaning | None = scorer if isinstance(scorer, Cleaning) else None
        self._max_bytes = max_bytes
        self._size = 0
        self._kept: OrderedDict[bytes, Reading] = OrderedDict()
        self._lock = Lock()
        self._under_way: dict[bytes, Future[Reading]] = {}
        self.hits = 0
        self.misses = 0

    @property
    def at_once(self) -> int:
        """How many calls at a time the scorer inside takes."""
        return getattr(self._scorer, "at_once", 1)

    @property
    def name(self) -> str:
        """The model version of the scorer inside."""
        return self._scorer.name

    @property
    def runtime(self) -> str:
        """What runs the model of the scorer inside."""
        return self._scorer.runtime

    @property
    def size(self) -> int:
        """The memory that the kept readings take, in bytes, roughly."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return one reading per text, in order, reading only what is not known yet."""
        given: Sequence[str | None] = langs if langs is not None else [None] * len(texts)
        clean = self._cleaning.clean if self._cleaning else str.strip
        seen = [clean(text) for text in texts]
        keys = [digest_of(text, lang) for text, lang in zip(seen, given, strict=True)]
        found: dict[bytes, Reading] = {}
        fresh: dict[bytes, int] = {}
        awaited: dict[bytes, Future[Reading]] = {}
        with self._lock:
            for index, digest in enumerate(keys):
                kept = self._kept.get(digest)
                if kept is not None:
                    self._kept.move_to_end(digest)
                    found[digest] = kept
                elif digest in self._under_way:
                    awaited.setdefault(digest, self._under_way[digest])
                elif digest not in fresh:
                    fresh[digest] = index
            mine: dict[bytes, Future[Reading]] = {digest: Future() for digest in fresh}
            self._under_way |= mine
            self.misses += len(fresh)
            self.hits += len(texts) - len(fresh)
        if fresh:
            wanted = fresh.values()
            asked = _Asked([texts[i] for i in wanted], [given[i] for i in wanted], [seen[i] for i in wanted])
            self._read_fresh(asked, mine, found)
        # What another call reads is asked for last: each call first does what others may wait for.
        found |= {digest: future.result() for digest, future in awaited.items()}
        return [found[digest] for digest in keys]

    def _read_fresh(self, asked: _Asked, mine: dict[bytes, Future[Reading]], found: dict[bytes, Reading]) -> None:
        """Read what nobody has read, for this call and for those that wait for it."""
        try:
            readings = self._read_inside(asked)
        except BaseException as failed:
            with self._lock:
                for digest, future in mine.items():
                    del self._under_way[digest]
                    future.set_exception(failed)
            raise
        with self._lock:
            for (digest, future), reading in zip(mine.items(), readings, strict=True):
                found[digest] = reading
                self._keep(digest, reading)
                del self._under_way[digest]
                future.set_result(reading)

    def _read_inside(self, asked: _Asked) -> list[Reading]:
        if self._cleaning is not None:
            readings = self._cleaning.read(asked.texts, asked.langs, cleaned=asked.seen)
        else:
            readings = self._scorer.read(asked.texts, asked.langs)
        if len(readings) != len(asked.texts):
            raise ModelError(f"The model {self.name} gave {len(readings)} readings of {len(asked.texts)} texts.")
        return readings

    def _keep(self, digest: bytes, reading: Reading) -> None:
        cost = self._cost(reading)
        if cost > self._max_bytes:
            return
        self._kept[digest] = reading
        self._size += cost
        while self._size > self._max_bytes:
            _, old = self._kept.popitem(last=False)
            self._size -= self._cost(old)

    @staticmethod
    def _cost(reading: Reading) -> int:
        return ENTRY_BYTES + len(reading.vector or b"")


def digest_of(text: str, lang: str | None) -> bytes:
    """Return what stands for a text and its language."""
    return blake2b(f"{lang or ''}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
