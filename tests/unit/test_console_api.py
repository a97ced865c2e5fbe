"""The API over HTTP: tokens and scopes, every verb, versions, and requests that make no sense."""

import asyncio
import json
from contextlib import asynccontextmanager

import jsonschema
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, generate_latest

from monitor.clock import VirtualClock
from monitor.console import build, document
from monitor.console.metrics import ApiMetrics
from monitor.console.tokens import Caller, Tokens
from monitor.engine.changes import Act
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import VERBS, incident_id
from monitor.page.readers import Readers
from monitor.store import Desk, Store
from monitor.store.writer import IncidentWriter
from tests.support.pipeline import on_call
from tests.support.stores import url_for

pytestmark = pytest.mark.store

PEOPLE = on_call("ana", "ben")
ID = incident_id("u", "s1")
NOW = 6000.0
TOKENS = Tokens(
    [
        ("reader-token", Caller("wall", frozenset({"read"}))),
        ("acting-token", Caller("desk", frozenset({"read", "act"}))),
        ("bens-token", Caller("ben's phone", frozenset({"act"}), person="ben")),
    ]
)


class Api:
    def __init__(self, http, url, registry):
        self.http, self.url, self.registry = http, url, registry

    async def __call__(self, method, path, token="acting-token", headers=None, raw=None, **body):  # noqa: S107 -- a test's
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        data = raw if raw is not None else json.dumps(body).encode() if method == "POST" else None
        async with self.http.request(method, self.url + path, data=data, headers=sent | (headers or {})) as answer:
            got = await answer.read()
            kind = answer.headers["Content-Type"]
            return answer.status, json.loads(got) if "json" in kind else got.decode(), answer.headers

    async def act(self, verb, incident=ID, **more):
        return await self("POST", f"/api/v1/incidents/{incident}/{verb}", **more)


@asynccontextmanager
async def served(store):
    registry = CollectorRegistry()
    desk = Desk(store, PEOPLE, VirtualClock(NOW))
    app = build(desk, TOKENS, linker=None, readers=Readers(), clock=VirtualClock(NOW), metrics=ApiMetrics(registry))
    async with TestServer(app) as server, ClientSession() as http:
        yield Api(http, str(server.make_url("")).rstrip("/"), registry)


def opened(store, story="s1", at=100.0, severity="page"):
    act = Act(at, example_view(umbrella="u", story=story), Decision("open", severity, "going-viral", "many"), None)
    store.transact(lambda connection: IncidentWriter(connection, PEOPLE, 5000.0).act(act))


@pytest.fixture
async def api(tmp_path):
    store = Store(url_for(tmp_path / "m.db"))
    store.migrate()
    opened(store)
    async with served(store) as api:
        api.store = store
        yield api
    store.close()


def check(schema, value):
    spec = document()
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]})


