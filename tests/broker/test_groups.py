"""How a member of a group ends on the embedded broker, and that whoever comes after it gets its partitions."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from monitor.store import Store
from monitor.stream.groups import end_unsaid, member_hosts
from tests.support.stores import url_for
from tests.support.workers import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.stream.score import ScoreWorker
    from monitor.stream.watch import Watcher

pytestmark = [pytest.mark.broker, pytest.mark.store]

SESSION_S = 3.0
HEARTBEAT_S = SESSION_S / 4


async def _join(topics: Topics, group: str, topic: str = "") -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        **topics.client,
        group_id=group,
        enable_auto_commit=False,
        session_timeout_ms=int(SESSION_S * 1000),
        heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
    )
    await consumer.start()
    consumer.subscribe([topic or topics.mentions.topic])
    return consumer


async def _owns(consumer: AIOKafkaConsumer, partitions: int, *, within_s: float = 60.0) -> bool:
    try:
        async with asyncio.timeout(within_s):
            while len(consumer.assignment()) != partitions:
                await consumer.getmany(timeout_ms=100)
    except TimeoutError:
        return False
    return True


async def _the_next(topics: Topics, group: str, *, unsaid: bool) -> bool:
    """Let a leader stop just after the other member's session is over, unnoticed; return whether the next one reads."""
    leader = await _join(topics, group)
    assert await _owns(leader, 4)
    other = await _join(topics, group)
    assert await _owns(leader, 2)
    assert await _owns(other, 2)
    end_unsaid(other)
    await other.stop()
    await asyncio.sleep(SESSION_S - HEARTBEAT_S)
    leader._coordinator._heartbeat_task.cancel()  # else it might notice, and the group would be whole again
    await asyncio.sleep(HEARTBEAT_S + 0.2)
    if unsaid:
        end_unsaid(leader)
    await leader.stop()
    follower = await _join(topics, group)
    try:
        return await _owns(follower, 4, within_s=6 * SESSION_S)
    finally:
        end_unsaid(follower)
        await follower.stop()


async def test_who_ends_unsaid_is_followed_also_where_another_was_lost_unnoticed(own_embedded):
    topics = await Topics.of(own_embedded, "groups", mentions=4)
    said, unsaid = await asyncio.gather(
        _the_next(topics, "said", unsaid=False), _the_next(topics, "unsaid", unsaid=True)
    )
    assert unsaid
    assert not said, "the embedded broker forgets a leader that left: let workers leave there too (groups.end_unsaid)"


async def _ended(topics: Topics, group: str, *workers: tuple[ScoreWorker | Watcher, Callable[[], int]]) -> int:
    """Let workers join and stop, one after the other; return how many addresses the group's members still have.

    Two at least: aiokafka never leaves the generation 0, which is the broker's first.
    """
    for worker, owned in workers:
        stop = asyncio.Event()
        working = asyncio.create_task(worker.run(stop))
        async with asyncio.timeout(60):
            while owned() != 2:  # noqa: ASYNC110 -- the broker moves it
                await asyncio.sleep(0.1)
        stop.set()
        await working
    return len(await member_hosts(topics.client, group))


async def test_score_ends_unsaid_on_the_embedded_broker_alone(own_embedded):
    def made(topics: Topics, **leaves: bool) -> tuple[ScoreWorker, Callable[[], int]]:
        worker = topics.scorer(session_timeout_ms=3000, **leaves)
        return worker, lambda: len(worker._consumer.assignment()) if worker._consumer is not None else 0

    for prefix, leaves, members in (("as-elsewhere", {"leaves": True}, 0), ("as-here", {}, 1)):
        topics = await Topics.of(own_embedded, prefix, mentions=2)
        found = await _ended(topics, f"{prefix}-s", made(topics, **leaves), made(topics, **leaves))
        assert found == members, prefix


async def test_watch_ends_unsaid_on_the_embedded_broker_alone(own_embedded, tmp_path):
    store = Store(url_for(tmp_path / "monitor.sqlite"))
    store.migrate()

    def made(topics: Topics, cluster: str) -> tuple[Watcher, Callable[[], int]]:
        readings = msgspec.structs.replace(topics.readings, cluster=cluster)
        worker = dataclasses.replace(topics, readings=readings).watcher(store, tmp_path, session_timeout_s=3.0)
        return worker, lambda: len(worker._owned)

    for prefix, elsewhere, members in (("as-elsewhere", "MkU3OEVBNTcwNTJENDM2Qg", 0), ("as-here", None, 1)):
        topics = await Topics.of(own_embedded, prefix, readings=2)
        cluster = elsewhere or topics.readings.cluster
        found = await _ended(topics, f"{prefix}-w", made(topics, cluster), made(topics, cluster))
        assert found == members, prefix
    store.close()
