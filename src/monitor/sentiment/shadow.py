"""A second model that reads along, to see how it would differ before it is put in charge.

It works on a thread of its own and takes a sample: while it is busy, texts pass it by, so that it never holds up the
model in charge. Only counts come out of it; no text is kept.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer

SAMPLE: Final = 32
"""Texts that it takes of one call at most."""
REPORT_EVERY: Final = 1000
"""Texts read along after which a line goes to the log."""
COMPLAINS: Final = 0.5

_log = structlog.get_logger("monitor.shadow")


class Difference(Struct, frozen=True):
    """How two models differ on the same texts, as sums: see `mean` for what they come to.

    `label`, `complaint`, `cause` and `unread` count texts where the two say another label, stand on other sides of .5,
    name another cause, or only one of them reads; `gap` sums the absolute difference of the complaint's probability.
    """

    texts: int = 0
    label: int = 0
    complaint: int = 0
    cause: int = 0
    unread: int = 0
    gap: float = 0.0

    def __add__(self, other: Difference) -> Difference:
        mine = (getattr(self, name) + getattr(other, name) for name in self.__struct_fields__)
        return Difference(*mine)

    def mean(self) -> dict[str, float]:
        """Return each sum per text, rounded."""
        return {
            name: round(getattr(self, name) / max(self.texts, 1), 4)
            for name in self.__struct_fields__
            if name != "texts"
        }


def compare(one: Reading, other: Reading) -> Difference:
    """Return how two readings of a text differ.

    >>> from monitor.sentiment.stub import StubScorer
    >>> rude, kind = StubScorer().read(["rude, the worst", "lovely, thanks"])
    >>> compare(rude, kind).label, compare(rude, rude).mean()["gap"]
    (1, 0.0)
    """
    if one.sentiment is None or other.sentiment is None:
        return Difference(texts=1, unread=int((one.sentiment is None) != (other.sentiment is None)))
    complaint, gap = 0, 0.0
    if one.complaint is not None and other.complaint is not None:
        complaint = int((one.complaint >= COMPLAINS) != (other.complaint >= COMPLAINS))
        gap = abs(one.complaint - other.complaint)
    cause = int(one.cause is not None and other.cause is not None and one.cause.id != other.cause.id)
    return Difference(1, int(one.sentiment.label != other.sentiment.label), complaint, cause, 0, gap)


class ShadowedScorer:
    """A scorer beside which another reads along.

    Args:
        scorer: the one in charge: its readings are given.
        shadow: the other.
        tell: is told of each sample's difference, on the shadow's thread.
    """

    def __init__(self, scorer: Scorer, shadow: Scorer, tell: Callable[[Difference], None] | None = None) -> None:
        self.inner = scorer
        self.shadow = shadow
        self._tell = tell
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._idle = threading.Semaphore(1)
        self.total = Difference()
        self.passed_by = 0
        self._broken = False

    @property
    def name(self) -> str:
        """The model version of the scorer in charge."""
        return self.inner.name

    @property
    def runtime(self) -> str:
        """What runs the scorer in charge."""
        return self.inner.runtime

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return the readings of the scorer in charge; the shadow reads some of the texts later, if it is idle."""
        readings = self.inner.read(texts, langs)
        if texts and not self._broken and self._idle.acquire(blocking=False):
            picked = range(0, len(texts), -(-len(texts) // SAMPLE))
            given = None if langs is None else [langs[i] for i in picked]
            self._pool.submit(self._along, [texts[i] for i in picked], given, [readings[i] for i in picked])
            self.passed_by += len(texts) - len(picked)
        else:
            self.passed_by += len(texts)
        return readings

    def wait(self) -> None:
        """Return once the shadow has read what it took."""
        with self._idle:
            pass

    def _along(self, texts: list[str], langs: list[str | None] | None, readings: list[Reading]) -> None:
        try:
            found = Difference()
            for one, other in zip(readings, self.shadow.read(texts, langs), strict=True):
                found += compare(one, other)
            before, self.total = self.total.texts, self.total + found
            if self._tell is not None:
                self._tell(found)
            if before // REPORT_EVERY != self.total.texts // REPORT_EVERY:
                _log.info(
                    "shadow", model=self.name, shadow=self.shadow.name, texts=self.total.texts, **self.total.mean()
                )
        except Exception as error:  # noqa: BLE001 -- a model on trial must not end the one in charge
            self._broken = True
            _log.warning("shadow_stopped", shadow=self.shadow.name, error=type(error).__name__)
        finally:
            self._idle.release()
