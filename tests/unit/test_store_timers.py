"""Timers in the store, on either database: each runs out once, however many look at it."""

import asyncio

from monitor.clock import VirtualClock
from monitor.engine.changes import Act
from monitor.escalation import Decision
from monitor.escalation.example import example_view
from monitor.incident import Acknowledged
from monitor.oncall import Directory, Ladder, Level, OnCall, Recipient, Route
from monitor.store import IncidentStore, PartitionState, WatchStore
from monitor.store.timers import run_timers
from monitor.store.writer import IncidentWriter

LADDER = Ladder(
    name="main", levels=(Level(to=("ana",), wait=600.0), Level(to=("ben",), wait=600.0), Level(to=("carla",)))
)
HOUSE = Directory.of(
    [Recipient(name=name, channels=("phone",)) for name in ("ana", "ben", "carla")],
    [Route(recipient="main")],
    OnCall(ladders={"main": LADDER}),
)


def opened(store, number=8):
    def work(connection):
        writer = IncidentWriter(connection, HOUSE, 0.0)
        for one in range(number):
            view = example_view(story=f"s{one}")
            writer.act(Act(0.0, view, Decision("open", "page", "going-viral", "38 people")))

    store.transact(work)
    return IncidentStore(store, HOUSE, VirtualClock(0.0))


def told(incidents):
    return sorted((page["incident"], page["recipient"], page["purpose"]) for page in incidents.pages())


async def test_workers_side_by_side_let_each_timer_run_out_once(store):
    incidents = opened(store)
    others = [IncidentStore(store, HOUSE, VirtualClock(0.0)) for _ in range(3)]
    assert await incidents.run_out(599.0) == 0
    ran = await asyncio.gather(*(one.run_out(600.0) for one in (incidents, *others)))
    assert sum(ran) == 8
    names = [one.id for one in incidents.all()]
    assert told(incidents) == sorted((name, who, "first") for name in names for who in ("ana", "ben"))
    assert await incidents.run_out(1200.0, limit=3) == 3
    assert await incidents.run_out(1200.0) == 5
    assert await incidents.run_out(1e9) == 0


async def test_who_acknowledges_in_the_same_second_stops_the_ladder_or_does_not(store):
    incidents = opened(store, 6)
    names = [one.id for one in incidents.all()]
    acks = (incidents.change(name, Acknowledged(at=600.0, by="ana")) for name in names)
    ran, *_ = await asyncio.gather(incidents.run_out(600.0), *acks)
    kinds = {name: [type(event).__name__ for event in incidents.log(name)] for name in names}
    assert sum(found.count("Overdue") for found in kinds.values()) == ran
    for name in names:
        assert incidents.get(name).state == "acknowledged"
        assert kinds[name].index("Acknowledged") > kinds[name].index("Overdue") if "Overdue" in kinds[name] else True
    assert await incidents.run_out(1e9) == 0


async def test_in_a_replay_timers_run_by_the_slowest_partition(store):
    incidents = opened(store, 1)
    watch = WatchStore(store, HOUSE)
    for partition, clock in enumerate((700.0, 300.0, 0.0)):
        watch.begin(PartitionState("readings", partition, "c", "t", 3, 0, clock=clock))
    stop, ran = asyncio.Event(), []

    async def soon():
        await asyncio.sleep(0.2)
        stop.set()

    await asyncio.gather(run_timers(incidents, stop, replay=store, ran_out=ran.append), soon())
    assert ran == []
    watch.reset("readings", state=PartitionState("readings", 1, "c", "t", 3, 0, clock=650.0))
    stop.clear()
    await asyncio.gather(run_timers(incidents, stop, replay=store, ran_out=ran.append), soon())
    assert ran == [1]
