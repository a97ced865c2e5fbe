"""A watching worker that starts while the broker is away waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import structlog

from monitor.clock import WallClock
from monitor.config import KafkaSettings, TopicNames
from monitor.engine import EngineSettings
from monitor.escalation.rules import default_rules
from monitor.store import Store, WatchStore
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from monitor.stream.watch import Watcher, WatchEvents, WatchSettings
from tests.support.pipeline import brands, on_call
from tests.support.stores import url_for

pytestmark = [pytest.mark.broker, pytest.mark.store]


class _Assigned(WatchEvents):
    def __init__(self):
        self.partitions = asyncio.Event()

    def assigned(self, partitions, stories):
        del stories
        if partitions:
            self.partitions.set()


async def _forward(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _watcher(broker, prefix, tmp_path, port, events=None):
    kafka = KafkaSettings(
        bootstrap=broker.bootstrap,
        topics=TopicNames(mentions=f"{prefix}-m", readings=f"{prefix}-r", dead=f"{prefix}-d", incidents=f"{prefix}-i"),
        mentions_partitions=1,
        readings_partitions=2,
    )
    client = client_options(kafka)
    readings = (await ensure_topics(client, topic_plans(kafka)))[kafka.topics.readings]
    store = Store(url_for(tmp_path / "store.db"))
    store.migrate()
    watcher = Watcher(
        WatchSettings(
            client={**client, "bootstrap_servers": [f"127.0.0.1:{port}"]}, readings=readings.topic,
            group=f"{prefix}-w", data_dir=tmp_path / "faust", engine=EngineSettings(readings_partitions=2),
        ),
        readings, store, WatchStore(store, on_call("ana")), brands(), default_rules(), WallClock(), events,
    )  # fmt: skip
    return store, watcher


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


async def test_told_to_stop_while_the_broker_is_away_it_stops(broker, prefix, tmp_path, port):
    stop = asyncio.Event()
    store, watcher = await _watcher(broker, prefix, tmp_path, port)
    running = asyncio.create_task(watcher.run(stop))
    await asyncio.sleep(1.0)
    stop.set()
    async with asyncio.timeout(10):
        await running
    store.close()
