"""A mention's trace context reaches the receiver of the page, through a broker and the real workers."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import structlog
from aiokafka import AIOKafkaProducer

from monitor.brand import BrandMatcher
from monitor.clock import WallClock
from monitor.config import KafkaSettings, TopicNames
from monitor.engine import EngineSettings
from monitor.escalation.rules import default_rules
from monitor.mention import Mention
from monitor.page.channels.webhook import Endpoint, WebhookNotifier
from monitor.page.dispatcher import Dispatcher
from monitor.sentiment.stub import StubScorer
from monitor.store import OutboxStore, Store, WatchStore
from monitor.stream.score import TICK_HEADER, ScoreSettings, ScoreWorker
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from monitor.stream.watch import Watcher, WatchSettings
from tests.support.pipeline import T0, brands, in_time, on_call, outcry, with_ticks
from tests.support.receivers import answering
from tests.support.stores import url_for

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
    kafka = KafkaSettings(
        bootstrap=broker.bootstrap,
        topics=TopicNames(mentions=f"{prefix}-m", readings=f"{prefix}-r", dead=f"{prefix}-d", incidents=f"{prefix}-i"),
        mentions_partitions=1,
        readings_partitions=2,
    )
    client = client_options(kafka)
    topics = await ensure_topics(client, topic_plans(kafka))
    mentions, readings = topics[kafka.topics.mentions], topics[kafka.topics.readings]
    store, tree, clock = Store(url_for(tmp_path / "store.db")), brands(), WallClock()
    store.migrate()
    await _publish(client, mentions.topic)
    scorer = ScoreWorker(
        ScoreSettings(
            client=client, mentions=mentions.topic, readings=readings.topic, dead=kafka.topics.dead,
            group=f"{prefix}-s", mentions_topic_id=mentions.topic_id, readings_partitions=2, live=False,
        ),
        StubScorer(), BrandMatcher(tree), clock, ThreadPoolExecutor(1),
    )  # fmt: skip
    watcher = Watcher(
        WatchSettings(
            client=client, readings=readings.topic, group=f"{prefix}-w", data_dir=tmp_path / "faust",
            engine=EngineSettings(readings_partitions=2, mode="replay"),
        ),
        readings, store, WatchStore(store, on_call("ana")), tree, default_rules(), clock,
    )  # fmt: skip
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
