"""A record of the `readings` topic: a micro-batch for one partition, as MessagePack.

Order inside a batch is the order in which the scoring worker read its partitions of `mentions`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from monitor.sentiment.reading import Origin, ReadMention

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1


class Marker(Struct, frozen=True, array_like=True, tag="marker"):
    """A record of `mentions` that ends here, sent on only so that it is counted once, with the offset."""

    outcome: Literal["dead", "no_brand"]
    origin: Origin


class Tick(Struct, frozen=True, array_like=True, tag="tick"):
    """Partition `partition` of `mentions` has been read up to `at` (event time, seconds since the epoch)."""

    partition: int
    at: float


Item = ReadMention | Marker | Tick


class ReadingBatch(Struct, frozen=True, array_like=True):
    """One record. `topic_id` names the very `mentions` topic that the origins refer to, `partitions` its width.

    `traces`: the `traceparent` of those items whose producer sent one, by their place; where none did it is left out.
    """

    format: int
    topic_id: str
    partitions: int
    items: list[Item]
    traces: dict[int, str] | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ReadingBatch)


def encode_batch(topic_id: str, partitions: int, items: Sequence[bytes], traces: dict[int, str] | None = None) -> bytes:
    """Return the record's value, of items already encoded (see `ReadingBatch` for the fields)."""
    fields = (FORMAT, topic_id, partitions, [msgspec.Raw(item) for item in items])
    return _encoder.encode((*fields, traces) if traces else fields)


def encode_item(item: Item) -> bytes:
    """Return one item's bytes, to know how large a batch becomes."""
    return _encoder.encode(item)


def decode_batch(value: bytes) -> ReadingBatch:
    """Return the batch in a record's value.

    Raises:
        msgspec.DecodeError: these bytes are no batch of this format.
    """
    batch = _decoder.decode(value)
    if batch.format != FORMAT:
        raise msgspec.ValidationError(f"format {batch.format}, this version reads {FORMAT}")
    return batch


def partition_of(name: str, partitions: int) -> int:
    """Return the partition of `readings` that owns an umbrella (or, with no umbrella, an id).

    The same in every process and version: it is part of the stored data's meaning.

    >>> partition_of("meridian", 8) == partition_of("meridian", 8)
    True
    """
    return int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=4).digest(), "big") % partitions


def id_key(source: str, mention_id: str) -> bytes:
    """Return the 16 bytes under which a mention's id is kept: no handle or text stands in the ids seen."""
    return blake2b(f"{source}\0{mention_id}".encode("utf-8", "replace"), digest_size=16).digest()


def voice_hash(voice: str) -> int:
    """Return the 64-bit number under which an author is counted.

    >>> 0 <= voice_hash("twitter@someone") < 2**64
    True
    """
    return int.from_bytes(blake2b(voice.encode("utf-8", "replace"), digest_size=8).digest(), "big")
