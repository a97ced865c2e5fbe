"""Alertmanager's own server (Debian's `prometheus-alertmanager`), and the feed that keeps its view alive."""

import asyncio
import shutil
import time
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from msgspec import structs

from monitor.clock import VirtualClock, WallClock
from monitor.escalation import Decision
from monitor.escalation.example import START, example_view
from monitor.incident import Resolved, advance, apply, from_decision
from monitor.oncall import Directory, Recipient, Route
from monitor.page import build_facts, outgoing
from monitor.page.channels.alertmanager import AlertmanagerClient, AlertmanagerFeed, AlertmanagerNotifier, alert_of

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
needs_alertmanager = pytest.mark.skipif(BINARY is None, reason="prometheus-alertmanager is not installed")
ROUTES = Directory.of([Recipient(name="am", channels=("alertmanager",))], [Route(recipient="am")])
CONFIG = """
route: {receiver: nobody, group_by: [incident]}
receivers: [{name: nobody}]
"""


def incident(story="s1", severity="page"):
    view = example_view(story=story, headline="Left outside\x1b[2J at midnight")
    event = from_decision(None, Decision("open", severity, "going-viral", "38 people"), view, START)
    return advance(None, event, ROUTES).incident


class Store:
    def __init__(self, *incidents):
        self.active = list(incidents)

    async def active_incidents(self, severities):
        return [one for one in self.active if one.severity in severities]


@asynccontextmanager
async def alertmanager(folder):
    (folder / "am.yml").write_text(CONFIG)
    port = unused_port()
    process = await asyncio.create_subprocess_exec(
        BINARY,
        f"--config.file={folder / 'am.yml'}",
        f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    client = AlertmanagerClient([url])
    try:
        async with asyncio.timeout(20):
            while await client.check() is not None:  # noqa: ASYNC110 -- another process comes up
                await asyncio.sleep(0.1)
        yield url, client
    finally:
        await client.close()
        process.terminate()
        await process.wait()


async def alerts(url):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v2/alerts") as answer:
        return {(alert["labels"]["incident"], alert["labels"]["severity"]): alert for alert in await answer.json()}


async def until(url, wanted):
    """Wait until exactly these alerts are active."""
    async with asyncio.timeout(10):
        while set(found := await alerts(url)) != wanted:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.1)
    return found


@needs_alertmanager
async def test_active_incidents_stand_in_alertmanager_until_they_are_over(tmp_path):
    one, two = incident("s1"), incident("s2", "crisis")
    store = Store(one, two)
    async with alertmanager(tmp_path) as (url, client):
        feed = AlertmanagerFeed(client, store)
        assert (await feed.step()).outcome == "accepted"
        found = await until(url, {(one.id, "page"), (two.id, "crisis")})
        alert = found[one.id, "page"]
        assert alert["labels"]["alertname"] == "MentionStorySpreads"
        assert alert["labels"]["brand"] == "aurora-grand-lisbon"
        assert alert["annotations"]["summary"] == "Left outside at midnight"
        ahead = datetime.fromisoformat(alert["endsAt"]).timestamp() - time.time()
        assert 290 <= ahead <= 301

        raised = structs.replace(one, severity="crisis")
        store.active = [raised]
        await feed.step()
        await until(url, {(one.id, "crisis")})

        store.active = []
        await feed.step()
        await until(url, set())


@needs_alertmanager
async def test_a_page_is_an_alert_at_once_and_its_notice_ends_it(tmp_path):
    view = example_view()
    event = from_decision(None, Decision("open", "page", "going-viral", "38 people"), view, START)
    step = advance(None, event, ROUTES)
    over = advance(step.incident, Resolved(at=START + 60, by="ana"), ROUTES)
    opened = build_facts(step.incident, about="opened", at=START, view=view)
    resolved = build_facts(over.incident, about="resolved", at=START + 60)
    (first,) = outgoing(step.intents, step.incident, opened, decided_at=START, created_at=time.time())
    (notice,) = outgoing(over.intents, over.incident, resolved, decided_at=START + 60, created_at=time.time())
    async with alertmanager(tmp_path) as (url, client):
        notifier = AlertmanagerNotifier(client)
        for _ in range(2):  # a repeat is the same alert
            assert (await notifier.send(first)).outcome == "accepted"
        await until(url, {(step.incident.id, "page")})
        assert (await notifier.send(notice)).outcome == "accepted"
        await until(url, set())


@asynccontextmanager
async def recorder(answers=()):
    """Serve the API's path, keep what comes, answer with the given statuses first."""
    posts, left = [], list(answers)

    async def handler(request):
        posts.append(await request.json())
        return web.Response(status=left.pop(0) if left else 200)

    app = web.Application()
    app.router.add_post("/api/v2/alerts", handler)
    async with TestServer(app) as server:
        client = AlertmanagerClient([str(server.make_url("/"))])
        yield posts, client
        await client.close()


async def test_every_minute_all_active_ones_are_posted_again_five_minutes_ahead():
    clock = VirtualClock(START + 1000)
    async with recorder() as (posts, client):
        feed = AlertmanagerFeed(client, Store(incident()), clock=clock)
        await feed.step()
        clock.advance(60)
        await feed.step()
    ends = [datetime.fromisoformat(post[0]["endsAt"]).timestamp() for post in posts]
    assert ends == [START + 1300, START + 1360]
    assert posts[0][0]["startsAt"] == posts[1][0]["startsAt"]


async def test_the_end_is_posted_again_until_it_is_taken():
    store = Store(incident())
    clock = VirtualClock(START + 1000)
    async with recorder([200, 500, 200]) as (posts, client):
        feed = AlertmanagerFeed(client, store, clock=clock)
        await feed.step()
        store.active = []
        assert (await feed.step()).outcome == "retry"
        clock.advance(5)
        assert (await feed.step()).outcome == "accepted"
        await feed.step()
    ends = [datetime.fromisoformat(post[0]["endsAt"]).timestamp() for post in posts]
    assert ends == [START + 1300, START + 1000, START + 1005]  # and nothing after it was taken


async def test_many_incidents_go_in_batches():
    async with recorder() as (posts, client):
        many = [incident(f"s{number}") for number in range(250)]
        assert (await AlertmanagerFeed(client, Store(*many)).step()).outcome == "accepted"
    assert [len(post) for post in posts] == [100, 100, 50]


async def test_one_of_two_alertmanagers_is_enough():
    async with recorder() as (posts, client):
        both = AlertmanagerClient([f"http://127.0.0.1:{unused_port()}", client._urls[0]])
        assert (await both.post([alert_of(incident(), now=START)])).outcome == "accepted"
        assert "cannot be reached" in await both.check()
        await both.close()
    assert len(posts) == 1


async def test_the_feed_outlives_a_store_that_fails_and_stops_at_once():
    class Broken(Store):
        calls = 0

        async def active_incidents(self, severities):
            self.calls += 1
            if self.calls == 1:
                raise OSError("locked")
            return await super().active_incidents(severities)

    store, stop = Broken(incident()), asyncio.Event()
    async with recorder() as (posts, client):
        running = asyncio.create_task(AlertmanagerFeed(client, store, clock=WallClock(), every_s=0.02).run(stop))
        async with asyncio.timeout(5):
            while len(posts) < 2:  # noqa: ASYNC110 -- another task posts
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(running, 1)


def test_an_alert_never_ends_before_it_starts():
    late = alert_of(apply(incident(), Resolved(at=START, by="ana")), now=START - 50, over=True)
    assert late.starts_at < late.ends_at
