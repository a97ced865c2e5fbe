"""People's changes and the rules' changes of one incident: all appended, none overwritten."""

import asyncio
import threading

import pytest

from monitor.clock import VirtualClock
from monitor.engine.changes import Act, Crossing
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import Acknowledged, Answered, Assigned, Dismissed, IllegalChange, Resolved, incident_id, replay
from monitor.store import IncidentStore, OutboxStore, Store
from monitor.store.writer import IncidentWriter, VersionConflictError
from tests.support.pipeline import on_call

PEOPLE = on_call("ana", "ben")
ID = incident_id("u", "s1")


def act(store, action="open", severity="page", at=100.0, since=None, story="s1", **view):
    shown = example_view(umbrella="u", story=story, **view)
    decision = Decision(action, severity, "going-viral", "many in an hour")
    store.transact(lambda connection: IncidentWriter(connection, PEOPLE, 5000.0).act(Act(at, shown, decision, since)))


@pytest.fixture
def incidents(store):
    return IncidentStore(store, PEOPLE, VirtualClock(6000.0))


def purposes(incidents):
    return [(page["recipient"], page["purpose"], page["severity"], page["sequence"]) for page in incidents.pages(ID)]


async def test_the_log_tells_the_whole_story_again(store, incidents):
    act(store)
    await incidents.change(ID, Acknowledged(at=110.0, by="ana"))
    act(store, "raise", "crisis", at=120.0)
    store.transact(lambda c: IncidentWriter(c, PEOPLE, 5000.0).crossed(Crossing(130.0, "u", "s1", 500, 400.0)))
    await incidents.change(ID, Assigned(at=140.0, by="ana", owner="ben", why="he knows the hotel"))
    await incidents.change(ID, Answered(at=150.0, by="ben", url="https://example.org/1"))
    await incidents.change(ID, Resolved(at=160.0, by="ben"))
    act(store, "open", "page", at=170.0)
    now = incidents.get(ID)
    assert replay(incidents.log(ID)) == now
    assert (now.state, now.cycle, now.owner, now.peak, now.crossed_at) == ("open", 2, "ben", "crisis", 130.0)
    assert len(incidents.log(ID)) == now.version
    assert incidents.all() == incidents.all(active=True) == [now]
    assert purposes(incidents) == [
        ("ana", "first", "page", 1),
        ("ben", "first", "page", 1),
        ("ana", "raised", "crisis", 2),
        ("ben", "raised", "crisis", 2),
        ("ben", "notice", "crisis", 3),
        ("ana", "notice", "crisis", 3),
        ("ana", "reopened", "page", 4),
        ("ben", "reopened", "page", 4),
    ]


async def test_a_page_about_a_persons_change_still_knows_the_story(store, incidents):
    act(store)
    await incidents.change(ID, Resolved(at=160.0, by="ben"))
    first, *_, notice = [page["facts"] for page in incidents.pages(ID)]
    assert notice["about"] == "resolved"
    assert notice["quotes"] == first["quotes"] != []
    assert notice["numbers"] == first["numbers"]
    assert incidents.facts(ID)["about"] == "opened"


async def test_what_does_not_fit_changes_nothing(store, incidents):
    act(store)
    before = incidents.log(ID)
    for event in (Dismissed(at=1.0, by="ana"), Assigned(at=1.0, by="ana", owner="")):
        with pytest.raises(IllegalChange):
            await incidents.change(ID, event)
    with pytest.raises(KeyError):
        await incidents.change("i0", Acknowledged(at=1.0, by="ana"))
    assert incidents.log(ID) == before
    assert incidents.get("i0") is None
    assert incidents.log("i0") == []


async def test_an_expected_version_must_hold(store, incidents):
    act(store)
    seen = incidents.get(ID).version
    await incidents.change(ID, Acknowledged(at=110.0, by="ana"), expect=seen)
    with pytest.raises(VersionConflictError):
        await incidents.change(ID, Resolved(at=120.0, by="ben"), expect=seen)
    assert incidents.get(ID).state == "acknowledged"


def test_changes_from_two_sides_at_once_are_all_there(store_url, store):
    """A person and another program hand the incident to and fro while the rules go on: no event is lost."""
    act(store)
    errors = []

    def person(name, count):
        async def work():
            mine = Store(store_url)
            found = IncidentStore(mine, PEOPLE)
            for number in range(count):
                try:
                    await found.change(
                        ID, Assigned(at=200.0 + number, by=name, owner=f"{name}-{number}", why="taking turns")
                    )
                except Exception as error:  # noqa: BLE001 -- shown by the test
                    errors.append(error)
            mine.close()

        asyncio.run(work())

    threads = [threading.Thread(target=person, args=(name, 15)) for name in ("ana", "ben")]
    for thread in threads:
        thread.start()
    for severity in ("page", "crisis"):
        act(store, "raise", severity, at=300.0)
    for thread in threads:
        thread.join()
    incidents = IncidentStore(store, PEOPLE)
    log = incidents.log(ID)
    assert errors == []
    assert sum(isinstance(event, Assigned) for event in log) == 30
    assert replay(log) == incidents.get(ID)


def test_of_two_who_expect_the_same_version_one_wins(store_url, store):
    act(store)
    version = IncidentStore(store, PEOPLE).get(ID).version
    outcomes, ready = [], threading.Barrier(2)

    def person(name):
        async def work():
            mine = Store(store_url)
            ready.wait()
            try:
                await IncidentStore(mine, PEOPLE).change(ID, Acknowledged(at=200.0, by=name), expect=version)
                outcomes.append(name)
            except VersionConflictError:
                outcomes.append("conflict")
            mine.close()

        asyncio.run(work())

    threads = [threading.Thread(target=person, args=(name,)) for name in ("ana", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "conflict" in outcomes
    assert len(set(outcomes)) == 2
    assert IncidentStore(store, PEOPLE).get(ID).owner in outcomes


async def test_what_a_person_dismissed_stays_dismissed(store, incidents):
    act(store)
    await incidents.change(ID, Dismissed(at=110.0, by="ana", why="a joke"))
    act(store, "open", "page", at=120.0)
    assert incidents.get(ID).state == "dismissed"
    assert incidents.all(active=True) == []


async def test_several_incidents_after_a_backlog_are_one_page_per_person(store, incidents):
    for story, severity, at in (("s1", "page", 100.0), ("s2", "crisis", 100.0), ("s3", "notify", 101.0)):
        act(store, "open", severity, at=at, since=40.0, story=story)
    waiting = [page for page in incidents.pages() if page["status"] == "waiting"]
    assert sorted((page["recipient"], page["purpose"], page["severity"]) for page in waiting) == [
        ("ana", "backlog", "crisis"),
        ("ben", "backlog", "crisis"),
    ]
    for page in waiting:
        assert page["facts"]["since"] == "1970-01-01T00:00:40Z"
        assert [row["severity"] for row in page["facts"]["incidents"]] == ["crisis", "page"]
    grouped = [page for page in incidents.pages() if page["status"] == "grouped"]
    assert len(grouped) == 6
    assert {page["grouped_in"] for page in grouped} == {page["key"] for page in waiting}


async def test_what_is_found_after_the_page_went_out_is_another_page(store, incidents):
    act(store, since=40.0)
    box = OutboxStore(store)
    pages = await box.claim(5005.0, 10, "d", 30.0, channels=["webhook"])
    assert [page.purpose for page in pages] == ["backlog", "backlog"]
    act(store, since=40.0, story="s2")
    assert len([page for page in incidents.pages() if page["purpose"] == "backlog"]) == 4
