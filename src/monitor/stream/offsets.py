"""Where the store says that reading goes on, against what the broker has; and starting anew on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct
from msgspec.structs import replace

from monitor.store import PartitionState
from monitor.stream.identity import topic_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.store import WatchStore
    from monitor.stream.identity import TopicIdentity


class Standing(Struct, frozen=True, kw_only=True):
    """One partition: what the store has (None: nothing yet), where the topic begins and ends, and what is wrong."""

    topic: str
    partition: int
    stored: PartitionState | None
    begin: int
    end: int
    problem: str | None = None


async def standings(client: Mapping[str, Any], topic: str, store: WatchStore) -> list[Standing]:
    """Return how each partition of `topic` stands. The embedded broker's `end` is not to be trusted.

    Raises:
        BrokerError: nobody answers, or there is no such topic.
    """
    identity = await topic_identity(client, topic)
    begins, ends = await _edges(client, identity)
    found = []
    for partition in range(identity.partitions):
        stored = store.state(topic, partition)
        begin, end = begins[partition], ends[partition]
        problem = _problem(stored, identity, begin) if stored is not None else None
        found.append(Standing(topic=topic, partition=partition, stored=stored, begin=begin, end=end, problem=problem))
    return found


async def reset(
    client: Mapping[str, Any], topic: str, store: WatchStore, to: Literal["beginning", "now"]
) -> list[Standing]:
    """Make the store agree to `topic` as it is now, read from its beginning or from now on; return how it stands then.

    Stories and ids stay, so what was counted before is not counted again. Stop the `watch` workers first.

    Raises:
        BrokerError: nobody answers, or there is no such topic.
    """
    identity = await topic_identity(client, topic)
    begins, ends = await _edges(client, identity)
    for partition in range(identity.partitions):
        old = store.state(topic, partition)
        offset = begins[partition] if to == "beginning" else ends[partition]
        fresh = PartitionState(topic, partition, identity.cluster, identity.topic_id, identity.partitions, offset)
        state = replace(fresh, marks=old.marks, clock=old.clock) if old is not None else fresh
        store.reset(topic, state=state)
    return await standings(client, topic, store)


async def _edges(client: Mapping[str, Any], identity: TopicIdentity) -> tuple[dict[int, int], dict[int, int]]:
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False)
    try:
        await consumer.start()
        places = [TopicPartition(identity.topic, partition) for partition in range(identity.partitions)]
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    return {tp.partition: at for tp, at in begins.items()}, {tp.partition: at for tp, at in ends.items()}


def _problem(stored: PartitionState, identity: TopicIdentity, begin: int) -> str | None:
    if stored.partitions != identity.partitions:
        return f"the store was written with {stored.partitions} partitions, the topic has {identity.partitions}"
    if stored.cluster != identity.cluster:
        return "the store was written for another cluster"
    if stored.topic_id != identity.topic_id:
        return "the topic was made anew since"
    if stored.next_offset < begin:
        return f"{begin - stored.next_offset} records are gone that were not read yet (retention)"
    return None
