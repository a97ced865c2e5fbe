"""A watching worker waits for a broker that is away, and loses nothing to rebalances that leave it empty-handed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time

import pytest
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.assignor.partition_assignor import PartitionAssignor
from sqlalchemy import func, select

from monitor.store import Store
from monitor.store.tables import seen
from monitor.stream.embedded import EmbeddedBroker
from monitor.stream.topics import FETCH_WAIT_MS
from monitor.stream.watch import MissingRecordsError, Watcher, WatchEvents
from tests.support.pipeline import Pipeline, say
from tests.support.stores import url_for
from tests.support.workers import Topics

pytestmark = [pytest.mark.broker, pytest.mark.store]

ROUNDS = 2
EACH = 400


class _Assigned(WatchEvents):
    def __init__(self):
        self.partitions = asyncio.Event()

    def assigned(self, partitions, stories):
        del stories
        if partitions:
            self.partitions.set()


class _WithApp(Watcher):
    app = None
    late_s = 0.0
    ahead = 0
    deaf_s = 0.0

    def _app(self):
        self.app = super()._app()
        return self.app

    async def take_over(self, consumer, assigned):
        """Take over late, as on a machine that is busy: Faust fetches before it is told where to read on."""
        await asyncio.sleep(self.late_s)
        offsets = await super().take_over(consumer, assigned)
        if self.ahead:
            await consumer.seek_wait({tp: offset + self.ahead for tp, offset in offsets.items()})
            self.ahead = 0
        self._lose_seeks(consumer)
        return offsets

    def _lose_seeks(self, consumer):
        """Have seeks come to nothing at first, as where the consumer's thread does not answer in time."""
        seek, hears_from = consumer.seek_wait, time.monotonic() + self.deaf_s

        async def losing(offsets):
            if time.monotonic() >= hears_from:
                await seek(offsets)

        consumer.seek_wait = losing

    @property
    def joins(self):
        """Whether it waits for the group to be whole."""
        consumer = self.app and self.app.consumer._thread and self.app.consumer._thread._consumer
        return bool(consumer and consumer._coordinator and consumer._coordinator._performed_join_prepare)

    def rejoin(self):
        """Have the group share out its partitions anew."""
        thread = self.app.consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)


async def _forward(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _watcher(broker, prefix, tmp_path, port, events=None, **settings):
    topics = await Topics.of(broker, prefix)
    store = Store(url_for(tmp_path / "store.db"))
    store.migrate()
    client = {**topics.client, "bootstrap_servers": [f"127.0.0.1:{port}"]}
    return store, topics.watcher(store, tmp_path, events=events, kind=_WithApp, client=client, **settings)


async def _watcher_and_values(broker, prefix, tmp_path, mentions, *, readings=2, **settings):
    """Return store and watcher, what sets its first assignment, and a record of `readings` for each mention."""
    _, _, port = broker.bootstrap.partition(":")
    events = _Assigned()
    store, watcher = await _watcher(broker, prefix, tmp_path, int(port), events, **settings)
    source = Pipeline(url=url_for(tmp_path / "source.db"), readings=readings, size=1)
    source.feed(*(say(n, f"word{n} aurora hotels", n * 60.0, author=f"a{n}") for n in range(mentions)))
    return store, watcher, events.partitions, source.values


async def _publish(producer, topic, values):
    for partition, value in values:
        await producer.send(topic, value, partition=partition)
    await producer.flush()


@pytest.fixture
def port():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


async def test_a_broker_that_went_away_before_the_start_is_waited_for(broker, prefix, tmp_path, port):
    events, stop = _Assigned(), asyncio.Event()
    store, watcher = await _watcher(broker, prefix, tmp_path, port, events)
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(watcher.run(stop))
        async with asyncio.timeout(20):
            while not any(line["event"] == "broker_away" for line in logs):  # noqa: ASYNC110 -- the log is no future
                await asyncio.sleep(0.1)
        assert not running.done()
    host, _, real = broker.bootstrap.partition(":")

    async def through(reader, writer):
        there, back = await asyncio.open_connection(host, int(real))
        await asyncio.gather(_forward(reader, back), _forward(there, writer))

    async with await asyncio.start_server(through, "127.0.0.1", port):
        async with asyncio.timeout(40):
            await events.partitions.wait()
        assert not running.done()
        stop.set()
        await running
    store.close()


async def test_it_has_its_partitions_as_soon_as_any_consumer_would(broker, prefix, tmp_path):
    _, _, port = broker.bootstrap.partition(":")
    events, stop = _Assigned(), asyncio.Event()
    store, watcher = await _watcher(broker, prefix, tmp_path, int(port), events)
    beside = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=f"{prefix}-beside")
    await beside.start()
    beside.subscribe([f"{prefix}-r"])
    running = asyncio.create_task(watcher.run(stop))
    async with asyncio.timeout(40):
        while not beside.assignment():  # noqa: ASYNC110 -- aiokafka tells a listener, which would join the group anew
            await asyncio.sleep(0.02)
    async with asyncio.timeout(0.7):  # Faust by itself takes a second more
        await events.partitions.wait()
    assert watcher.app.consumer._thread._consumer._fetch_max_wait_ms == FETCH_WAIT_MS
    stop.set()
    await asyncio.gather(running, beside.stop())
    store.close()


