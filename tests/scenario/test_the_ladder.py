"""Stories of who is paged next: from the rules through the store's timers to the outbox, on a virtual clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs
from sqlalchemy import event

from monitor.clock import VirtualClock
from monitor.engine.changes import Act
from monitor.escalation import RuleMemory, default_rules, evaluate
from monitor.escalation.example import example_spread, example_view
from monitor.incident import Acknowledged, Answered, Assigned, replay
from monitor.oncall import Directory, Recipient, Route, load_oncall
from monitor.page import Delivery, Dispatcher
from monitor.page.worker import PageMeter
from monitor.store import IncidentStore, OutboxStore, Store
from monitor.store.tables import metadata
from monitor.store.writer import IncidentWriter
from monitor.telemetry.metrics import Metrics
from tests.support.stores import url_for

pytestmark = pytest.mark.store

MINUTE, HOUR = 60.0, 3600.0
KEPT = ("true", "false")
BERLIN = ZoneInfo("Europe/Berlin")
PEOPLE = ("ana", "ben", "carla", "boss", "pr", "duty")
FILE = """
zone: Europe/Berlin
teams:
  - {name: house, people: [duty]}
rotas:
  - name: desk
    layers:
      - {from: 2026-10-20, every: 1d, hand_over: "00:00", people: [ana, ben]}
  - name: nights
    gaps: true
    layers:
      - {from: 2026-10-20, people: [carla], only: {from: "22:00", to: "06:00"}}
ladders:
  - name: main
    levels:
      - {to: [desk], wait: 10m}
      - {to: [nights], wait: 5m}
      - {to: [boss]}
    repeat: 1
    catch_all: [house]
    manager: [boss]
deadlines:
  page: {acknowledge: 10m, answer: 2h, resolve: 12h}
  crisis: {acknowledge: 5m, answer: 30m, resolve: 4h}
quiet:
  - {people: [pr], below: page, from: "22:00", to: "07:00"}
