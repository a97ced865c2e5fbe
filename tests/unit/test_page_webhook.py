"""The webhook against real servers that behave and misbehave."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from monitor.clock import VirtualClock
from monitor.page import Page, verify_signature
from monitor.page.channels.terminal import TerminalNotifier
from monitor.page.channels.webhook import Endpoint, WebhookNotifier

NOW = 1_900_000_000.0
SECRET = "s3cret"  # noqa: S105 -- a test's own


def page(**changes):
    fields = {
        "key": "i1:1:first:0:0:ana:webhook",
        "incident": "i1",
        "umbrella": "u",
        "brand": "b",
        "severity": "page",
        "purpose": "backlog",
        "recipient": "ana",
        "channel": "webhook",
        "sequence": 1,
        "decided_at": 5.0,
        "created_at": NOW,
        "facts": {
            "about": "backlog",
            "since": "2030-03-17T17:46:40Z",
            "until": "2030-03-17T17:46:40Z",
            "incidents": [],
        },
    }
    return Page(**fields | changes)


@asynccontextmanager
async def http_server(handler):
    app = web.Application()
    app.router.add_route("*", "/hook", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/hook"))


@asynccontextmanager
async def raw_server(talk):
    """Serve whatever `talk(reader, writer)` does; close the connection after it."""

    async def serve(reader, writer):
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"


@asynccontextmanager
async def notifier(url, **options):
    hook = WebhookNotifier({"ana": Endpoint(url, (SECRET,))}, clock=VirtualClock(NOW), **options)
    try:
        yield hook
    finally:
        await hook.close()


async def send(url, **options):
    async with notifier(url, **options) as hook:
        return await hook.send(page())


async def test_a_page_arrives_signed_and_with_its_key():
    got = {}

    async def handler(request):
        body = await request.read()
        got.update(headers=dict(request.headers), body=body)
        return web.Response(status=202)

    async with http_server(handler) as url, notifier(url) as hook:
        delivery = await hook.send(page(attempts=3))
    assert delivery.outcome == "accepted"
    headers, event = got["headers"], json.loads(got["body"])
    assert verify_signature(headers["Monitor-Signature"], got["body"], [SECRET], NOW)
    assert headers["Idempotency-Key"] == event["id"] == page().key
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert headers["Monitor-Attempt"] == "3"
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "mention-monitor.page.backlog", "i1")
    assert event["data"]["facts"] == page().facts


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "after"),
    [
        (200, {}, "accepted", None),
        (204, {}, "accepted", None),
        (409, {}, "accepted", None),
        (400, {}, "refused", None),
        (401, {}, "refused", None),
        (404, {}, "refused", None),
        (307, {"Location": "http://127.0.0.1:1/"}, "refused", None),
        (408, {}, "retry", None),
        (425, {}, "retry", None),
        (429, {"Retry-After": "7"}, "retry", 7.0),
        (429, {"Retry-After": "99999999999999999999"}, "retry", 3600.0),
        (500, {}, "retry", None),
        (503, {"Retry-After": "Sun, 17 Mar 2030 17:47:00 GMT"}, "retry", 20.0),
        (503, {"Retry-After": "soon; really"}, "retry", None),
        (503, {"Retry-After": "-5"}, "retry", None),
    ],
)
async def test_what_each_answer_means(status, headers, outcome, after):
    async def handler(request):
        return web.Response(status=status, headers=headers, text="x" * 100_000)

    async with http_server(handler) as url:
        delivery = await send(url)
    assert (delivery.outcome, delivery.retry_after) == (outcome, after)
    assert delivery.detail.startswith(f"HTTP {status}")


async def test_a_receiver_that_hangs_is_tried_again():
    async def talk(reader, writer):
        await reader.read()  # until the client goes away

    async with raw_server(talk) as url:
        delivery = await send(url, timeout_s=0.2)
    assert delivery.outcome == "retry"
    assert "no answer" in delivery.detail


@pytest.mark.parametrize("answer", [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 2", b"HTTP/1.1 999999 x\r\n\r\n"])
async def test_a_connection_that_ends_after_the_send_is_tried_again_for_the_receiver_drops_repeats(answer):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with raw_server(talk) as url:
        delivery = await send(url)
    assert delivery.outcome == "retry"


async def test_an_answer_without_end_is_not_waited_for():
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await writer.drain()
        await reader.read()

    async with raw_server(talk) as url:
        delivery = await asyncio.wait_for(send(url), 2)
    assert delivery.outcome == "accepted"


async def test_nobody_there_is_tried_again():
    delivery = await send(f"http://127.0.0.1:{unused_port()}/hook")
    assert delivery.outcome == "retry"
    assert "not connected" in delivery.detail


@pytest.mark.parametrize("url", ["not a url", "ftp://127.0.0.1/x", "http://"])
async def test_an_url_that_cannot_work_is_refused(url):
    assert (await send(url)).outcome == "refused"


async def test_a_recipient_without_endpoint_is_refused_unless_there_is_a_default():
    async def handler(request):
        return web.Response()

    async with http_server(handler) as url:
        async with notifier(url) as hook:
            assert (await hook.send(page(recipient="ben"))).outcome == "refused"
        hook = WebhookNotifier({}, default=Endpoint(url, (SECRET,)))
        assert (await hook.send(page(recipient="ben"))).outcome == "accepted"
        await hook.close()


def test_an_endpoint_needs_a_secret():
    with pytest.raises(ValueError, match="secret is needed"):
        WebhookNotifier({}, default=Endpoint("http://x/", ()))


async def test_check_says_what_is_wrong_and_sends_no_page():
    calls = []

    async def handler(request):
        calls.append((request.method, await request.read()))
        return web.Response(status=405)

    async with http_server(handler) as url, notifier(url) as hook:
        assert await hook.check() is None
    assert calls == [("OPTIONS", b"")]
    async with notifier(f"http://127.0.0.1:{unused_port()}/hook") as hook:
        assert "cannot be reached" in await hook.check()


async def test_the_body_is_the_same_for_each_try():
    bodies = []

    async def handler(request):
        bodies.append(await request.read())
        return web.Response(status=500)

    async with http_server(handler) as url, notifier(url) as hook:
        await hook.send(page(attempts=1))
        await hook.send(page(attempts=2))
    assert bodies[0] == bodies[1]


async def test_a_terminal_gets_the_page_as_text_whatever_its_encoding(tmp_path):
    with (tmp_path / "tty").open("w", encoding="ascii") as stream:
        terminal = TerminalNotifier(stream)
        assert await terminal.check() is None
        facts = page().facts | {
            "incidents": [{"severity": "page", "brand": "b", "headline": "Grüße", "reason": "r", "incident": "i1"}]
        }
        assert (await terminal.send(page(facts=facts))).outcome == "accepted"
    assert "b: Gr??e (r)" in (tmp_path / "tty").read_text()
    assert (await terminal.send(page())).outcome == "retry"
    assert await terminal.check() == "the terminal's stream is closed"
