"""What people do to incidents, side by side: nobody's event is lost, and a link works once."""

import asyncio
import random

import pytest
from msgspec import structs
from sqlalchemy import insert

from monitor.clock import VirtualClock
from monitor.engine.changes import Act
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import IllegalChange, Wish, incident_id, replay
from monitor.page.policy import not_needed
from monitor.page.types import Delivery
from monitor.store import (
    Desk,
    LinkUsedError,
    MirrorStore,
    OutboxStore,
    Store,
    UnknownIncidentError,
    VersionConflictError,
)
from monitor.store.tables import link_used
from monitor.store.writer import IncidentWriter
from tests.support.pipeline import on_call

PEOPLE = on_call("ana", "ben")
ID = incident_id("u", "s1")
NOW = 6000.0


def act(store, action="open", severity="page", at=100.0):
    decision = Decision(action, severity, "going-viral", "many in an hour")
    view = example_view(umbrella="u", story="s1")
    store.transact(lambda connection: IncidentWriter(connection, PEOPLE, 5000.0).act(Act(at, view, decision, None)))


@pytest.fixture
def desk(store):
    act(store)
    return Desk(store, PEOPLE, VirtualClock(NOW))


def wish(verb, by="ana", **more):
    return Wish(verb=verb, by=by, **more)


async def test_the_way_of_an_incident_and_its_log(desk):
    await desk.do(ID, wish("ack"))
    await desk.do(ID, wish("silence", why="we know", for_s=60.0))
    await desk.do(ID, wish("assign", owner="ben", why="her shift ends"))
    await desk.do(ID, wish("answer", "ben", url="https://example.org/1"))
    now = await desk.do(ID, wish("resolve", "ben", why="refunded"))
    log = desk.incidents.log(ID)
    assert [type(event).__name__ for event in log] == [
        *("Opened", "Paged", "Acknowledged", "Silenced", "Assigned", "Paged", "Answered", "Resolved", "Paged"),
    ]
    assert replay(log) == now
    assert all(event.at == NOW for event in log[2:])


async def test_what_does_not_fit_is_refused(desk):
    with pytest.raises(UnknownIncidentError):
        await desk.do("nothing", wish("ack"))
    with pytest.raises(IllegalChange, match="nobody is configured who is called 'zoe'"):
        await desk.do(ID, wish("assign", owner="zoe"))
    await desk.do(ID, wish("ack"))
    with pytest.raises(IllegalChange, match="acknowledged already, owned by ana"):
        await desk.do(ID, wish("ack", "ben"))
    with pytest.raises(IllegalChange, match="say why"):
        await desk.do(ID, wish("assign", owner="ben"))
    with pytest.raises(VersionConflictError, match="has version 3 by now, not 2"):
        await desk.do(ID, wish("resolve"), expect=2)


async def test_an_owner_is_a_person_and_no_rota(desk):
    class Rotas:
        def reach(self, recipient, at):  # noqa: ARG002 -- the interface
            return (("ana", "webhook"),) if recipient == "nights" else ()

    one = Desk(desk._store, Rotas(), VirtualClock(NOW))
    with pytest.raises(IllegalChange, match="'nights' is no person but stands for others; name one, now ana"):
        await one.do(ID, wish("assign", owner="nights"))


async def test_of_many_who_acknowledge_at_once_one_owns_it_and_the_others_are_told_who(desk, store):
    others = [Desk(Store(store.url), PEOPLE, VirtualClock(NOW)) for _ in range(4)]
    said = await asyncio.gather(
        *(one.do(ID, wish("ack", f"p{number}")) for number, one in enumerate(others)), return_exceptions=True
    )
    won = [one for one in said if not isinstance(one, Exception)]
    lost = [str(one) for one in said if isinstance(one, IllegalChange)]
    assert len(won) == 1
    assert len(lost) == 3
    assert all(f"owned by {won[0].owner}" in text for text in lost)
    assert len(desk.incidents.log(ID)) == 3


async def test_writers_side_by_side_lose_no_event(desk, store):
    dice = random.Random(7)
    others = [Desk(Store(store.url), PEOPLE, VirtualClock(NOW)) for _ in range(3)]

    async def busy(one, who):
        done = 0
        for number in range(8):
            await one.do(ID, wish("silence", who, why=f"{who} {number}", for_s=dice.uniform(0, 99)))
            done += 1
        return done

    assert await asyncio.gather(*(busy(one, f"p{number}") for number, one in enumerate(others))) == [8, 8, 8]
    log = desk.incidents.log(ID)
    assert len(log) == 2 + 24
    for number in range(3):
        assert [event.why for event in log if event.by == f"p{number}"] == [f"p{number} {n}" for n in range(8)]
    assert replay(log) == desk.incidents.get(ID)


async def test_a_link_works_once_and_is_not_used_up_by_a_refusal(desk, store):
    await desk.do(ID, wish("ack"), link="one")
    with pytest.raises(LinkUsedError):
        await desk.do(ID, wish("resolve"), link="one")
    with pytest.raises(IllegalChange):
        await desk.do(ID, wish("ack", "ben"), link="two")
    assert await desk.link_was_used("one")
    assert not await desk.link_was_used("two")
    with store.engine.begin() as connection:
        connection.execute(insert(link_used).values(link="three", incident=ID, used_at=1.0))
    with pytest.raises(LinkUsedError):
        await desk.do(ID, wish("resolve"), link="three")


async def test_a_message_elsewhere_is_behind_after_each_change_until_it_was_shown(desk, store):
    out, mirrors = OutboxStore(store), MirrorStore(store)

    async def deliver(receipt):
        (page,) = [one for one in await out.claim(NOW, 9, "d", 30, channels=["webhook"]) if one.recipient == "ana"]
        standing = await out.begin(page.key, "d", NOW, 30, exactly_once=False)
        await out.finish(page.key, "d", Delivery("accepted", receipt=receipt), NOW, status="accepted")
        return standing.thread

    assert await deliver("m1") is None
    assert await mirrors.behind(["webhook"]) == []
    await desk.do(ID, wish("ack", "ben"))
    (behind,) = await mirrors.behind(["webhook"])
    assert (behind.recipient, behind.thread, behind.incident.state) == ("ana", "m1", "acknowledged")
    assert behind.facts["quotes"]
    await mirrors.shown(behind)
    assert await mirrors.behind(["webhook"]) == []
    act(store, "raise", "crisis", 200.0)
    assert await deliver("m2") == "m1", "the next page knows the first one's message"
    (behind,) = await mirrors.behind(["webhook"])
    assert (behind.thread, behind.incident.severity) == ("m1", "crisis"), "which is still to be brought up to date"
    await desk.do(ID, wish("resolve", "ben"))
    act(store, "open", "page", 300.0)
    assert await deliver("m3") == "m1", "the notice of the end belongs to the cycle that ended"
    assert await deliver("m4") is None, "a new cycle begins a new message"
    assert await mirrors.behind(["webhook"]) == []


async def test_what_was_silenced_meanwhile_is_not_sent(desk, store):
    out = OutboxStore(store)
    await desk.do(ID, wish("silence", "ben", why="we know", for_s=60.0))
    page, *_ = await out.claim(NOW, 9, "d", 30, channels=["webhook"])
    standing = await out.begin(page.key, "d", NOW, 30, exactly_once=True)
    assert standing.silenced == "ben"
    assert not_needed(page, standing) == "ben silenced the incident before it could be sent"
    assert not_needed(structs.replace(page, severity="crisis"), standing) is None
    later = await out.begin(page.key, "d", NOW + 61, 99, exactly_once=True)
    assert later is None, "the lease has run out"