"""


class House:
    """A house with a rota, a ladder and one story; a minute at a time."""

    def __init__(self, tmp_path, begins):
        path = tmp_path / "oncall.yaml"
        path.write_text(FILE)
        self.clock = VirtualClock(datetime.fromisoformat(begins).replace(tzinfo=BERLIN).timestamp())
        oncall = load_oncall(path, PEOPLE, self.clock.now())
        people = [Recipient(name=name, channels=("phone",)) for name in PEOPLE]
        routes = [Route(recipient="main"), Route(recipient="pr", severity="notify", until="notify")]
        self.directory = Directory.of(people, routes, oncall)
        self.store = Store(url_for(tmp_path / "store.sqlite"))

        if self.store.is_sqlite:  # nobody pulls the plug on a test

            @event.listens_for(self.store.engine, "connect")
            def _fast(connection, _):
                connection.execute("PRAGMA synchronous=OFF")

        metadata.create_all(self.store.engine)
        self.incidents = IncidentStore(self.store, self.directory, self.clock)
        self.rules, self.memory, self.view = default_rules(), RuleMemory(), None

    def story(self, **changes):
        """Say how the story stands from now on; names of the spread's and forecast's fields go there."""
        names = {*example_spread().__struct_fields__, "p_viral", "q10"} - {"voices", "size"}
        spread = {key: changes.pop(key) for key in list(changes) if key in names}
        if "voices" in changes:
            spread["voices"] = changes["voices"]
        self.view = example_view(spread=example_spread(**spread), **changes)

    async def forward(self, seconds):
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(MINUTE)
            now = self.clock.now()
            if self.view is not None:
                spread = structs.replace(self.view.spread, at=now)
                fresh = structs.replace(self.view, first_at=now - HOUR, last_at=now - 5, spread=spread)
                decision, self.memory = evaluate(self.rules, fresh, self.memory, now)
                act = Act(now, fresh, decision)
                self.store.transact(lambda c, act=act: IncidentWriter(c, self.directory, self.clock.now()).act(act))
            await self.incidents.run_out(now)

    async def says(self, kind, by="ana", **more):
        return await self.incidents.change(self.incident.id, kind(at=self.clock.now(), by=by, **more))

    @property
    def incident(self):
        (one,) = self.incidents.all()
        return one

    @property
    def pages(self):
        return self.incidents.pages()

    def heard(self):
        """Who was paged for what, and when on the wall clock."""
        return [
            (datetime.fromtimestamp(page["decided_at"], BERLIN).strftime("%H:%M"), page["recipient"], page["purpose"])
            for page in self.pages
        ]


class Phone:
    """A channel that keeps what arrived."""

    name, exactly_once = "phone", True

    def __init__(self):
        self.pages = []

    async def send(self, page):
        self.pages.append(page)
        return Delivery("accepted")


@pytest.fixture
async def evening(tmp_path):
    house = House(tmp_path, "2026-10-23 18:00")
    yield house
    incident = house.incident
    assert replay(house.incidents.log(incident.id)) == incident
    house.store.close()


async def test_nobody_acknowledges_for_ten_minutes_and_level_two_is_paged(evening):
    evening.story()
    await evening.forward(2 * MINUTE)
    assert evening.heard() == [("18:02", "ben", "first")]
    await evening.forward(9 * MINUTE)
    assert len(evening.heard()) == 1
    await evening.forward(MINUTE)
    # The second level is on call at night only: it is skipped at once, and the page says so.
    assert evening.heard()[1:] == [("18:12", "boss", "first")]
    said = evening.pages[1]["facts"]["reason"]
    assert said.startswith(
        "Level 2 of main (nights) has nobody on call: skipped; nobody has acknowledged it after 10 min."
    )


async def test_nobody_ever_acknowledges_and_after_the_whole_ladder_twice_the_catch_all_is_paged(evening):
    evening.story()
    await evening.forward(5 * HOUR)
    assert evening.heard() == [
        ("18:02", "ben", "first"),
        ("18:12", "boss", "first"),
        ("18:22", "ben", "repeat"),
        ("18:32", "boss", "repeat"),
        ("18:42", "duty", "first"),
    ]


async def test_acknowledged_nobody_else_is_paged(evening):
    evening.story()
    await evening.forward(5 * MINUTE)
    await evening.says(Acknowledged, by="ben")
    await evening.forward(90 * MINUTE)
    assert evening.heard() == [("18:02", "ben", "first")]


async def test_acknowledged_and_then_forgotten_it_is_paged_again_at_the_answer_deadline(evening):
    evening.story()
    await evening.forward(5 * MINUTE)
    await evening.says(Acknowledged, by="ben")
    await evening.forward(3 * HOUR)
    assert evening.heard()[1:] == [
        ("20:02", "ben", "deadline"),
        ("20:12", "ben", "deadline"),
        ("20:12", "boss", "deadline"),
    ]
    facts = evening.pages[1]["facts"]
    assert facts["reason"].startswith("The customer still waits for an answer after 2 h. 38 people in ")
    assert facts["deadline"] == "2026-10-23T18:02:00Z"  # two hours after the first page, in UTC


async def test_answered_and_not_resolved_it_is_paged_again_at_the_last_deadline(evening):
    evening.story()
    await evening.forward(5 * MINUTE)
    await evening.says(Answered, by="ben", why="apology posted")
    await evening.forward(13 * HOUR)
    assert evening.heard()[1:] == [
        ("06:02", "ben", "deadline"),
        ("06:12", "ben", "deadline"),
        ("06:12", "boss", "deadline"),
    ]


async def test_a_crisis_has_its_own_deadlines_and_begins_the_ladder_anew(evening):
    evening.story()
    await evening.forward(14 * MINUTE)
    evening.story(size=1500, voices=1300)
    await evening.forward(2 * MINUTE)
    assert evening.heard()[2:] == [("18:16", "ben", "raised")]
    await evening.says(Acknowledged, by="ben")
    await evening.forward(32 * MINUTE)
    assert evening.heard()[3:] == [("18:46", "ben", "deadline")]


async def test_the_rota_changes_at_midnight_on_the_night_the_clocks_go_back(tmp_path):
    house = House(tmp_path, "2026-10-24 23:50")
    house.story()
    await house.forward(20 * MINUTE)
    assert house.heard() == [("23:52", "ana", "first"), ("00:02", "carla", "first"), ("00:07", "boss", "first")]
    await house.forward(10 * MINUTE)
    # The ladder goes through once more, and the desk is another's now.
    assert house.heard()[3:] == [("00:17", "ben", "first")]
    # 25 hours later, the night has had its hour twice, it is Monday and ana's turn again.
    turn = house.directory.oncall.rotas["desk"]
    midnight = datetime(2026, 10, 25, tzinfo=BERLIN).timestamp()
    assert [turn.who(midnight + hours * HOUR) for hours in (-0.1, 0, 24.9, 25)] == ["ana", "ben", "ben", "ana"]
    house.store.close()


async def test_the_story_dies_after_the_answer_and_the_incident_lowers_itself_and_wakes_nobody(evening):
    evening.story()
    await evening.forward(3 * MINUTE)
    await evening.says(Answered, by="ben", why="refund promised")
    evening.story(p_viral=0.01, per_hour=1.0)
    await evening.forward(70 * MINUTE)
    assert (evening.incident.severity, evening.incident.state) == ("notify", "answered")
    await evening.forward(20 * HOUR)
    assert evening.incident.state == "resolved"
    assert evening.heard() == [("18:02", "ben", "first"), ("21:04", "ben", "notice")]


async def test_it_flares_up_again_and_the_same_owner_is_told_and_the_ladder_begins_anew(evening):
    evening.story()
    await evening.forward(3 * MINUTE)
    await evening.says(Answered, by="carla", why="refund promised")
    evening.story(p_viral=0.01, per_hour=1.0)
    await evening.forward(5 * HOUR)
    assert evening.incident.state == "resolved"
    evening.story(size=90, voices=80, p_viral=0.9)
    await evening.forward(13 * MINUTE)
    assert (evening.incident.cycle, evening.incident.owner) == (2, "carla")
    reopened = [(who, purpose) for _, who, purpose in evening.heard()[2:]]
    assert reopened == [("ben", "reopened"), ("carla", "reopened"), ("carla", "first")]


async def test_handed_on_three_times_the_manager_hears_of_it(evening):
    evening.story()
    await evening.forward(5 * MINUTE)
    await evening.says(Acknowledged, by="ben")
    for owner in ("ana", "carla", "ben"):
        await evening.forward(MINUTE)
        await evening.says(Assigned, by="ben", owner=owner, why="not my hotel")
    handed = [(who, purpose) for _, who, purpose in evening.heard() if who == "boss"]
    assert handed == [("boss", "handover")]
    (told,) = (page for page in evening.pages if page["recipient"] == "boss")
    assert told["facts"]["reason"].startswith("Not my hotel. ")


async def test_a_notice_in_quiet_hours_waits_for_the_morning(tmp_path):
    house = House(tmp_path, "2026-10-24 23:00")  # the clocks go back in this night: the morning is nine hours away
    house.story(complaint_share=0.02, positive_share=0.95)
    await house.forward(5 * MINUTE)
    (page,) = house.pages
    assert (page["recipient"], page["purpose"], page["status"]) == ("pr", "notice", "waiting")
    morning = datetime(2026, 10, 25, 7, tzinfo=BERLIN).timestamp()
    assert page["next_try_at"] == morning
    # In the morning it goes out late on purpose, and is no broken promise.
    metrics, clock = Metrics(), VirtualClock(morning + MINUTE)
    phone = Phone()
    await Dispatcher(OutboxStore(house.store), {"phone": phone}, clock=clock, meter=PageMeter(metrics.pages)).step()
    assert [page.facts["held_until"] for page in phone.pages] == ["2026-10-25T06:00:00Z"]
    promises = [metrics.registry.get_sample_value("monitor_page_promises_total", {"kept": kept}) for kept in KEPT]
    assert promises == [0.0, 0.0]
    house.store.close()


async def test_two_workers_look_at_the_same_timers_and_each_runs_out_once(evening):
    other = IncidentStore(evening.store, evening.directory, evening.clock)
    evening.story()
    await evening.forward(2 * MINUTE)
    evening.clock.advance(11 * MINUTE)
    now = evening.clock.now()
    assert await evening.incidents.run_out(now) + await other.run_out(now) == 1
    assert await other.run_out(now) == 0


async def test_a_changed_ladder_counts_for_incidents_that_are_open(evening, tmp_path):
    evening.story()
    await evening.forward(2 * MINUTE)
    (tmp_path / "oncall.yaml").write_text(FILE.replace("{to: [desk], wait: 10m}", "{to: [desk], wait: 3m}"))
    oncall = load_oncall(tmp_path / "oncall.yaml", PEOPLE, evening.clock.now())
    evening.directory = structs.replace(evening.directory, oncall=oncall)
    evening.incidents.set_routes(evening.directory)
    await evening.incidents.plan_again()
    await evening.forward(3 * MINUTE)
    assert evening.heard()[1:] == [("18:05", "boss", "first")]