async def test_told_to_stop_while_the_broker_is_away_it_stops(broker, prefix, tmp_path, port):
    stop = asyncio.Event()
    store, watcher = await _watcher(broker, prefix, tmp_path, port)
    running = asyncio.create_task(watcher.run(stop))
    await asyncio.sleep(1.0)
    stop.set()
    async with asyncio.timeout(10):
        await running
    store.close()


async def test_told_to_stop_while_it_waits_for_partitions_of_a_lost_member_it_stops(broker, prefix, tmp_path):
    port, lost, stop = int(broker.bootstrap.rpartition(":")[2]), asyncio.Event(), asyncio.Event()
    events = _Assigned()
    store, first = await _watcher(broker, prefix, tmp_path, port, events, session_timeout_s=10.0)
    running = asyncio.create_task(first.run(lost))
    async with asyncio.timeout(40):
        await events.partitions.wait()
    first.app.conf.leaves = False  # the group waits for it until its session is over
    lost.set()
    await running
    store.close()
    store, watcher = await _watcher(broker, prefix, tmp_path, port)
    running = asyncio.create_task(watcher.run(stop))
    async with asyncio.timeout(20):
        while not watcher.joins:  # noqa: ASYNC110 -- aiokafka tells nobody
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    assert watcher.joins
    stop.set()
    async with asyncio.timeout(5):
        await running
    assert not watcher.app.consumer._thread._thread.is_alive()  # else the process would wait for it
    store.close()


@pytest.fixture
def blind(monkeypatch):
    """What a broker that has just come back does, and no broker does when asked: it does not know its topics yet."""
    state, groups = asyncio.Event(), PartitionAssignor._get_copartitioned_groups.__func__

    @functools.wraps(groups)
    def seeing(cls, topics, cluster, subscriptions):
        return {} if state.is_set() else groups(cls, topics, cluster, subscriptions)

    monkeypatch.setattr(PartitionAssignor, "_get_copartitioned_groups", classmethod(seeing))
    return state


async def test_rebalances_that_give_it_nothing_at_first_leave_no_hole(broker, prefix, tmp_path, blind):
    shortest = 2.0 if isinstance(broker, EmbeddedBroker) else 6.0  # Apache Kafka's
    store, watcher, assigned, values = await _watcher_and_values(
        broker, prefix, tmp_path, ROUNDS * EACH, session_timeout_s=shortest
    )
    watcher.late_s = 0.3
    stop = asyncio.Event()
    running = asyncio.create_task(watcher.run(stop))
    async with asyncio.timeout(20):
        await assigned.wait()
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for begin in range(0, len(values), EACH):
            blind.set()
            await _rejoined(watcher, nothing=True)
            await _publish(producer, watcher.settings.readings, values[begin : begin + EACH])
            blind.clear()
            await _rejoined(watcher, nothing=False)
            async with asyncio.timeout(20):
                while not running.done() and _committed(store) < begin + EACH // 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    await _all_there(watcher, running, store, len(values))
    stop.set()
    await running
    store.close()


