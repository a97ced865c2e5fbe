"""Receivers for tests: HTTP servers that behave and misbehave, an SMTP server, and pages to send to them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from msgspec import structs

from monitor.escalation import Quote, RuleMemory, default_rules, evaluate
from monitor.escalation.example import START, example_view
from monitor.incident import advance, from_decision
from monitor.oncall import Directory, Recipient, Route
from monitor.page import Page, build_facts, outgoing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = 1_900_000_000.0
LATE_S = 0.3
"""How long tests wait for a receiver that hangs."""

HOSTILE = (
    "<!channel> <@U1> @everyone *b* _i_ `c` [x](http://evil.example) <script>alert(1)</script> <b>&amp;</b> "
    "\u202egnp.exe\u2066 \x1b[31mred\r\nBcc: all@example.org\r\n\r\n.\r\nQUIT\x00\u200b {{ .Annotations }} ${jndi:x}"
)


def a_page(channel: str = "desk", recipient: str = "ana", *, hostile: bool = False, **changes: Any) -> Page:
    """Return a page about a story, as the rules make it; `hostile`: every text of strangers is an attack."""
    view = example_view()
    if hostile:
        quotes = tuple(Quote(HOSTILE, HOSTILE, 10, START, f"https://example.org/{n}") for n in range(3))
        view = example_view(headline=HOSTILE, cause=None, quotes=quotes, sources=((HOSTILE, 3),))
    _, memory = evaluate(default_rules(), view, RuleMemory(), START + 1800)
    decision, _ = evaluate(default_rules(), view, memory, START + 2460)
    routes = Directory.of([Recipient(name=recipient, channels=(channel,))], [Route(recipient=recipient)])
    step = advance(None, from_decision(None, decision, view, START + 2460), routes)
    facts = build_facts(step.incident, about="opened", at=START + 2460, view=view, decision=decision)
    (page,) = outgoing(step.intents, step.incident, facts, decided_at=START + 2460, created_at=NOW)
    return structs.replace(page, sequence=1, **changes)


@asynccontextmanager
async def answering(*answers: tuple[int, dict[str, str], Any]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Serve these answers (status, headers, JSON or bytes) in turn, the last one for good; yields address and calls."""
    calls: list[dict[str, Any]] = []

    async def handle(request: web.Request) -> web.Response:
        raw = await request.read()
        calls.append({"path": request.path, "headers": dict(request.headers), "raw": raw, "json": _json(raw)})
        status, headers, body = answers[min(len(calls), len(answers)) - 1]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, headers=headers, body=data)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/"), calls


MISBEHAVIOURS = ("hangs", "closes", "garbage", "accepts_and_closes", "not_there")


@asynccontextmanager
async def misbehaving(how: str) -> AsyncIterator[str]:
    """Serve a receiver that misbehaves in one of `MISBEHAVIOURS`; yields its address."""
    if how == "not_there":
        yield f"http://127.0.0.1:{unused_port()}"
        return
    hung: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            hung.add(task)
        try:
            if how != "closes":
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                await reader.readexactly(length)
            if how == "hangs":
                await asyncio.sleep(60)
            if how == "garbage":
                writer.write(b"\x00\xff SSH-2.0 what do you want\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in hung:
            task.cancel()


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
