"""The dispatching worker as configured: from a decision in a real store to a receiver over HTTP."""

from __future__ import annotations

import asyncio
import io
import time

import pytest
from aiohttp import web

from monitor.brand.tree import BrandTree
from monitor.config import RouteError, Settings, directory_of
from monitor.engine.changes import Act
from monitor.escalation.types import Decision, StoryView
from monitor.page.worker import DispatchError, dispatch, notifiers_of
from monitor.store import Store
from monitor.store.writer import IncidentWriter
from monitor.telemetry import Worker
from tests.support.stores import url_for

pytestmark = pytest.mark.store

NOW = 1_900_000_000.0
VIEW = StoryView(
    umbrella="aurora",
    story="s1",
    brand="grand",
    kind="story",
    headline="Nobody answers the desk at night",
    first_at=NOW - 600,
    last_at=NOW,
    size=40,
    voices=30,
    own_replies=0,
    complaint_share=0.9,
    negative_share=0.9,
    positive_share=0.0,
    repost_share=0.2,
    unread_share=0.0,
    cause=None,
    sources=(("twitter", 40),),
    quotes=(),
)
DECISION = Decision("open", "page", "going-viral", "it spreads ten times as fast as expected")


class Receiver:
    """Takes whatever is posted, and keeps it."""

    def __init__(self):
        self.got: list[tuple[str, dict[str, str], object]] = []

    async def _take(self, request):
        self.got.append((request.path, dict(request.headers), await request.json()))
        return web.Response()

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        app.router.add_get("/{path:.*}", lambda _: web.json_response({}))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def wait(self, path: str) -> tuple[dict[str, str], object]:
        for _ in range(200):
            for where, headers, body in self.got:
                if where == path:
                    return headers, body
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing came to {path}: {self.got}")


@pytest.fixture
async def receiver():
    async with Receiver() as running:
        yield running


def _settings(tmp_path, url: str = "http://127.0.0.1:9", routes: list | None = None) -> Settings:
    return Settings.model_validate(
        {
            "store": {"url": url_for(tmp_path / "store.sqlite")},
            "recipients": [
                {
                    "name": "ana",
                    "channels": [
                        {"name": "desk", "type": "webhook", "url": f"{url}/pages", "secret": "key"},
                        {"name": "screen", "type": "terminal"},
                    ],
                },
                {"name": "ops", "channels": [{"name": "am", "type": "alertmanager", "urls": [url]}]},
            ],
            "routes": routes or [],
        }
    )


def _decide(settings: Settings) -> None:
    store = Store(settings.store.url)
    store.migrate()
    store.transact(lambda connection: IncidentWriter(connection, directory_of(settings)).act(Act(NOW, VIEW, DECISION)))
    store.close()


async def test_a_decision_reaches_every_configured_channel(tmp_path, receiver):
    settings = _settings(tmp_path, receiver.url)
    _decide(settings)
    worker, screen = Worker("dispatch"), io.StringIO()
    running = asyncio.create_task(dispatch(settings, worker, stream=screen))
    headers, body = await receiver.wait("/pages")
    assert "Nobody answers the desk at night" in body["data"]["text"]
    assert headers["Idempotency-Key"] == body["id"]
    _, alerts = await receiver.wait("/api/v2/alerts")
    assert alerts[0]["labels"]["brand"] == "grand"
    for _ in range(100):
        if screen.getvalue():
            break
        await asyncio.sleep(0.02)
    assert "Nobody answers the desk at night" in screen.getvalue()
    for _ in range(200):
        settled = worker.metrics.pages.settled
        if all(settled.labels(name, "accepted")._value.get() == 1 for name in ("desk", "screen", "am")):
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("not every page was counted as accepted")
    assert worker.health.live().ok
    assert worker.health.readiness().ok
    began = time.monotonic()
    worker.stop.set()
    await asyncio.wait_for(running, 5)
    assert time.monotonic() - began < 3


async def test_nobody_to_page_is_refused():
    with pytest.raises(DispatchError, match="add recipients"):
        await dispatch(Settings(), Worker("dispatch"))


async def test_each_channel_checks_its_receiver_under_its_own_name(tmp_path, receiver):
    good, bad = notifiers_of(_settings(tmp_path, receiver.url)), notifiers_of(_settings(tmp_path))
    assert {name: notifier.name for name, notifier in good.items()} == {n: n for n in ("desk", "screen", "am")}
    assert [await notifier.check() for notifier in good.values()] == [None, None, None]
    problems = {name: await notifier.check() for name, notifier in bad.items()}
    assert "cannot be reached" in problems["desk"]
    assert "cannot be reached" in problems["am"]
    for notifier in (*good.values(), *bad.values()):
        await notifier.close()


def _who(settings: Settings, tree: BrandTree | None = None, **asked: str) -> set[str]:
    given = {"umbrella": "aurora", "brand": "grand", "severity": "page", "rule": "going-viral", **asked}
    return {recipient for recipient, _ in directory_of(settings, tree).who(**given, at=NOW)}


def test_without_routes_everybody_hears_of_notices_and_up(tmp_path):
    settings = _settings(tmp_path)
    assert _who(settings) == {"ana", "ops"}
    assert _who(settings, severity="notify") == {"ana", "ops"}
    assert _who(settings, severity="info") == set()


def test_routes_choose_by_severity_rule_and_brand(tmp_path):
    path = tmp_path / "brands.yaml"
    path.write_text("brands:\n  - id: aurora\n    name: Aurora\n    children: [{id: grand, name: Aurora Grand}]\n")
    tree = BrandTree.load(path)
    settings = _settings(
        tmp_path,
        routes=[
            {"to": ["ana"], "severity": "page", "brands": ["aurora"]},
            {"to": ["ops"], "until": "notify"},
            {"to": ["ops"], "severity": "crisis", "rules": ["wave"]},
        ],
    )
    assert _who(settings, tree) == {"ana"}
    assert _who(settings, tree, severity="notify") == {"ops"}
    assert _who(settings, tree, severity="crisis", rule="wave") == {"ana", "ops"}
    assert _who(settings, tree, umbrella="other", brand="other") == set()


def test_a_route_to_a_brand_that_is_not_there_is_refused(tmp_path):
    settings = _settings(tmp_path, routes=[{"to": ["ana"], "brands": ["nowhere"]}])
    with pytest.raises(RouteError, match="'nowhere', which the brand file does not have"):
        directory_of(settings, BrandTree.from_names(["Aurora"]))
