"""A person's budget: what is held, what never is, when it comes, and that nothing is lost by it."""

import pytest

from monitor.clock import VirtualClock
from monitor.engine.changes import Act
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import Wish, incident_id
from monitor.oncall import Directory, Recipient, Route
from monitor.page import Delivery, Dispatcher
from monitor.page.budget import Budget, can_wait, held_until
from monitor.page.trial import trial_pages, week_of
from monitor.store import Desk, OutboxStore
from monitor.store.spare import put
from monitor.store.writer import IncidentWriter
from tests.support.receivers import a_page

HOUR = 3600.0
NOW = 1_900_000_000.0
PEOPLE = Directory.of(
    [Recipient(name="ana", channels=("mail", "desk")), Recipient(name="ben", channels=("mail",))],
    [Route(recipient="ana", severity="notify"), Route(recipient="ben", severity="crisis")],
)
BUDGET = Budget(pages=2, window_s=12 * HOUR, channels=frozenset({"mail"}))


class Channel:
    exactly_once = False

    def __init__(self, name):
        self.name, self.pages = name, []

    async def send(self, page):
        self.pages.append(page)
        return Delivery("accepted", "ok")

    async def check(self):
        return None

    async def close(self):
        pass


class Held:
    """Counts what is held."""

    def __init__(self):
        self.channels = []

    def __getattr__(self, name):
        return self.channels.append if name == "on_held" else lambda *_, **__: None


class House:
    """A store, a dispatcher with a budget, and two channels, on one clock."""

    def __init__(self, store):
        self.store, self.clock, self.held = store, VirtualClock(NOW), Held()
        self.mail, self.desk_channel = Channel("mail"), Channel("desk")
        self.outbox = OutboxStore(store, budget=BUDGET)
        channels = {"mail": self.mail, "desk": self.desk_channel}
        self.dispatcher = Dispatcher(self.outbox, channels, clock=self.clock, meter=self.held, owner="d")
        self.desk = Desk(store, PEOPLE, self.clock)

    def decide(self, story, severity="page", action="open"):
        act = Act(self.clock.now(), example_view(umbrella="u", story=story), Decision(action, severity, "r", "x"), None)
        now = self.clock.now()
        self.store.transact(lambda connection: IncidentWriter(connection, PEOPLE, now).act(act))

    def add(self, **page):
        self.store.transact(
            lambda connection: put(connection, a_page(channel="mail", **page, created_at=self.clock.now()))
        )

    async def forward(self, seconds=1.0):
        self.clock.advance(seconds)
        while await self.dispatcher.step():
            pass

    def said(self, recipient="ana"):
        return [(page.purpose, page.incident) for page in self.mail.pages if page.recipient == recipient]


@pytest.fixture
def house(store):
    return House(store)


def test_what_can_wait_and_what_never_does():
    def waits(purpose, *, before=True, about="opened", **more):
        page = a_page(purpose=purpose, **more)
        return can_wait(page, paged_before=before)

    assert waits("repeat")
    assert waits("notice")
    for purpose in ("first", "reopened", "deadline", "handover", "raised", "backlog", "digest", "test"):
        assert not waits(purpose), purpose
    assert not waits("repeat", before=False), "their first page of it, though others were paged before"
    assert not waits("repeat", severity="crisis")
    assert not waits("notice", attempts=1), "it was begun"
    assert not can_wait(a_page(purpose="notice", facts={"about": "assigned"}), paged_before=True)


def test_room_is_when_the_oldest_of_so_many_is_out_of_the_window():
    assert held_until([], NOW, BUDGET) is None
    assert held_until([NOW - HOUR, NOW - 13 * HOUR], NOW, BUDGET) is None
    assert held_until([NOW - HOUR, NOW - 3 * HOUR, NOW - 5 * HOUR], NOW, BUDGET) == NOW + 9 * HOUR
    assert held_until([NOW] * 9, NOW, Budget(pages=0)) is None


