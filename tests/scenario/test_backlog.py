"""After an outage the person on call is not paged for every hour of it: one page, which says since when."""

from collections import Counter

import msgspec
import pytest

from monitor.engine import partition_of
from monitor.mention import Mention
from monitor.page.facts import iso
from monitor.page.types import Delivery
from monitor.store import OutboxStore
from tests.support.pipeline import NAMES, T0, Pipeline, chatter, in_time, on_call, outcry
from tests.support.stores import url_for

pytestmark = pytest.mark.store

HOUR = 3600.0
NOW = T0 + 6 * HOUR
"""The wall clock when the workers come back, six hours after the stream stopped being read."""


class Night:
    """Several partitions, one person on call, and the wall clock in hand."""

    def __init__(self, tmp_path, *, readings=4, people=("ana",)):
        self.flow = Pipeline(
            readings=readings,
            mentions=2,
            mode="live",
            url=url_for(tmp_path / "store.db"),
            routes=on_call(*people),
            size=64,
        )
        self.outbox = OutboxStore(self.flow.store)
        self.got = []

    def read(self, raws, *, wall, tick=True):
        """Read mentions, each appended when it was published, at this wall time; score ticks every round."""
        flow = self.flow
        for start in range(0, len(raws), 64):
            flow.wall = wall
            some = raws[start : start + 64]
            for partition in (0, 1):
                flow.feed(*some[partition::2], partition=partition, appended=_at(some[0]))
            if tick:
                flow.tick(_at(some[-1]) - T0)

    def head(self, wall):
        """Everything has been read: score's ticks say now."""
        self.flow.wall = wall
        self.flow.tick(wall - T0)

    async def deliver(self, wall):
        """Let a dispatcher send what it is given."""
        while pages := await self.outbox.claim(wall, 10, "d", 30.0, channels=["webhook"]):
            for page in pages:
                assert await self.outbox.begin(page.key, "d", wall, 30.0, exactly_once=True)
                assert await self.outbox.finish(page.key, "d", Delivery("accepted"), wall, status="accepted")
                self.got.append(page)


def _at(raw):
    return msgspec.json.decode(raw, type=Mention).published_at.timestamp()


def outage():
    """Six hours: four brands, three of them with a complaint that went viral and still goes on, one that is over."""
    raws = [raw for brand in NAMES for raw in chatter(brand, 0, 6 * HOUR, 1800.0)]
    for number, brand in enumerate(NAMES[:3]):
        raws += outcry(brand, (4.6 + number * 0.2) * HOUR, people=150, hours=1.35 - number * 0.2, tag="now")
    raws += outcry(NAMES[3], 0.5 * HOUR, people=150, hours=0.5, tag="over")
    return [raw for raw in in_time(raws) if _at(raw) < T0 + 5.9 * HOUR]


@pytest.fixture
def night(tmp_path):
    found = Night(tmp_path)
    yield found
    found.flow.store.close()


async def test_after_six_hours_there_is_one_page_and_it_says_since_when(night):
    night.head(T0)
    night.read(outage(), wall=NOW)
    assert not night.flow.pages(), "nothing is decided on the past"
    assert all(engine.behind for engine in night.flow.engines)
    night.head(NOW + 20)
    incidents = night.flow.incidents()
    assert sorted(one.umbrella for one in incidents) == ["aurora-hotels", "blue-finch-air", "calder-rail"]
    await night.deliver(NOW + 60)
    (page,) = night.got
    assert page.purpose == "backlog"
    assert page.facts["since"] == iso(T0)
    assert sorted(row["umbrella"] for row in page.facts["incidents"]) == sorted(one.umbrella for one in incidents)
    for second in range(30, 600, 10):
        night.head(NOW + second)
    await night.deliver(NOW + 3600)
    assert [page.purpose for page in night.got] == ["backlog"], "and nothing after it"


async def test_everyone_on_call_gets_one(tmp_path):
    night = Night(tmp_path, people=("ana", "ben"))
    night.head(T0)
    night.read(outage(), wall=NOW)
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    assert Counter(page.recipient for page in night.got) == {"ana": 1, "ben": 1}
    night.flow.store.close()