async def test_what_was_left_out_is_sought_and_read_once(broker, prefix, tmp_path):
    store, watcher, _, values = await _watcher_and_values(broker, prefix, tmp_path, EACH)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await _publish(producer, watcher.settings.readings, values)
    watcher.ahead = EACH // 8
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(watcher.run(stop))
        await _all_there(watcher, running, store, EACH)
    assert any(line["event"] == "sought_back" for line in logs)
    stop.set()
    await running
    store.close()


async def test_a_seek_that_was_lost_is_made_again_though_nothing_more_comes(broker, prefix, tmp_path):
    store, watcher, _, values = await _watcher_and_values(broker, prefix, tmp_path, EACH, readings=1)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await _publish(producer, watcher.settings.readings, values)
    watcher.ahead, watcher.deaf_s = EACH // 8, 4.0
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(watcher.run(stop))
        await _all_there(watcher, running, store, EACH)
    assert {"sought_back", "sought_again"} <= {line["event"] for line in logs}
    stop.set()
    await running
    store.close()


class _Looked(_Assigned):
    looks = 0

    def stories(self, live):
        del live
        self.looks += 1


async def test_it_tells_how_far_behind_it_is_while_a_record_waits_for_the_store(broker, prefix, tmp_path):
    port, events, stop = int(broker.bootstrap.rpartition(":")[2]), _Looked(), asyncio.Event()
    store, watcher = await _watcher(broker, prefix, tmp_path, port, events)
    running = asyncio.create_task(watcher.run(stop))
    async with asyncio.timeout(20):
        await events.partitions.wait()
    async with watcher._lock:  # held while the store is waited for
        for owned in watcher._owned.values():
            owned.seeks = 1  # and what was sought has not come
        before = events.looks
        async with asyncio.timeout(10):
            while events.looks < before + 2:  # noqa: ASYNC110 -- a count is no future
                await asyncio.sleep(0.1)
    stop.set()
    await running
    store.close()


async def test_records_that_the_topic_does_not_have_end_the_worker(kafka_broker, prefix, tmp_path):
    store, watcher, assigned, values = await _watcher_and_values(kafka_broker, prefix, tmp_path, 40, readings=1)
    running = asyncio.create_task(watcher.run(asyncio.Event()))
    async with asyncio.timeout(20):
        await assigned.wait()
    async with AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap, transactional_id=prefix) as producer:
        for _, value in values:
            async with producer.transaction():  # its end takes an offset that no reader ever sees
                await producer.send_and_wait(watcher.settings.readings, value, partition=0)
            await asyncio.wait([running], timeout=0.5)
            if running.done():
                break
    with pytest.raises(MissingRecordsError, match="1 was expected"):
        running.result()
    assert _committed(store) == 1
    store.close()


async def _all_there(watcher, running, store, expected):
    try:
        async with asyncio.timeout(60):  # an answer of the broker that is lost is asked for again after 40
            while not running.done() and _committed(store) < expected:  # noqa: ASYNC110 -- the store is no future
                await asyncio.sleep(0.1)
    except TimeoutError:
        owned = {number: (one.position, one.seeks) for number, one in watcher._owned.items()}
        consumer = watcher.app.consumer
        pytest.fail(
            f"{_committed(store)} of {expected} are stored; (position, seeks) by partition: {owned}; "
            f"assigned: {consumer.assignment()}; joins: {watcher.joins}; paused: {consumer._paused_partitions}"
        )
    if running.done():
        running.result()
    assert _committed(store) == expected


async def _rejoined(watcher, *, nothing):
    watcher.rejoin()
    async with asyncio.timeout(20):
        while bool(watcher.app.consumer.assignment()) is nothing:  # noqa: ASYNC110 -- Faust tells nobody
            await asyncio.sleep(0.01)


def _committed(store):
    with store.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(seen))
