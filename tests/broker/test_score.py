"""The scoring worker on a real broker: what stands in `readings`, and in which order."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from monitor.engine import decode_batch
from monitor.engine.records import Tick
from monitor.sentiment.stub import StubScorer
from monitor.stream.score import LEAST_ROUND
from tests.support.pipeline import say
from tests.support.workers import Topics

pytestmark = pytest.mark.broker


class SecondFirst(StubScorer):
    """Reads two rounds at a time; the first is done only when the second is."""

    at_once = 2

    def __init__(self) -> None:
        super().__init__()
        self._overtaken = threading.Event()
        self.done: list[int] = []

    def read(self, texts, langs=None):
        number = int(texts[0].rpartition(" ")[2])
        if number == 0:
            assert self._overtaken.wait(30), "the second round was not begun before the first was read"
        out = super().read(texts, langs)
        self.done.append(number)
        if number == LEAST_ROUND:
            self._overtaken.set()
        return out


async def test_a_round_that_is_read_before_the_one_before_it_is_sent_after_it(broker, prefix):
    topics = await Topics.of(broker, prefix, readings=1)
    mentions = 3 * LEAST_ROUND
    async with AIOKafkaProducer(**topics.client) as producer:
        for number in range(mentions):
            raw = say(number, f"Aurora Hotels lost my bag {number}", float(number))
            await producer.send_and_wait(topics.mentions.topic, raw)
    model, stop = SecondFirst(), asyncio.Event()
    working = asyncio.create_task(topics.scorer(model, live=False, round_size=LEAST_ROUND).run(stop))
    offsets: list[int] = []
    async with AIOKafkaConsumer(**topics.client, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topics.readings.topic, 0)])
        async with asyncio.timeout(60):
            while len(offsets) < mentions:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        items = decode_batch(record.value).items
                        offsets += [item.origin.offset for item in items if not isinstance(item, Tick)]
    stop.set()
    await working
    assert model.done[:2] == [LEAST_ROUND, 0]
    assert offsets == list(range(mentions))
