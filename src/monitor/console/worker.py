"""`monitor serve`: the API and the links of pages as a worker, with health and metrics on a port of their own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from monitor import __version__
from monitor.clock import WallClock
from monitor.config import Escalation, Reloader, escalation_of, follow
from monitor.console.app import build
from monitor.console.metrics import ApiMetrics
from monitor.console.tokens import Caller, Tokens
from monitor.page.worker import STORE_PATIENCE_S, linker_of, readers_of
from monitor.store import Desk, Store, StoreError
from monitor.telemetry import run_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.clock import Clock
    from monitor.config import Settings
    from monitor.telemetry import Worker

LOOK_S = 5.0
"""Seconds between two looks at whether the store answers."""

_log = structlog.get_logger("monitor.console")


class ServeError(RuntimeError):
    """The API cannot be served; the text says what to do."""


def run(settings: Settings) -> None:
    """Serve until told to stop: `monitor serve`."""
    run_worker(
        "serve",
        lambda worker: serve(settings, worker),
        host=settings.http.host,
        port=settings.http.serve_port,
        stuck_after_s=settings.http.stuck_after_s,
        log_format=settings.log.format,
        log_level=settings.log.level,
        version=__version__,
    )


async def serve(
    settings: Settings,
    worker: Worker,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    listening: Callable[[int], None] | None = None,
) -> None:
    """Serve until `worker.stop`. `listening` is told the port; a `store` that is brought along is left open.

    Raises:
        ServeError: the port is taken.
        StoreError: the store cannot be used.
    """
    own = store is None
    clock = clock or WallClock()
    worker.health.need("store", "api")
    store = store or Store(settings.store.url)
    try:
        await store.retry(store.migrate, patience_s=STORE_PATIENCE_S)
        worker.health.ready("store")
        standing = escalation_of(settings)
        desk = Desk(store, standing.directory, clock)
        app = build(
            desk,
            tokens_of(settings),
            linker=linker_of(settings),
            readers=readers_of(settings),
            clock=clock,
            metrics=ApiMetrics(worker.metrics.registry),
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=3.0)
        await runner.setup()
        try:
            await _listen(runner, settings)
            port = runner.addresses[0][1]
            _log.info("api_listens", host=settings.api.host, port=port)
            if listening is not None:
                listening(port)
            worker.health.ready("api")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_look(store, worker))
                tasks.create_task(_follow(settings, standing, desk, worker))
        finally:
            await runner.cleanup()
    finally:
        if own:
            store.close()


def tokens_of(settings: Settings) -> Tokens:
    """Return who may use the API."""
    return Tokens(
        (one.token.get_secret_value(), Caller(one.name, frozenset(one.scopes), one.person))
        for one in settings.api.tokens
    )


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    host, port = settings.api.host, settings.api.port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ServeError(
            f"{host}:{port} cannot be listened on ({error.strerror}): set another api.host or api.port"
        ) from error


async def _follow(settings: Settings, standing: Escalation, desk: Desk, worker: Worker) -> None:
    """Hand over and tell by what the files of rota and brands say when they change."""

    async def adopt(found: Escalation) -> None:
        desk.set_routes(found.directory)

    await follow(Reloader(settings, standing), worker.stop, adopt, worker.metrics.reloads)


async def _look(store: Store, worker: Worker) -> None:
    """Say whether the store answers, until the end."""
    while not worker.stop.is_set():
        try:
            await store.retry(store.ping, patience_s=1.0)
        except StoreError:
            worker.health.ready("store", "the store does not answer")
        else:
            worker.health.ready("store")
        worker.health.beat("serve")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.stop.wait(), LOOK_S)
