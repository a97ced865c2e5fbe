"""From what was read to micro-batches: which item goes to which partition of `readings`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from monitor.brand.match import Hit
from monitor.engine.records import (
    Item,
    Marker,
    Tick,
    encode_batch,
    encode_item,
    partition_of,
)
from monitor.mention.model import Mention
from monitor.sentiment.reading import Origin, Reading, ReadMention

if TYPE_CHECKING:
    from collections.abc import Iterator


MAX_ITEMS = 512
"""Items in one record of `readings`."""

MAX_RECORD_BYTES = 512 * 1024
"""Bytes in one record of `readings`."""

SOON_S = 5.0
"""Ticks that follow each other sooner are one. Others all stay: time has to pass step by step where nothing happens, or
a hold-down would end only with the next mention."""

KEPT_TEXT = 2000
"""Characters of a text that go on: enough to group, to quote and to show."""


class Read(Struct, frozen=True):
    """A mention that was decoded, resolved and read, on its way to `readings`. `trace`: its `traceparent`."""

    mention: Mention
    hits: tuple[Hit, ...]
    own: bool
    reading: Reading | None
    origin: Origin
    trace: str | None = None


def refers(mention: Mention) -> bool:
    """Whether a mention without a brand may still belong to a story, through what it answers, repeats or changes."""
    return bool(mention.in_reply_to or mention.repost_of or mention.kind in {"edit", "delete"})


def spread_out(read: Read, partitions: int) -> Iterator[tuple[int, Item]]:
    """Yield the items that a mention becomes, each with its partition of `readings`.

    One per umbrella that it names. An edit or delete, or a reply or repost that names no brand, goes to every
    partition, since only the owner of its target or parent can know where it belongs; the partition of its own id
    counts it. A mention of no brand becomes a marker, so that it is counted with the offset.
    """
    mention, origin = read.mention, read.origin
    if mention.kind in {"edit", "delete"} or (not read.hits and refers(mention)):
        home = partition_of(f"{mention.source}\0{mention.id}", partitions)
        for partition in range(partitions):
            yield partition, _voice(read, "", (), counted=partition == home)
    elif not read.hits:
        yield origin.partition % partitions, Marker("no_brand", origin)
    else:
        for number, hit in enumerate(read.hits):
            yield partition_of(hit.umbrella, partitions), _voice(read, hit.umbrella, hit.brands, counted=number == 0)


def _voice(read: Read, umbrella: str, brands: tuple[str, ...], *, counted: bool) -> ReadMention:
    m = read.mention
    published = m.published_at.timestamp()
    observed = m.observed_at.timestamp() if m.observed_at else read.origin.appended_at
    return ReadMention(
        umbrella=umbrella,
        brands=brands,
        id=m.id,
        source=m.source,
        kind=m.kind,
        published_at=published,
        observed_at=max(observed, published),
        text=m.text[:KEPT_TEXT],
        origin=read.origin,
        reading=read.reading,
        author=m.author,
        in_reply_to=m.in_reply_to,
        repost_of=m.repost_of,
        target=m.target,
        revision=m.revision,
        url=m.url,
        engagement=m.engagement,
        own=read.own,
        counted=counted,
    )


class Batcher:
    """Collects items per partition and cuts them into records that keep to the limits.

    Items of one origin stay in one record: the watching worker compares origins record by record.
    """

    def __init__(self, topic_id: str, mentions_partitions: int, readings_partitions: int) -> None:
        self._topic_id = topic_id
        self._mentions_partitions = mentions_partitions
        self._readings_partitions = readings_partitions
        self._items: list[list[Item]] = [[] for _ in range(readings_partitions)]
        self._traces: dict[tuple[int, int], str] = {}  # by origin

    def add(self, read: Read) -> None:
        """Take a mention in."""
        for partition, item in spread_out(read, self._readings_partitions):
            self._items[partition].append(item)
        if read.trace is not None:
            self._traces[read.origin.partition, read.origin.offset] = read.trace

    def add_dead(self, origin: Origin) -> None:
        """Take the marker of a dead-lettered record in."""
        self._items[origin.partition % self._readings_partitions].append(Marker("dead", origin))

    def tick(self, partition: int, at: float) -> None:
        """Tell every partition of `readings` how far `partition` of `mentions` has been read."""
        for items in self._items:
            last = items[-1] if items else None
            if isinstance(last, Tick) and last.partition == partition and at - last.at < SOON_S:
                items.pop()  # nothing came in between: the later time says it all
            items.append(Tick(partition, at))

    def flush(self) -> list[tuple[int, list[bytes]]]:
        """Return per partition the values of its records, in order, and begin anew."""
        out = []
        for partition, items in enumerate(self._items):
            if items:
                out.append((partition, list(self._cut(items))))
                self._items[partition] = []
        self._traces.clear()
        return out

    def _cut(self, items: list[Item]) -> Iterator[bytes]:
        batch: list[bytes] = []
        traces: dict[int, str] = {}
        size = 0
        last: Item | None = None
        for item in items:
            encoded = encode_item(item)
            full = len(batch) >= MAX_ITEMS or size + len(encoded) > MAX_RECORD_BYTES
            if last is not None and full and not _same_origin(last, item):
                yield self._encode(batch, traces)
                batch, traces, size = [], {}, 0
            if self._traces and not isinstance(item, Tick):
                trace = self._traces.get((item.origin.partition, item.origin.offset))
                if trace is not None:
                    traces[len(batch)] = trace
            batch.append(encoded)
            size += len(encoded)
            last = item
        yield self._encode(batch, traces)

    def _encode(self, items: list[bytes], traces: dict[int, str]) -> bytes:
        return encode_batch(self._topic_id, self._mentions_partitions, items, traces)


def _same_origin(a: Item, b: Item) -> bool:
    if isinstance(a, Tick) or isinstance(b, Tick):
        return False
    return a.origin.partition == b.origin.partition and a.origin.offset == b.origin.offset


def with_reading(read: Read, reading: Reading) -> Read:
    """Return the same mention with its reading."""
    return msgspec.structs.replace(read, reading=reading)