async def test_what_was_told_on_the_one_page_counts_as_told_for_each_incident(night):
    night.head(T0)
    night.read(outage(), wall=NOW)
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    rows = [row for row in night.flow.pages() if row.purpose != "backlog"]
    assert len(rows) == 3
    assert {row.status for row in rows} == {"accepted"}
    assert {row.grouped_in for row in rows} == {night.got[0].key}


async def test_a_worker_that_starts_into_the_backlog_is_behind_from_its_first_record(night):
    """The first batches come before any tick says how late it is: they must not page either."""
    night.head(T0)
    night.flow.restart()
    night.read(outage(), wall=NOW, tick=False)
    assert not night.flow.pages()
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    assert [(page.purpose, page.facts["since"]) for page in night.got] == [("backlog", iso(T0))]


async def test_a_store_that_never_saw_the_stream_says_since_the_first_record(night):
    night.read(outage(), wall=NOW)
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    (page,) = night.got
    assert page.purpose == "backlog"
    assert iso(T0) <= page.facts["since"] <= iso(T0 + 600)


async def test_a_restart_in_the_middle_of_the_backlog_changes_nothing(night):
    night.head(T0)
    raws = outage()
    for start in range(0, len(raws), 150):
        night.read(raws[start : start + 150], wall=NOW)
        night.flow.restart()
    assert not night.flow.pages()
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    assert [(page.purpose, page.facts["since"]) for page in night.got] == [("backlog", iso(T0))]


@pytest.mark.parametrize("asleep", [False, True], ids=["reading", "not yet started"])
async def test_partitions_that_catch_up_one_after_the_other_share_the_one_page(tmp_path, asleep):
    night = Night(tmp_path)
    flow = night.flow
    night.head(T0)
    busy = {one for one in range(4) if _umbrellas(flow, one)}
    late = max(busy)
    held = []
    take = flow.take

    def but_late(partition, value):
        """One partition's records lie there unread."""
        if partition == late:
            held.append(value)
            return None
        return take(partition, value)

    flow.take = but_late
    night.read(outage(), wall=NOW)
    night.head(NOW + 20)
    flow.take = take
    if not asleep:
        take(late, held.pop(0))
    assert flow.incidents(), "the others have something to tell"
    await night.deliver(NOW + 60)
    assert not night.got, "held for the partition that is behind"
    for value in held:
        flow.wall = NOW + 40
        take(late, value)
    await night.deliver(NOW + 60)
    assert [page.purpose for page in night.got] == ["backlog"]
    assert len(night.got[0].facts["incidents"]) == len(flow.incidents()) == 3
    flow.store.close()


def _umbrellas(flow, partition):
    return [root for root in flow.tree.roots[:3] if partition_of(root, 4) == partition]


async def test_a_partition_that_never_comes_back_does_not_hold_the_page_for_ever(tmp_path):
    night = Night(tmp_path)
    night.head(T0)
    flow = night.flow
    late = next(partition for partition in range(4) if not _umbrellas(flow, partition))
    take = flow.take
    flow.take = lambda partition, value: None if partition == late else take(partition, value)
    night.read(outage(), wall=NOW)
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    assert not night.got
    await night.deliver(NOW + 700)
    assert [page.purpose for page in night.got] == ["backlog"]
    flow.store.close()


async def test_a_short_lag_is_no_outage(night):
    """Four minutes late is late, not an outage: each incident is paged by itself."""
    night.head(T0)
    raws = in_time(outcry(NAMES[0], 60.0, people=100, hours=0.3))
    for raw in raws:
        night.read([raw], wall=_at(raw) + 240)
    assert [page.purpose for page in night.flow.pages() if page.purpose != "raised"] == ["first"]


async def test_what_begins_after_the_backlog_pages_as_ever(night):
    night.head(T0)
    night.read(outage(), wall=NOW)
    night.head(NOW + 20)
    await night.deliver(NOW + 60)
    words = f"{NAMES[3]} worst kitchen: a stuck fork broke my tooth, terrible, nobody ever called back"
    for raw in outcry(NAMES[3], 6 * HOUR + 120, people=70, hours=0.2, tag="fresh", words=words):
        night.read([raw], wall=_at(raw) + 1)
    await night.deliver(NOW + 3600)
    assert [page.purpose for page in night.got] == ["backlog", "first"]
    assert night.got[1].umbrella == "dune-resorts"
