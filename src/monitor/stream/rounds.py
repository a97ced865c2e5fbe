"""What the scoring worker takes in one fetch, and what it tells of it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import TopicPartition
from msgspec import Struct

from monitor.engine.batching import Read
from monitor.mention.decode import Dead
from monitor.sentiment.reading import UNCLEAR, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.sentiment.reading import Reading

COMPLAINS = 0.5
"""The least probability of a complaint at which a mention is counted as one in the metrics."""


class ScoreEvents:
    """What a scoring worker tells of itself; telemetry overrides what it counts."""

    def taken(self, outcome: str, n: int, source: str = "") -> None:
        """`n` mentions were `read`, `dead` or `no_brand`."""

    def several(self, n: int) -> None:
        """`n` mentions name brands of several umbrellas, and got one reading for all of them."""

    def dead(self, reason: str) -> None:
        """A record was dead-lettered."""

    def round(self, *, mentions: int, model_s: float, total_s: float, traces: Sequence[str] = ()) -> None:
        """A round was read and sent; `traces` are the `traceparent`s of mentions in it."""

    def read(self, readings: Sequence[Reading]) -> None:
        """The model read so many texts, in this way."""

    def lag(self, partition: int, records: int, seconds: float) -> None:
        """How far behind the end of a partition the worker is."""

    def progress(self) -> None:
        """Something moved: the worker is alive."""

    def arrived(self, seconds: Sequence[float], newest: Mapping[str, float]) -> None:
        """Mentions are in `readings`, so long after their append; `newest` is each source's last append."""

    def said(self, moods: Mapping[tuple[str, str], int], causes: Mapping[str, int]) -> None:
        """What was said in a round: mentions by (umbrella, mood), complaints by cause."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """The worker owns these partitions of `mentions` now."""

    def retry(self, what: str) -> None:
        """Something was tried again."""


class Round(Struct):
    """What one fetch becomes: its items in the order in which they were fetched; a dead one is its origin alone."""

    items: list[Read | Origin]
    dead: list[tuple[Any, Dead]]
    ticks: list[tuple[int, int, float]]  # (position among the items, partition, event time)
    offsets: dict[TopicPartition, int]
    began: float
    generation: int
    model_s: float = 0.0
    traces: list[str] = msgspec.field(default_factory=list)

    def tell_arrived(self, events: ScoreEvents, now: float) -> None:
        """Tell how long after its append each mention is in `readings`."""
        newest: dict[str, float] = {}
        for item in self.items:
            if isinstance(item, Read):
                source, appended = item.mention.source, item.origin.appended_at
                newest[source] = max(appended, newest.get(source, 0.0))
        events.arrived(
            [max(0.0, now - (item.origin if isinstance(item, Read) else item).appended_at) for item in self.items],
            newest,
        )

    def tell(self, events: ScoreEvents) -> None:
        """Tell what was in the round."""
        counts = Counter(
            ("read" if item.hits else "no_brand", item.mention.source) for item in self.items if isinstance(item, Read)
        )
        events.taken("dead", len(self.dead))
        events.several(sum(isinstance(item, Read) and len(item.hits) > 1 for item in self.items))
        for (outcome, source), n in counts.items():
            events.taken(outcome, n, source)
        events.said(*_said(self.items))
        events.round(
            mentions=len(self.items),
            model_s=self.model_s,
            total_s=time.monotonic() - self.began,
            traces=self.traces,
        )


def _said(items: Iterable[Read | Origin]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Count what is said of each umbrella, and why people complain."""
    moods: Counter[tuple[str, str]] = Counter()
    causes: Counter[str] = Counter()
    for item in items:
        if not isinstance(item, Read) or not item.hits or (reading := item.reading) is None:
            continue
        if complains := (reading.complaint or 0.0) >= COMPLAINS:
            causes[reading.cause.id if reading.cause is not None else UNCLEAR] += 1
        mood = "complaint" if complains else reading.sentiment.label if reading.sentiment is not None else "unread"
        for hit in item.hits:
            moods[hit.umbrella, mood] += 1
    return moods, causes
