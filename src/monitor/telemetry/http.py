"""The small web server of each worker: `/health/live`, `/health/ready` and `/metrics`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from aiohttp import web
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from monitor.telemetry.health import Health, Verdict
    from monitor.telemetry.metrics import Metrics


class TelemetryError(RuntimeError):
    """The port is taken; the text says which, and what to do."""


class TelemetryServer:
    """Serves a worker's health and metrics in its own event loop, so that a loop that hangs fails its health check.

    `port` 0 takes a free one; None serves nothing at all. Use it with `async with`.
    """

    def __init__(self, health: Health, metrics: Metrics, *, host: str = "127.0.0.1", port: int | None = 0) -> None:
        self._health = health
        self._metrics = metrics
        self._host = host
        self._wanted = port
        self._runner: web.AppRunner | None = None
        self.port: int | None = None
        """The port that it listens on; None while it does not."""

    async def start(self) -> Self:
        """Listen; raises `TelemetryError` where the port is taken."""
        if self._wanted is None:
            return self
        app = web.Application(client_max_size=1024)
        app.add_routes(
            [
                web.get("/health/live", self._live),
                web.get("/health/ready", self._ready),
                web.get("/metrics", self._scrape),
            ]
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._wanted)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise TelemetryError(
                f"{self._host}:{self._wanted} cannot be listened on ({error.strerror}): "
                "set another port in the http section, or null for none"
            ) from error
        self._runner = runner
        self.port = runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Close it."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner, self.port = None, None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _live(self, _: web.Request) -> web.Response:
        return _answer(self._health.live())

    async def _ready(self, _: web.Request) -> web.Response:
        return _answer(self._health.readiness())

    async def _scrape(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await asyncio.to_thread(encode, self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": content_type})


def _answer(verdict: Verdict) -> web.Response:
    return web.json_response({"ok": verdict.ok, "details": verdict.details}, status=200 if verdict.ok else 503)
