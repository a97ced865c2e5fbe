"""A webhook receiver as a careful one is: checks signatures, keeps each key once, and sometimes misbehaves."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

from aiohttp import web
from msgspec import Struct

from monitor.page.signature import verify_signature

SECRET = "chaos-secret"  # noqa: S105 -- the tests' own


class Taken(Struct, frozen=True):
    """A page as it was taken in, and when (real time)."""

    key: str
    data: dict[str, Any]
    at: float


class Receiver:
    """Keeps pages by their `Idempotency-Key`, in the order in which they first came.

    `moods`: the shares of requests that are answered 503, that are taken in and never answered, and that are answered
    late; what a receiver does when its own parts fail. `again`: the keys of pages that came once more, in order.
    """

    def __init__(self, seed: int = 1, moods: tuple[float, float, float] = (0.04, 0.04, 0.04)) -> None:
        self.taken: dict[str, Taken] = {}
        self.requests = 0
        self.again: list[str] = []
        self.refused = 0
        self.altered: list[str] = []
        self.url = ""
        self._dice = random.Random(seed)
        self._moods = moods
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/pages", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/pages"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.requests += 1
        if not verify_signature(request.headers.get("Monitor-Signature", ""), raw, [SECRET], time.time()):
            self.refused += 1
            return web.Response(status=401)
        busy, mute, late = self._moods
        mood = self._dice.random()
        if mood < busy:
            return web.Response(status=503)
        key = request.headers["Idempotency-Key"]
        data = json.loads(raw)["data"]
        first = self.taken.get(key)
        if first is None:
            self.taken[key] = Taken(key, data, time.time())
        else:
            self.again.append(key)
            if first.data["text"] != data["text"]:
                self.altered.append(key)
        if mood < busy + mute:
            assert request.transport is not None
            request.transport.abort()
        elif mood < busy + mute + late:
            await asyncio.sleep(0.5)
        return web.Response(status=200)
