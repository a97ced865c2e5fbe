"""Replays mentions into Kafka far faster than life, but never far ahead of the workers."""

from __future__ import annotations

import asyncio
import time
import zlib
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct

from monitor.source.ticks import Ticker
from monitor.stream.score import TICK_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping

SETTLE_S = 600.0
"""Event time that passes after the last mention, so that what holds is decided."""


class Outgoing(Struct, frozen=True):
    """One record to publish: the mention as bytes, its id for the partition, and its event time (None: unknown)."""

    value: bytes
    key: str
    at: float | None


class Replayer:
    """Publishes a stream with its ticks.

    Args:
        client: aiokafka's options for the broker.
        topic: the topic of mentions.
        partitions: how many it has.
        behind: asked again and again; how many published mentions the workers have not accounted for yet.
        window: publish no more while so many are not accounted for.
        rate: mentions a second at most (None: as fast as the workers are).
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        topic: str,
        partitions: int,
        *,
        behind: Callable[[int], Awaitable[int]],
        window: int = 1500,
        rate: float | None = None,
    ) -> None:
        self._client = dict(client)
        self._topic = topic
        self._partitions = partitions
        self._behind = behind
        self._window = window
        self._rate = rate
        self._ticker = Ticker()
        self.published = 0
        self.event_time = 0.0
        """How far the stream is, seconds since the epoch."""
        self.done = False

    async def run(self, stream: Iterable[Outgoing] | Iterator[Outgoing]) -> None:
        """Publish the whole stream, then the ticks that let it settle.

        Raises:
            KafkaError: the broker did not take a record.
        """
        producer = AIOKafkaProducer(**self._client, acks="all", linger_ms=5, max_request_size=16 << 20)
        await producer.start()
        began = time.monotonic()
        pending: list[asyncio.Future[Any]] = []
        try:
            async for outgoing in self._paced(stream, began, pending):
                if outgoing.at is not None:
                    await self._tick(producer, self._ticker.until(max(self.event_time, outgoing.at)), pending)
                    self.event_time = max(self.event_time, outgoing.at)
                partition = zlib.crc32(outgoing.key.encode("utf-8", "replace")) % self._partitions
                pending.append(await producer.send(self._topic, outgoing.value, partition=partition))
                self.published += 1
            await self._tick(producer, self._ticker.until(self.event_time + SETTLE_S), pending)
            await _settled(pending)
        finally:
            await producer.stop()
        self.done = True

    async def _paced(
        self, stream: Iterable[Outgoing], began: float, pending: list[asyncio.Future[Any]]
    ) -> AsyncIterator[Outgoing]:
        """Yield the stream no faster than the rate and the workers allow."""
        for number, outgoing in enumerate(stream):
            if number % 64 == 0:
                await _settled(pending)
                while await self._behind(self.published) > self._window:  # noqa: ASYNC110 -- another process moves it
                    await asyncio.sleep(0.02)
                if self._rate is not None:
                    ahead = began + number / self._rate - time.monotonic()
                    if ahead > 0:
                        await asyncio.sleep(ahead)
            yield outgoing

    async def _tick(self, producer: Any, ticks: Iterator[float], pending: list[asyncio.Future[Any]]) -> None:
        for at in ticks:
            value, headers = repr(at).encode(), [(TICK_HEADER, b"1")]
            pending += [
                await producer.send(self._topic, value, partition=partition, headers=headers)
                for partition in range(self._partitions)
            ]


async def _settled(pending: list[asyncio.Future[Any]]) -> None:
    """Wait until the broker has taken everything that was sent."""
    for future in pending:
        try:
            await future
        except KafkaError:
            pending.clear()
            raise
    pending.clear()
