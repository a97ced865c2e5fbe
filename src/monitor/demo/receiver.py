"""The demo's receiver: takes pages over HTTP as a real one would, checks them, and counts what comes twice."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from msgspec import Struct

from monitor.page.signature import verify_signature

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


PATH = "/pages"


class Received(Struct, frozen=True):
    """A page as it came in, and when (real time)."""

    key: str
    body: dict[str, Any]
    at: float


class Receiver:
    """Listens on a bound socket. A page of a key that it has is answered 200 and counted as a repeat."""

    def __init__(self, listen: socket.socket, secret: str, on_page: Callable[[Received], None]) -> None:
        self._socket = listen
        self.secret = secret
        self._on_page = on_page
        self._runner: web.AppRunner | None = None
        self.pages: dict[str, Received] = {}
        self.repeats = 0
        self.refused = 0

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post(PATH, self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        now = time.time()
        if not verify_signature(request.headers.get("Monitor-Signature", ""), raw, [self.secret], now):
            self.refused += 1
            return web.Response(status=401)
        key = request.headers.get("Idempotency-Key", "")
        if key in self.pages:
            self.repeats += 1
            return web.Response(status=200)
        page = Received(key, json.loads(raw), now)
        self.pages[key] = page
        self._on_page(page)
        return web.Response(status=200)
