"""Incidents that belong together: the one above speaks for its parts, and their pages are not lost but noted."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from monitor.cli.incidents import app
from monitor.clock import VirtualClock
from monitor.engine.changes import Act, Link, Merge
from monitor.escalation.example import example_umbrella, example_view
from monitor.escalation.types import Decision
from monitor.incident import IllegalChange, Wish, incident_id, replay
from monitor.page.compose import compose, plain
from monitor.page.readers import Reader
from monitor.page.types import COLUMNS, Page
from monitor.store import Desk, IncidentStore, OutboxStore
from monitor.store.writer import IncidentWriter
from tests.support.pipeline import on_call

PEOPLE = on_call("ana")
TOP, AIR, RAIL = (incident_id("u", story) for story in ("u1", "air", "rail"))


class House:
    """A store with what the rules decide and what people do."""

    def __init__(self, store):
        self.store = store
        self.clock = VirtualClock(6000.0)
        self.incidents = IncidentStore(store, PEOPLE, self.clock)
        self.desk = Desk(store, PEOPLE, self.clock)

    def act(self, story, action="open", severity="page", at=100.0, parent=None, view=None):
        shown = view or example_view(umbrella="u", story=story, brand=story, headline=f"Matter {story}")
        act = Act(at, shown, Decision(action, severity, "going-viral", f"{story} {action}"), parent=parent)
        self.store.transact(lambda c: IncidentWriter(c, PEOPLE, 5000.0).carry_out(act))

    def happen(self, event):
        self.store.transact(lambda c: IncidentWriter(c, PEOPLE, 5000.0).carry_out(event))

    def link(self, child, parent="u1", at=150.0):
        self.happen(Link(at, "u", child, parent, "2 brands at once"))

    def do(self, incident, verb, **more):
        return asyncio.run(self.desk.do(incident, Wish(verb=verb, by="ben", **more)))

    def purposes(self, incident):
        return [page["purpose"] for page in self.incidents.pages(incident)]

    def log(self, incident):
        return [type(event).__name__ for event in self.incidents.log(incident)]


@pytest.fixture
def house(store):
    house = House(store)
    house.act("air")
    house.act("rail", at=110.0)
    house.act("u1", severity="crisis", at=140.0)
    for child in ("air", "rail"):
        house.link(child)
    return house


def test_a_parts_pages_go_to_the_log_of_the_one_above_and_to_nobodys_phone(house):
    assert house.purposes(AIR) == ["first"]
    house.act("air", "raise", "crisis", at=200.0)
    assert house.purposes(AIR) == ["first"]
    spared = house.incidents.log(TOP)[-1]
    assert (spared.child, spared.about, spared.severity, spared.pages) == (AIR, "raised", "crisis", 1)
    assert spared.why == "air raise"
    for name in (TOP, AIR, RAIL):
        assert replay(house.incidents.log(name)) == house.incidents.get(name)
    assert house.incidents.get(TOP).children == (AIR, RAIL)


def test_what_opens_below_it_pages_nobody(house):
    house.act("b1", at=210.0, parent="u1")
    found = house.incidents.get(incident_id("u", "b1"))
    assert (found.parent, found.told, found.paged_at) == (TOP, (), None)
    assert house.purposes(found.id) == []
    assert house.log(TOP)[-2:] == ["Joined", "Spared"]


def test_a_part_that_is_worse_than_the_one_above_is_paged(store):
    house = House(store)
    house.act("u1", severity="page")
    house.act("air")
    house.link("air")
    house.act("air", "raise", "crisis", at=200.0)
    assert house.purposes(AIR) == ["first", "raised"]


def test_who_resolves_the_one_above_resolves_its_parts_and_one_notice_goes_out(house):
    house.do(TOP, "resolve", why="the switchboard is back")
    for name in (TOP, AIR, RAIL):
        assert house.incidents.get(name).state == "resolved"
    assert house.incidents.get(AIR).reason == f"with {TOP}: the switchboard is back"
    assert house.purposes(TOP) == ["first", "notice"]
    assert house.purposes(AIR) == house.purposes(RAIL) == ["first"]
    house.act("rail", at=9000.0)  # it flares up again while the one above is over
    assert house.purposes(RAIL) == ["first", "reopened"]
    house.act("u1", severity="crisis", at=9100.0)
    house.act("air", at=9200.0)
    assert house.incidents.get(TOP).state == house.incidents.get(AIR).state == "open"
    assert house.purposes(AIR) == ["first"], "reopened, the one above speaks for it again"


def test_when_the_rules_close_the_one_above_what_was_never_told_is_told(house):
    house.act("b1", at=210.0, parent="u1")
    house.act("u1", "close", "crisis", at=300.0)
    left = incident_id("u", "b1")
    assert house.incidents.get(left).parent is None
    assert house.purposes(left) == ["first"]
    assert house.purposes(AIR) == ["first"], "somebody was told of it before"
    assert house.incidents.get(TOP).children == ()


def test_a_person_links_and_unlinks(house):
    house.act("s9", at=160.0)
    other = incident_id("u", "s9")
    assert house.do(other, "link", parent=TOP, why="the same outage").parent == TOP
    assert house.do(other, "unlink").parent is None
    assert house.log(TOP)[-2:] == ["Joined", "Parted"]
    house.do(AIR, "link", parent=other)
    assert house.incidents.get(TOP).children == (RAIL,)
    assert house.incidents.get(other).children == (AIR,)


@pytest.mark.parametrize(
    ("incident", "parent", "text"),
    [
        (AIR, TOP, "a part of .* already"),
        (AIR, AIR, "parts of its own"),
        (TOP, AIR, "parts of its own"),
        (AIR, "i0", "there is no incident 'i0'"),
        (AIR, "", "say which incident"),
        ("s9", RAIL, "is itself a part of"),
        ("far", TOP, "is about u, not about v"),
    ],
)
def test_what_cannot_be_linked_is_refused_and_changes_nothing(house, incident, parent, text):
    house.act("s9", at=160.0)
    house.act("far", view=example_view(umbrella="v", story="far"))
    ids = {"s9": incident_id("u", "s9"), "far": incident_id("v", "far")}
    before = house.incidents.all()
    with pytest.raises(IllegalChange, match=text):
        house.do(ids.get(incident, incident), "link", parent=parent)
    assert house.incidents.all() == before


def test_parts_go_along_when_the_one_above_is_merged_into_another(store):
    house = House(store)
    for story in ("s1", "s2", "air"):
        house.act(story)
    one, two = incident_id("u", "s1"), incident_id("u", "s2")
    house.link("air", "s1")
    house.happen(Merge(200.0, "u", "s1", "s2"))
    assert house.incidents.get(AIR).parent == two
    assert house.incidents.get(two).children == (AIR,)
    assert house.incidents.get(one).children == ()


async def test_a_page_that_was_on_its_way_is_held_back_when_the_one_above_takes_over(store):
    house = House(store)
    house.act("air")
    house.act("u1", severity="crisis", at=140.0)
    outbox = OutboxStore(store)
    pages = {page.incident: page for page in await outbox.claim(6000.0, 9, "d1", 30.0, channels=["webhook"])}
    house.link("air")
    standing = await outbox.begin(pages[AIR].key, "d1", 6000.0, 30.0, exactly_once=True)
    assert standing.silenced == f"incident {TOP}"
    assert (await outbox.begin(pages[TOP].key, "d1", 6000.0, 30.0, exactly_once=True)).silenced is None


def test_a_page_names_what_belongs_together(house):
    house.do(TOP, "ack")
    house.do(TOP, "assign", owner="ana", why="she is on site")
    row = house.incidents.pages(TOP)[-1]
    page = Page(**{name: row[name] for name in COLUMNS})
    assert "With it: air: Matter air; rail: Matter rail" in plain(compose(page), 3000)
    german = plain(compose(page, Reader(language="de", role="pr")), 3000)
    assert "Dazu: air: Matter air; rail: Matter rail" in german


def test_an_umbrella_is_told_in_both_languages(store):
    house = House(store)
    house.act("u1", severity="crisis", view=example_umbrella())
    (row,) = house.incidents.pages()
    page = Page(**{name: row[name] for name in COLUMNS})
    assert page.facts["together"]["brands"] == [["Aurora Air", 61], ["Aurora Hotels", 33]]
    german = plain(compose(page, Reader(language="de")), 3000)
    assert "2 Marken zugleich: Aurora Air (61 Personen), Aurora Hotels (33 Personen)" in german


def test_the_commands(tmp_path, store, store_url):
    house = House(store)
    house.act("air")
    house.act("u1", severity="crisis")
    config = tmp_path / "monitor.yaml"
    config.write_text(json.dumps({"store": {"url": store_url}}))

    def run(*words):
        return CliRunner().invoke(app, [*words, "--config", str(config), "--by", "ben"], env={"COLUMNS": "200"})

    assert f"part of {TOP}" in run("link", AIR, "--to", TOP, "--why", "one outage").output
    shown = CliRunner().invoke(app, ["show", TOP, "--config", str(config)], env={"COLUMNS": "200"}).output
    assert f"its parts: {AIR}" in shown
    assert f"joined: {AIR}" in shown
    assert "part of" not in run("unlink", AIR).output
