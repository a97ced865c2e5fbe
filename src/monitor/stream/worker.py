"""What starting the scoring and the watching worker has in common: the frame of the process, and the topics."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from monitor import __version__
from monitor.stream.identity import UNREACHABLE
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from monitor.telemetry import run_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitor.config import Settings
    from monitor.stream.identity import TopicIdentity
    from monitor.telemetry import Worker

_log = structlog.get_logger("monitor.worker")

BROKER_PAUSE_S = 2.0


def run_framed(name: str, main: Callable[[Worker], Awaitable[None]], settings: Settings, port: int | None) -> None:
    """Run `main` as this process, framed as the settings say."""
    run_worker(
        name,
        main,
        host=settings.http.host,
        port=port,
        stuck_after_s=settings.http.stuck_after_s,
        log_format=settings.log.format,
        log_level=settings.log.level,
        version=__version__,
    )


async def topics_of(settings: Settings, worker: Worker) -> dict[str, TopicIdentity] | None:
    """Make or verify the topics, waiting for a broker that is away; None if told to stop meanwhile."""
    client = client_options(settings.kafka, name="monitor-start")
    while not worker.stop.is_set():
        looking = asyncio.create_task(
            ensure_topics(client, topic_plans(settings.kafka), create=settings.kafka.create_topics)
        )
        stopping = asyncio.create_task(worker.stop.wait())
        try:
            await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return looking.result() if looking.done() else None  # a broker that hangs does so longer than a stop may
        except (*UNREACHABLE, OSError) as error:
            _log.warning("broker_away", error=type(error).__name__, again_in_s=BROKER_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(worker.stop.wait(), BROKER_PAUSE_S)
        finally:
            stopping.cancel()
            looking.cancel()
    return None
