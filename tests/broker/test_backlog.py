"""Six hours of backlog through a broker and the real workers: one page, which says since when."""

from __future__ import annotations

import asyncio
import time
import zlib

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from monitor.clock import VirtualClock, WallClock
from monitor.engine.partition import Marks
from monitor.mention import Mention, encode
from monitor.page.dispatcher import Dispatcher
from monitor.page.facts import iso
from monitor.page.types import Delivery
from monitor.store import IncidentStore, OutboxStore, PartitionState, Store, WatchStore
from tests.support.pipeline import NAMES, T0, chatter, in_time, on_call, outcry
from tests.support.stores import url_for
from tests.support.workers import Topics

pytestmark = [pytest.mark.broker, pytest.mark.store]
HOUR = 3600.0
PATIENCE_S = 90.0


class Desk:
    """A receiver that keeps what arrived."""

    name, exactly_once = "webhook", True

    def __init__(self):
        self.pages = []

    async def send(self, page):
        self.pages.append(page)
        return Delivery("accepted")

    async def check(self):
        return None

    async def close(self):
        pass


def six_hours(end: float) -> list[tuple[float, bytes]]:
    """Three complaints that still go on at `end`, and ordinary days around them; each with its time."""
    shift = end - 6 * HOUR - T0
    raws = [raw for brand in NAMES for raw in chatter(brand, 0, 6 * HOUR, 1200.0)]
    for number, brand in enumerate(NAMES[:3]):
        raws += outcry(brand, (4.6 + number * 0.2) * HOUR, people=120, hours=1.39 - number * 0.2, tag="now")
    out = []
    for raw in in_time(raws):
        mention = msgspec.json.decode(raw, type=Mention)
        at = mention.published_at.timestamp() + shift
        moment = type(mention.published_at).fromtimestamp(at, mention.published_at.tzinfo)
        # Without `observed_at`: the record's own time stands for it.
        out.append((at, encode(msgspec.structs.replace(mention, published_at=moment, observed_at=None))))
    return [(at, raw) for at, raw in out if at <= end]


async def test_after_six_hours_of_backlog_the_person_on_call_gets_one_page(broker, prefix, tmp_path):
    topics, clock = await Topics.of(broker, prefix, mentions=3, readings=4), WallClock()
    mentions, readings = topics.mentions, topics.readings
    now = clock.now()
    stopped_at = now - 6 * HOUR

    store = Store(url_for(tmp_path / "store.db"))
    store.migrate()
    watch_store = WatchStore(store, on_call("ana"))
    marks = msgspec.msgpack.encode(Marks(topic_id=mentions.topic_id, clock=stopped_at))
    for partition in range(4):  # as a worker left it that died six hours ago
        watch_store.begin(
            PartitionState(readings.topic, partition, readings.cluster, readings.topic_id, 4, 0, marks, stopped_at)
        )
    stream = six_hours(now - 5.0)
    async with AIOKafkaProducer(**topics.client) as producer:
        for at, raw in stream:
            partition = zlib.crc32(raw) % 3
            await producer.send(mentions.topic, raw, partition=partition, timestamp_ms=int(at * 1000))
        await producer.flush()

    scorer, watcher = topics.scorer(), topics.watcher(store, tmp_path)
    desk, stop = Desk(), asyncio.Event()
    dispatcher = Dispatcher(OutboxStore(store), {"webhook": desk}, clock=clock)
    running = [asyncio.create_task(work(stop)) for work in (scorer.run, watcher.run, dispatcher.run)]
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not desk.pages and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            assert not any(task.done() for task in running), [task for task in running if task.done()]
        await asyncio.sleep(8.0)  # whatever else would come
    finally:
        stop.set()
        await asyncio.gather(*running)
    incidents = IncidentStore(store, on_call("ana"), VirtualClock())
    found = incidents.all()
    assert sorted(one.umbrella for one in found) == ["aurora-hotels", "blue-finch-air", "calder-rail"]
    assert [page.purpose for page in desk.pages] == ["backlog"]
    (page,) = desk.pages
    assert page.facts["since"] == iso(stopped_at)
    assert sorted(row["incident"] for row in page.facts["incidents"]) == sorted(one.id for one in found)
    store.close()