async def test_after_two_pages_what_can_wait_comes_as_one_at_the_time_it_names(house):
    for story in ("s1", "s2", "s3"):
        house.decide(story)
        await house.forward(60)
    one, two, three = (incident_id("u", story) for story in ("s1", "s2", "s3"))
    assert house.said() == [("first", one), ("first", two), ("first", three)], "a first page is never held"
    await house.desk.do(one, Wish(verb="resolve", by="ben"))
    await house.forward()
    await house.desk.do(two, Wish(verb="dismiss", by="ben", why="an old photo"))
    await house.forward()
    assert len(house.mail.pages) == 3
    assert len(house.desk_channel.pages) == 5, "a machine is not spared"
    assert house.held.channels == ["mail", "mail"]
    statuses = {(row["purpose"], row["channel"]): row["status"] for row in house.desk.incidents.pages(one)}
    assert statuses["notice", "mail"] == "grouped"
    await house.forward(11.9 * HOUR)
    assert len(house.mail.pages) == 3
    await house.forward(HOUR)
    *_, last = house.mail.pages
    assert (last.purpose, last.recipient) == ("digest", "ana")
    assert [row["about"] for row in last.facts["incidents"]] == ["resolved", "dismissed"]
    assert last.facts["until"] <= "2030-03-18T05:49:40Z"
    statuses = {(row["purpose"], row["channel"]): row["status"] for row in house.desk.incidents.pages(one)}
    assert statuses["notice", "mail"] == "accepted", "what it said was delivered with it"
    assert (await house.outbox.depth()).unsettled == 0


async def test_escalations_deadlines_and_crises_are_never_held(house):
    for story in ("s1", "s2", "s3"):
        house.decide(story)
        await house.forward()
    house.decide("s1", "crisis", "raise")
    house.add(key="x:1:deadline:0:1:ana:mail", incident="x", purpose="deadline")
    house.add(key="y:1:first:2:1:ana:mail", incident="y", purpose="first")
    house.add(key="z:1:repeat:1:1:ana:mail", incident="z", purpose="repeat")
    await house.forward()
    assert sorted(purpose for purpose, _ in house.said()[3:]) == ["deadline", "first", "raised", "repeat"]
    house.add(key="y:1:repeat:2:2:ana:mail", incident="y", purpose="repeat")
    await house.forward()
    assert len(house.said()) == 7, "a repeat to somebody who was paged about it can wait"
    assert house.held.channels == ["mail"]
    assert [purpose for purpose, _ in house.said("ben")] == ["raised"], "the budget is a person's own"


async def test_one_decision_over_two_channels_is_one_page(house):
    house.decide("s1")
    await house.forward()
    assert len(house.mail.pages) == len(house.desk_channel.pages) == 1
    await house.desk.do(incident_id("u", "s1"), Wish(verb="resolve", by="ben"))
    await house.forward()
    assert house.said()[-1][0] == "notice"


async def test_what_is_not_needed_any_more_is_not_held_either(house):
    for story in ("s1", "s2"):
        house.decide(story)
        await house.forward()
    one = incident_id("u", "s1")
    await house.desk.do(one, Wish(verb="resolve", by="ana"))
    house.add(key=f"{one}:1:repeat:0:1:ana:mail", incident=one, purpose="repeat")
    await house.forward()
    rows = {row["purpose"]: row["status"] for row in house.desk.incidents.pages(one)}
    assert rows["repeat"] == "cancelled"
    assert house.held.channels == []


async def test_a_test_page_goes_the_real_way_and_the_weekly_one_once(house):
    pages = trial_pages([("ana", "mail"), ("ana", "desk")], name="2030-W11", by="the weekly test", now=NOW)
    assert await house.outbox.put(pages) == 2
    assert await house.outbox.put(pages) == 0
    await house.forward()
    assert [page.purpose for page in house.mail.pages] == ["test"]
    assert await house.outbox.standings([pages[0].key]) == {pages[0].key: ("accepted", "ok")}
    assert week_of(NOW, "sunday", 17) == "2030-W11"
    assert week_of(NOW, "monday", 17) is None