async def test_an_incident_goes_its_way_over_http(api):
    status, listing, _ = await api("GET", "/api/v1/incidents")
    assert (status, [one["id"] for one in listing["incidents"]]) == (200, [ID])
    check("Listing", listing)
    status, after, headers = await api.act("ack", by="ana")
    assert (status, after["state"], after["owner"], headers["ETag"]) == (200, "acknowledged", "ana", '"3"')
    check("Incident", after)
    assert (await api.act("assign", by="ana", owner="ben"))[0] == 409
    assert (await api.act("assign", by="ana", owner="ben", why="shift ends"))[1]["owner"] == "ben"
    assert (await api.act("silence", by="ben", minutes=30, why="known"))[1]["silenced_until"] == NOW + 1800
    assert (await api.act("answer", by="ben", url="https://example.org/1"))[1]["state"] == "answered"
    assert (await api.act("resolve", token="bens-token", why="refunded"))[1]["state"] == "resolved"  # noqa: S106
    status, detail, headers = await api("GET", f"/api/v1/incidents/{ID}")
    check("Detail", detail)
    assert [event["event"] for event in detail["log"]][-2:] == ["resolved", "paged"]
    assert detail["log"][-2]["by"] == "ben"
    assert {page["purpose"] for page in detail["pages"]} == {"first", "notice"}
    assert headers["Cache-Control"] == "no-store"
    assert (await api("GET", "/api/v1/incidents"))[1]["incidents"] == []
    assert len((await api("GET", "/api/v1/incidents?state=all&severity=page&brand=u"))[1]["incidents"]) == 1


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        (None, "GET", "/api/v1/incidents", 401),
        ("wrong", "GET", "/api/v1/incidents", 401),
        ("reader-token", "GET", "/api/v1/incidents", 200),
        ("reader-token", "POST", f"/api/v1/incidents/{ID}/ack", 403),
        ("bens-token", "GET", f"/api/v1/incidents/{ID}", 403),
        ("acting-token", "GET", "/api/v1/incidents/nothing", 404),
        ("acting-token", "POST", "/api/v1/incidents/nothing/resolve", 404),
        ("acting-token", "GET", f"/api/v1/incidents/{ID}/ack", 405),
        ("acting-token", "DELETE", f"/api/v1/incidents/{ID}", 405),
        ("acting-token", "GET", "/api/v1/nothing", 404),
        (None, "GET", "/api/v1/openapi.json", 200),
    ],
)
async def test_who_may_do_what(api, token, method, path, status):
    got, body, headers = await api(method, path, token=token, by="ana")
    assert got == status, body
    if status >= 400:
        assert headers["Content-Type"] == "application/problem+json"
        check("Problem", body)
    assert status != 401 or headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("verb", "more", "status", "text"),
    [
        ("ack", {"raw": b"{"}, 400, "truncated"),
        ("ack", {"raw": b"\xff\xfe"}, 400, ""),
        ("ack", {"raw": b"[1]"}, 400, "Expected `object`"),
        ("ack", {"by": 7}, 400, "$.by"),
        ("ack", {"by": "ana", "surprise": 1}, 400, "surprise"),
        ("ack", {}, 409, "say who you are"),
        ("ack", {"by": "a\nb"}, 409, "printable"),
        ("ack", {"token": "bens-token", "by": "ana"}, 403, "acts as ben"),
        ("ack", {"by": "x" * 20_000}, 413, ""),
        ("dismiss", {"by": "ana"}, 400, "why"),
        ("silence", {"by": "ana", "why": "x", "minutes": 99_999}, 400, "minutes"),
        ("silence", {"by": "ana", "why": "x", "minutes": -1}, 400, "minutes"),
        ("answer", {"by": "ana", "url": "javascript:alert(1)"}, 400, "url"),
        ("assign", {"by": "ana", "owner": "zoe"}, 409, "nobody is configured"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_and_says_why(api, verb, more, status, text):
    got, body, _ = await api.act(verb, **more)
    assert got == status, body
    assert text in body.get("detail", "") + body["title"]
    assert (await api("GET", f"/api/v1/incidents/{ID}"))[1]["incident"]["version"] == 2


@pytest.mark.parametrize("query", ["state=new", "limit=0", "limit=x", "limit=nan", "before=-1", "severity=high", "q=1"])
async def test_a_list_that_cannot_be_is_refused(api, query):
    assert (await api("GET", f"/api/v1/incidents?{query}"))[0] == 400


async def test_a_long_list_goes_on_where_it_ended(api):
    for number in range(2, 6):
        opened(api.store, f"s{number}", at=100.0 * number)
    seen, before = [], ""
    while True:
        _, body, _ = await api("GET", f"/api/v1/incidents?limit=2{before}")
        seen += [one["opened_at"] for one in body["incidents"]]
        if body["next"] is None:
            break
        before = f"&before={body['next']}"
    assert seen == [500.0, 400.0, 300.0, 200.0, 100.0]


async def test_who_looked_at_an_older_version_is_told(api):
    old = {"If-Match": '"2"'}
    assert (await api.act("ack", by="ana", headers=old))[0] == 200
    status, body, _ = await api.act("resolve", by="ben", headers=old)
    assert (status, "version 3" in body["detail"]) == (412, True)
    assert (await api.act("resolve", by="ben", headers={"If-Match": "2"}))[0] == 400


async def test_of_two_who_acknowledge_in_the_same_second_one_owns_it(api):
    answers = await asyncio.gather(*(api.act("ack", by=name) for name in ("ana", "ben", "ana", "ben")))
    assert sorted(status for status, *_ in answers) == [200, 409, 409, 409]
    owner = next(body["owner"] for status, body, _ in answers if status == 200)
    assert all(f"owned by {owner}" in body["detail"] for status, body, _ in answers if status == 409)


async def test_requests_are_counted_by_route_and_never_by_what_stands_in_it(api):
    await api("GET", f"/api/v1/incidents/{ID}")
    await api("GET", "/api/v1/incidents/another")
    await api("GET", "/wp-admin/" + "x" * 30)
    text = generate_latest(api.registry).decode()
    assert 'route="/api/v1/incidents/{incident}",status="200"' in text
    assert ID not in text
    assert "wp-admin" not in text


def test_the_description_is_whole():
    spec = document()
    assert spec["openapi"] == "3.1.0"
    for verb in VERBS:
        assert f"/api/v1/incidents/{{incident}}/{verb}" in spec["paths"]
    text = json.dumps(spec)
    for piece in text.split('"#/components/schemas/')[1:]:
        name = piece.split('"')[0]
        assert name in spec["components"]["schemas"], name
    names = [operation["operationId"] for path in spec["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    for schema in spec["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
