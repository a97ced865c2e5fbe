"""A mention's trace context reaches the receiver of the page, through a broker and the real workers."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
import structlog
from aiokafka import AIOKafkaProducer

from monitor.clock import WallClock
from monitor.mention import Mention
from monitor.page.channels.webhook import Endpoint, WebhookNotifier
from monitor.page.dispatcher import Dispatcher
from monitor.store import OutboxStore, Store
from monitor.stream.score import TICK_HEADER
from tests.support.pipeline import T0, in_time, outcry, with_ticks
from tests.support.receivers import answering
from tests.support.stores import url_for
from tests.support.workers import Topics

pytestmark = [pytest.mark.broker, pytest.mark.store]

HOUR = 3600.0
PATIENCE_S = 60.0
TRACES = {
    "aurora-hotels": f"00-{'a' * 32}-00f067aa0ba902b7-01",
    "calder-rail": f"00-{'c' * 32}-00f067aa0ba902b7-00",
}
"""Blue Finch Air's producer sends none."""


async def _publish(client: dict, topic: str) -> None:
    named = {"Aurora": TRACES["aurora-hotels"], "Calder": TRACES["calder-rail"]}
    raws = [raw for brand in ("Aurora Hotels", "Blue Finch Air", "Calder Rail") for raw in outcry(brand, HOUR)]
    async with AIOKafkaProducer(**client) as producer:
        for what in with_ticks(in_time(raws), settle=HOUR):
            if isinstance(what, float):
                await producer.send(topic, repr(T0 + what).encode(), headers=[(TICK_HEADER, b"1")], partition=0)
                continue
            text = msgspec.json.decode(what, type=Mention).id
            trace = next((trace for brand, trace in named.items() if text.startswith(brand)), None)
            headers = [("traceparent", trace.encode())] if trace else []
            await producer.send(topic, what, headers=headers, partition=0)
        await producer.flush()


async def test_the_trace_of_a_mention_is_on_its_page(broker, prefix, tmp_path):
    topics = await Topics.of(broker, prefix)
    store, clock = Store(url_for(tmp_path / "store.db")), WallClock()
    store.migrate()
    await _publish(topics.client, topics.mentions.topic)
    scorer, watcher = topics.scorer(live=False), topics.watcher(store, tmp_path, mode="replay")
    stop = asyncio.Event()
    async with answering((200, {}, {})) as (url, calls):
        hook = WebhookNotifier({}, default=Endpoint(url, ("a secret",)))
        dispatcher = Dispatcher(OutboxStore(store), {"webhook": hook}, clock=clock)
        with structlog.testing.capture_logs() as logs:
            running = [asyncio.create_task(work(stop)) for work in (scorer.run, watcher.run, dispatcher.run)]
            try:
                deadline = time.monotonic() + PATIENCE_S
                while len({call["json"]["data"]["umbrella"] for call in calls}) < 3 and time.monotonic() < deadline:
                    await asyncio.sleep(0.1)
                    assert not any(task.done() for task in running), [task for task in running if task.done()]
            finally:
                stop.set()
                await asyncio.gather(*running)
        await hook.close()
    store.close()
    said = {call["json"]["data"]["umbrella"]: call["headers"].get("traceparent") for call in calls}
    assert said == {**TRACES, "blue-finch-air": None}
    settled = {line.get("trace_id") for line in logs if line["event"] == "page_settled"}
    assert settled == {"a" * 32, "c" * 32, None}
