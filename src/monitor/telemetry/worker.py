"""The frame of a worker process: log, health, metrics, signals, and an end that comes in time."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import structlog

from monitor.telemetry.health import Health
from monitor.telemetry.http import TelemetryServer
from monitor.telemetry.logs import configure_logs
from monitor.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitor.telemetry.logs import Format

GRACE_S = 9.0
"""Seconds after the first signal after which the process ends, finished or not: it may die at any moment anyhow."""

_log = structlog.get_logger("monitor.worker")


class Worker:
    """What a worker's main coroutine gets: when to stop, where to count, where to say that it is well."""

    def __init__(self, name: str, *, version: str = "", stuck_after_s: float = 120.0) -> None:
        self.name = name
        self.stop = asyncio.Event()
        self.health = Health(stuck_after_s)
        self.metrics = Metrics(version=version)
        self.metrics.watch_health(self.health)
        self.port: int | None = None


async def serve(
    worker: Worker, main: Callable[[Worker], Awaitable[None]], *, host: str = "127.0.0.1", port: int | None = 0
) -> None:
    """Run `main` with the worker's health and metrics served beside it, until it returns."""
    async with TelemetryServer(worker.health, worker.metrics, host=host, port=port) as server:
        worker.port = server.port
        _log.info("worker_started", worker=worker.name, health_port=server.port)
        await main(worker)
    _log.info("worker_stopped", worker=worker.name)


def run_worker(
    name: str,
    main: Callable[[Worker], Awaitable[None]],
    *,
    host: str,
    port: int | None,
    stuck_after_s: float,
    log_format: Format = "auto",
    log_level: str = "info",
    version: str = "",
) -> None:
    """Run a worker as this process: SIGTERM or SIGINT asks it to stop, a second one (or `GRACE_S`) ends it."""
    configure_logs(log_format, log_level)
    gc.freeze()  # modules stay for good: nobody need look through them again

    async def framed() -> None:
        worker = Worker(name, version=version, stuck_after_s=stuck_after_s)
        _on_signals(worker)
        await serve(worker, main, host=host, port=port)

    asyncio.run(framed())


def _on_signals(worker: Worker) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if worker.stop.is_set():
            _end(worker.name, "asked twice")
        _log.info("worker_stopping", worker=worker.name, signal=signal.Signals(number).name)
        worker.stop.set()
        late = threading.Timer(GRACE_S, _end, (worker.name, f"not done within {GRACE_S:g} s"))
        late.daemon = True
        late.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


def _end(name: str, why: str) -> Any:
    """End the process without waiting for threads: what was not committed is done again by whoever comes next."""
    _log.warning("worker_cut_off", worker=name, why=why)
    os._exit(3)
