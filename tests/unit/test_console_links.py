"""Links on pages: what opens them changes nothing, what presses the button acts once."""

import asyncio

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from msgspec import structs
from prometheus_client import CollectorRegistry

from monitor.clock import VirtualClock
from monitor.console import build
from monitor.console.metrics import ApiMetrics
from monitor.console.tokens import Tokens
from monitor.engine.changes import Act
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import Wish, incident_id
from monitor.page.links import Linker
from monitor.page.readers import Reader, Readers
from monitor.page.types import COLUMNS, Page
from monitor.store import Desk, Store
from monitor.store.writer import IncidentWriter
from tests.support.pipeline import on_call
from tests.support.stores import url_for

pytestmark = pytest.mark.store

PEOPLE = on_call("ana", "ben")
ID = incident_id("u", "s1")
NOW = 6000.0
BASE = "https://monitor.example.com"


class House:
    """A store with one incident, its pages' links, and the server behind them."""

    def __init__(self, folder):
        self.store = Store(url_for(folder / "m.db"))
        self.store.migrate()
        self.clock = VirtualClock(NOW)
        self.linker = Linker(BASE, "a secret of the tests", lasting_s=3600.0)
        self.desk = Desk(self.store, PEOPLE, self.clock)
        self.decide("open", "page", 100.0)

    def decide(self, action, severity, at):
        view = example_view(umbrella="u", story="s1", headline="<script>alert(1)</script>")
        act = Act(at, view, Decision(action, severity, "going-viral", "many"), None)
        self.store.transact(lambda connection: IncidentWriter(connection, PEOPLE, NOW).act(act))

    def page(self, recipient="ana"):
        row = [one for one in self.desk.incidents.pages(ID) if one["recipient"] == recipient][-1]
        return Page(**{name: row[name] for name in COLUMNS})

    def link(self, verb="ack", recipient="ana"):
        links = {link.name: link.url for link in self.linker.links(self.page(recipient), Reader())}
        return links[verb].removeprefix(BASE)

    def incident(self):
        return self.desk.incidents.get(ID)


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    app = build(
        house.desk,
        Tokens([]),
        linker=house.linker,
        readers=Readers({"ben": Reader(language="de")}),
        clock=house.clock,
        metrics=ApiMetrics(CollectorRegistry()),
    )
    async with TestServer(app) as server, ClientSession() as http:

        async def ask(method, path, **form):
            async with http.request(method, server.make_url(path), data=form or None) as answer:
                return answer.status, await answer.text("latin-1"), answer.headers

        house.ask = ask
        yield house
    house.store.close()


async def test_a_scanner_that_opens_every_link_changes_nothing(house):
    for verb in ("ack", "own", "dismiss"):
        for method in ("GET", "HEAD", "GET", "OPTIONS", "POST"):
            status, text, headers = await house.ask(method, house.link(verb))
            assert status in {200, 400, 405}
            assert "<script" not in text
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert house.incident().version == 2
    status, text, _ = await house.ask("GET", house.link())
    assert '<form method="post">' in text
    assert "Acknowledge" in text


async def test_the_button_acts_in_the_name_of_whom_the_page_went_to_and_once(house):
    link = house.link()
    status, text, _ = await house.ask("POST", link, confirm="yes")
    assert (status, "Done." in text) == (200, True)
    assert (house.incident().state, house.incident().owner) == ("acknowledged", "ana")
    for method in ("POST", "GET"):
        status, text, _ = await house.ask(method, link, **({"confirm": "yes"} if method == "POST" else {}))
        assert (status, "used before" in text) == (410, True)
    assert house.desk.incidents.log(ID)[-1].why == "by the page's link"


async def test_two_who_press_at_once_and_one_who_presses_twice(house):
    links = [house.link(), house.link(), house.link(recipient="ben")]
    answers = await asyncio.gather(*(house.ask("POST", link, confirm="yes") for link in links))
    assert sum(status == 200 for status, *_ in answers) == 1
    assert {status for status, *_ in answers} <= {200, 409, 410}
    assert len(house.desk.incidents.log(ID)) == 3


async def test_a_link_after_its_time_does_nothing(house):
    link = house.link()
    house.clock.advance(3600.0)
    for method in ("GET", "POST"):
        status, text, _ = await house.ask(method, link, confirm="yes")
        assert (status, "too old" in text) == (410, True)
    assert house.incident().version == 2


@pytest.mark.parametrize("token", ["x", "x.y", "%00.%ff", "AAAA.BBBB", "." * 50, "A" * 3000, "ä.ö"])
async def test_what_is_no_link_does_nothing(house, token):
    for method in ("GET", "POST"):
        status, text, _ = await house.ask(method, f"/link/{token}", confirm="yes")
        assert status == 404
        assert "not whole" in text
    assert house.incident().version == 2


async def test_a_link_of_an_earlier_cycle_does_nothing(house):
    link = house.link()
    await house.desk.do(ID, Wish(verb="resolve", by="ben"))
    house.decide("open", "page", 300.0)
    status, text, _ = await house.ask("POST", link, confirm="yes")
    assert (status, "begun anew" in text) == (410, True)
    assert house.incident().state == "open"


async def test_taking_it_and_dismissing_it_need_what_they_need(house):
    assert (await house.ask("POST", house.link("ack", "ben"), confirm="yes"))[0] == 200
    status, text, _ = await house.ask("POST", house.link("own"), confirm="yes")
    assert (status, house.incident().owner, house.incident().handovers) == (200, "ana", 1)
    assert house.desk.incidents.log(ID)[-1].by in {"ana", "routes"}
    status, text, _ = await house.ask("POST", house.link("dismiss"), confirm="yes")
    assert (status, "Nothing was done" in text) == (400, True)
    status, text, _ = await house.ask("GET", house.link("dismiss", "ben"))
    assert "Fehlalarm" in text, "in ben's language"
    status, _, _ = await house.ask("POST", house.link("dismiss"), confirm="yes", why="<b>an old photo</b>")
    assert (status, house.incident().state, house.incident().reason) == (200, "dismissed", "<b>an old photo</b>")


async def test_what_does_not_fit_any_more_is_said_and_the_link_stays_good(house):
    await house.desk.do(ID, Wish(verb="ack", by="ben"))
    status, text, _ = await house.ask("POST", house.link(), confirm="yes")
    assert (status, "owned by ben" in text) == (409, True)
    assert not await house.desk.link_was_used(house.linker.read(house.link().rpartition("/")[2], NOW).name)


async def test_a_forms_body_is_not_taken_without_end(house):
    status, _, _ = await house.ask("POST", house.link("dismiss"), confirm="yes", why="x" * 30_000)
    assert status == 413
    assert house.incident().state == "open"


async def test_the_chart_of_a_page_is_a_picture(house):
    url = house.linker.chart(house.page()).removeprefix(BASE)
    status, body, headers = await house.ask("GET", url)
    assert (status, headers["Content-Type"], body[1:4]) == (200, "image/png", "PNG")
    assert (await house.ask("GET", "/chart/x.y.png"))[0] == 404
    over = structs.replace(house.page(), facts=house.page().facts | {"about": "resolved"})
    assert house.linker.chart(over) is None
