"""The dead letters: what could not be read, shown safely, and sent again once its cause is mended.

Each stands in the dead-letter topic as it came, with `reason`, `detail`, and the `topic`, `partition` and `offset` it
came from in its headers. The topic is only appended to: what was sent again stays there, and a second replay sends it
a second time, which its id makes harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from monitor.stream.embedded import BrokerError
from monitor.stream.identity import topic_identity
from monitor.stream.topics import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

QUIET_MS = 1000
"""So long without a record is the topic's end: the embedded broker does not know its own end."""

_OURS = frozenset({"reason", "detail", "topic", "partition", "offset", "cut"})


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record of the dead-letter topic. `cut`: how many bytes it once had, if what stands there is its beginning only.

    `topic`, `partition` and `offset` say where it came from; `at` is when it was dead-lettered (seconds).
    """

    at: float
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    cut: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def origin(self) -> str:
        """Where it came from, as one word.

        >>> DeadLetter(at=0.0, reason="r", detail="", topic="mentions", partition=2, offset=7, value=b"").origin
        'mentions[2]@7'
        """
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Sifting(Struct, frozen=True, kw_only=True):
    """Which dead letters are meant; what is empty or None lets all through. `since`: seconds since the epoch."""

    reasons: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    since: float | None = None
    limit: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether this one is meant, the limit aside."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.origins or letter.origin in self.origins)
            and (self.since is None or letter.at >= self.since)
        )


class Replayed(Struct):
    """What a replay did: letters sent again, and those that cannot be, for only their beginning was kept."""

    sent: int = 0
    cut: int = 0


async def dead_letters(
    client: Mapping[str, Any], topic: str, sifting: Sifting | None = None
) -> AsyncIterator[DeadLetter]:
    """Yield the dead letters that stand in `topic` now, oldest first within each partition.

    Raises:
        BrokerError: nobody answers, or there is no such topic.
    """
    sifting = sifting or Sifting()
    partitions = (await topic_identity(client, topic)).partitions
    consumer = AIOKafkaConsumer(
        **client, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=MAX_RECORD_BYTES
    )
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
        await consumer.seek_to_beginning()
        found = 0
        while True:
            batches = await consumer.getmany(timeout_ms=QUIET_MS)
            if not batches:
                return
            for records in batches.values():
                for record in records:
                    letter = _letter(record)
                    if not sifting.takes(letter):
                        continue
                    if sifting.limit is not None and found >= sifting.limit:
                        return
                    found += 1
                    yield letter
    except KafkaError as error:
        raise BrokerError(f"{topic} cannot be read ({type(error).__name__}): see `monitor doctor`") from error
    finally:
        await consumer.stop()


async def replay(
    client: Mapping[str, Any], topic: str, mentions: str, sifting: Sifting | None = None, *, dry: bool = False
) -> Replayed:
    """Send dead letters of `topic` to `mentions` again, as they came; `dry` only counts.

    Raises:
        BrokerError: nobody answers, or a topic does not exist.
    """
    done = Replayed()
    await topic_identity(client, mentions)
    # The letters are collected first: what fails again comes back here, and must not be sent round and round.
    letters = [letter async for letter in dead_letters(client, topic, sifting)]
    producer = AIOKafkaProducer(**client, acks="all", max_request_size=MAX_RECORD_BYTES)
    try:
        await producer.start()
        for letter in letters:
            if letter.cut is not None:
                done.cut += 1
                continue
            if not dry:
                await producer.send_and_wait(
                    mentions,
                    letter.value,
                    key=letter.key,
                    headers=[*letter.headers, ("replayed", letter.origin.encode())],
                )
            done.sent += 1
    except KafkaError as error:
        raise BrokerError(
            f"{mentions} took {done.sent} dead letters and then no more ({type(error).__name__}): "
            "see `monitor doctor`, and replay again; what arrived twice counts once"
        ) from error
    finally:
        await producer.stop()
    return done


def _letter(record: Any) -> DeadLetter:
    headers = {name: value for name, value in record.headers or () if name in _OURS and value is not None}
    return DeadLetter(
        at=record.timestamp / 1000.0,
        reason=_word(headers.get("reason"), "unknown"),
        detail=_word(headers.get("detail"), ""),
        topic=_word(headers.get("topic"), record.topic),
        partition=_number(headers.get("partition"), record.partition),
        offset=_number(headers.get("offset"), record.offset),
        cut=_number(headers["cut"], 0) if "cut" in headers else None,
        key=record.key,
        value=record.value or b"",
        headers=tuple(
            (name, value) for name, value in record.headers or () if name not in _OURS and name != "replayed"
        ),
    )


def _word(value: bytes | None, otherwise: str) -> str:
    return value.decode("utf-8", "replace") if value is not None else otherwise


def _number(value: bytes | None, otherwise: int) -> int:
    return int(value) if value is not None and value.isdigit() else otherwise
