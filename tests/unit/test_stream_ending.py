"""A worker ends when it is told to, whatever its broker does."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiokafka.errors import KafkaConnectionError

from monitor.config import Settings
from monitor.stream import groups
from monitor.stream.groups import in_time
from monitor.stream.worker import topics_of
from monitor.telemetry import Worker


async def test_a_step_of_leaving_ends_in_time_and_the_next_is_taken(monkeypatch):
    monkeypatch.setattr(groups, "LEAVE_S", 0.05)
    given_up: list[str] = []

    async def waits():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.append("waits")
            raise

    async def fails():
        raise KafkaConnectionError

    async def is_cancelled():  # as the fetches of an aiokafka consumer that stops without its broker
        raise asyncio.CancelledError

    async with asyncio.timeout(10):
        for step in (waits, fails, is_cancelled):
            await in_time(step())
    assert given_up == ["waits"]


async def test_what_is_wrong_with_a_step_of_leaving_is_told():
    async def wrong():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await in_time(wrong())


async def test_told_to_stop_while_the_broker_says_nothing_it_looks_no_longer_for_topics():
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it is connected to, and never answers
        settings = Settings.model_validate({"kafka": {"bootstrap": f"127.0.0.1:{mute.getsockname()[1]}"}})
        worker = Worker("score")
        looking = asyncio.create_task(topics_of(settings, worker))
        await asyncio.sleep(0.5)
        assert not looking.done()
        worker.stop.set()
        async with asyncio.timeout(5):
            assert await looking is None
