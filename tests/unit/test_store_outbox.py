"""The outbox in the store keeps every promise of `monitor.page.outbox`."""

import pytest
from sqlalchemy import func, insert, select, update

from monitor.page.outbox import Depth, Reclaimed, Standing
from monitor.page.types import Delivery
from monitor.store import OutboxStore
from monitor.store.outbox import BACKLOG_LAG_S, BACKLOG_PATIENCE_S
from monitor.store.tables import incident, outbox, partition_state, receipt

YES, LATER, DOUBT, NO = (
    Delivery("accepted", "ok", receipt="r-7"),
    Delivery("retry"),
    Delivery("in_doubt"),
    Delivery("refused", "404"),
)
NOW, LEASE = 1000.0, 30.0


class Box:
    """The outbox with the test's pages; `d1` and `d2` are two dispatchers."""

    def __init__(self, store):
        self.store, self.out = store, OutboxStore(store)

    def put(self, *keys, **more):
        """Add pages to the end of their lane; a key names its incident by its first letter."""
        with self.store.engine.begin() as connection:
            for key in keys:
                values = {
                    "key": key, "incident": key[0], "umbrella": "u", "brand": "b", "severity": "page",
                    "purpose": "first", "recipient": "ana", "channel": "webhook", "decided_at": 1.0,
                    "created_at": 900.0, "facts": {"n": key}, "status": "waiting", "attempts": 0,
                    "may_be_repeat": False,
                    "settled": False,
                } | more  # fmt: skip
                last = connection.scalar(
                    select(func.max(outbox.c.sequence)).where(
                        *(outbox.c[name] == values[name] for name in ("incident", "recipient", "channel"))
                    )
                )
                connection.execute(insert(outbox).values(**({"sequence": (last or 0) + 1} | values)))

    async def claim(self, now=NOW, limit=10, owner="d1", channels=("webhook",), full=()):
        return [page.key for page in await self.out.claim(now, limit, owner, LEASE, channels=channels, full=full)]

    async def begin(self, key, now=NOW, owner="d1", *, exactly_once=True):
        return await self.out.begin(key, owner, now, LEASE, exactly_once=exactly_once)

    async def finish(self, key, delivery, status, now=NOW, owner="d1", next_try_at=None):
        return await self.out.finish(key, owner, delivery, now, status=status, next_try_at=next_try_at)

    def row(self, key):
        with self.store.engine.connect() as connection:
            return connection.execute(select(outbox).where(outbox.c.key == key)).one()

    def receipts(self, key):
        with self.store.engine.connect() as connection:
            query = select(receipt).where(receipt.c.key == key).order_by(receipt.c.number)
            return [(row.attempt, row.at, row.outcome, row.detail, row.receipt) for row in connection.execute(query)]

    async def send(self, key, delivery=YES, status="accepted", now=NOW):
        await self.begin(key, now)
        return await self.finish(key, delivery, status, now)


@pytest.fixture
def box(store):
    return Box(store)


# -- claim


async def test_only_the_heads_of_lanes_are_handed_out(box):
    box.put("a1", "a2", "b1")
    box.put("a3", recipient="ben")
    box.put("a4", channel="sms")
    assert await box.claim() == ["a1", "b1", "a3"]
    assert await box.claim() == [], "a leased head holds its lane"
    await box.send("a1")
    assert await box.claim() == ["a2"]


async def test_a_head_that_waits_for_its_next_try_holds_its_own_lane_and_no_other(box):
    box.put("a1", "a2", "b1")
    await box.claim(limit=1)
    await box.begin("a1")
    await box.finish("a1", LATER, "waiting", next_try_at=1100.0)
    assert await box.claim(now=1099.9) == ["b1"]
    assert await box.claim(now=1100.0) == ["a1"]


@pytest.mark.parametrize("status", ["accepted", "refused", "gave_up", "cancelled", "in_doubt"])
async def test_whatever_settles_a_head_frees_its_lane(box, status):
    box.put("a1", "a2")
    await box.claim()
    assert await box.send("a1", NO, status)
    assert box.row("a1").settled
    assert await box.claim() == ["a2"]


async def test_only_what_this_dispatcher_serves_and_has_room_for(box):
    box.put("a1")
    box.put("b1", recipient="ben")
    box.put("c1", channel="sms")
    assert await box.claim(channels=("mail",)) == []
    assert await box.claim(channels=()) == []
    assert await box.claim(full=[("ana", "webhook"), ("ana", "mail")]) == ["b1"]
    assert await box.claim(channels=("sms", "webhook"), full=[("ana", "webhook")]) == ["c1"]


async def test_order_is_by_next_try_then_creation_then_sequence_and_limited(box):
    box.put("a1", created_at=50.0)
    box.put("b1", created_at=40.0)
    box.put("c1", created_at=10.0, next_try_at=60.0)
    box.put("e1", created_at=40.0, sequence=9)
    assert await box.claim(limit=2) == ["b1", "e1"]
    assert await box.claim(limit=2) == ["a1", "c1"]


async def test_a_page_comes_out_as_it_went_in_with_the_tries_so_far(box):
    box.put("a1", facts={"text": "Ünïcode 🙂", "n": [1, None]}, may_be_repeat=True, attempts=3)
    (page,) = await box.out.claim(NOW, 1, "d1", LEASE, channels=["webhook"])
    assert (page.key, page.facts, page.attempts, page.may_be_repeat, page.sequence) == (
        "a1", {"text": "Ünïcode 🙂", "n": [1, None]}, 3, True, 1,
    )  # fmt: skip


async def test_two_dispatchers_never_hold_the_same_page(box):
    box.put("a1", "b1")
    assert await box.claim(limit=1, owner="d1") == ["a1"]
    assert await box.claim(limit=5, owner="d2") == ["b1"]


# -- begin


async def test_begin_counts_the_try_and_renews_the_lease(box):
    box.put("a1")
    await box.claim()
    assert await box.begin("a1", now=1020.0) == Standing("open", "page", told=False)
    row = box.row("a1")
    assert (row.attempts, row.lease_until, row.status) == (1, 1050.0, "leased")


async def test_a_send_that_may_be_repeated_leaves_its_mark_before_it_begins(box):
    box.put("a1")
    await box.claim()
    await box.begin("a1", exactly_once=False)
    assert box.row("a1").status == "sending"


async def test_nothing_is_sent_without_a_living_lease(box):
    box.put("a1")
    assert await box.begin("a1") is None
    assert await box.begin("nothing of that name") is None
    await box.claim()
    assert await box.begin("a1", owner="d2") is None
    assert await box.begin("a1", now=NOW + LEASE) is None, "a lease has run out at its end"
    assert await box.send("a1")
    assert await box.begin("a1") is None, "settled"
    assert box.row("a1").attempts == 1


async def test_standing_is_the_incident_as_it_is_now(box, store):
    box.put("a1")
    with store.engine.begin() as connection:
        connection.execute(
            insert(incident).values(
                id="a", umbrella="u", story="s", brand="b", state="resolved", severity="notify", opened_at=1.0,
                updated_at=1.0, version=3, body=b"", facts={},
            )
        )  # fmt: skip
    await box.claim()
    assert await box.begin("a1") == Standing("resolved", "notify", told=False)


@pytest.mark.parametrize(
    ("status", "told"),
    [("accepted", True), ("in_doubt", True), ("refused", False), ("cancelled", False), ("gave_up", False)],
)
async def test_told_is_who_got_an_earlier_page_of_this_lane(box, status, told):
    box.put("a1", "a2", "b2")
    box.put("a3", recipient="ben")
    await box.claim()
    await box.send("a1", NO, status)
    await box.claim()
    assert (await box.begin("a2")).told is told
    assert not (await box.begin("b2")).told
    assert not (await box.begin("a3")).told


async def test_who_was_told_on_a_page_for_many_was_told(box):
    box.put("a0", purpose="backlog", created_at=1.0)
    box.put("b0", status="grouped", settled=True, grouped_in="a0")
    box.put("b1")
    assert await box.claim() == ["a0", "b1"]
    assert not (await box.begin("b1")).told
    await box.send("a0")
    assert box.row("b0").status == "accepted"
    assert (await box.begin("b1")).told


# -- finish


async def test_every_try_leaves_a_receipt(box):
    box.put("a1")
    await box.claim()
    await box.begin("a1")
    await box.finish("a1", LATER, "waiting", now=1001.0, next_try_at=1002.0)
    await box.claim(now=1002.0)
    await box.begin("a1", now=1002.0)
    await box.finish("a1", Delivery("accepted", "x" * 2000, receipt="r-7"), "accepted", now=1003.0)
    assert box.receipts("a1") == [(1, 1001.0, "retry", "", None), (2, 1003.0, "accepted", "x" * 500, "r-7")]


async def test_waiting_gives_the_lease_back_and_a_doubt_marks_the_page(box):
    box.put("a1")
    await box.claim()
    await box.begin("a1", exactly_once=False)
    assert await box.finish("a1", DOUBT, "waiting", next_try_at=1005.0)
    row = box.row("a1")
    assert (row.status, row.next_try_at, row.lease_owner, row.may_be_repeat, row.settled) == (
        "waiting",
        1005.0,
        None,
        True,
        False,
    )


async def test_who_lost_the_lease_can_say_that_it_arrived_and_nothing_else(box):
    box.put("a1")
    await box.claim()
    await box.begin("a1")
    await box.out.reclaim(NOW + LEASE)
    assert await box.claim(now=1100.0, owner="d2") == ["a1"]
    for status in ("waiting", "refused", "gave_up", "in_doubt", "cancelled"):
        assert not await box.finish("a1", NO, status, owner="d1")
    assert box.row("a1").lease_owner == "d2"
    assert await box.finish("a1", YES, "accepted", owner="d1")
    assert not await box.finish("a1", YES, "accepted", owner="d2"), "it is settled"
    assert len(box.receipts("a1")) == 7, "the receipts are written all the same"
    assert not await box.finish("unheard of", YES, "accepted")


# -- release and reclaim


async def test_what_is_released_is_due_when_it_was(box):
    box.put("a1", "b1", "c1")
    with box.store.engine.begin() as connection:
        connection.execute(update(outbox).where(outbox.c.key == "a1").values(next_try_at=990.0))
    await box.claim()
    await box.begin("c1", exactly_once=False)
    await box.out.release(["a1", "b1", "c1", "none"], "d2")
    assert await box.claim(owner="d2") == []
    await box.out.release(["a1", "b1", "c1", "none"], "d1")
    await box.out.release([], "d1")
    assert (box.row("a1").next_try_at, box.row("a1").attempts) == (990.0, 0)
    assert await box.claim(owner="d2") == ["b1", "a1"]
    assert box.row("c1").status == "sending", "what is being sent is not given back"


async def test_a_lease_that_runs_out_before_the_send_goes_again_and_nobody_doubts(box):
    box.put("a1")
    await box.claim()
    assert await box.out.reclaim(NOW + LEASE - 0.1) == []
    assert await box.out.reclaim(NOW + LEASE) == [Reclaimed("a1", "webhook", "again")]
    assert not box.row("a1").may_be_repeat
    assert await box.claim(now=NOW + LEASE) == ["a1"]


async def test_a_lease_that_runs_out_during_the_send_is_repeated_once_and_then_in_doubt(box):
    box.put("a1", "a2")
    outcomes = []
    for now in (1000.0, 2000.0):
        await box.claim(now=now)
        await box.begin("a1", now=now, exactly_once=False)
        outcomes += [(one.outcome, one.page and one.page.key) for one in await box.out.reclaim(now + LEASE)]
    assert outcomes == [("repeat", None), ("in_doubt", "a1")]
    row = box.row("a1")
    assert (row.status, row.settled, row.may_be_repeat) == ("in_doubt", True, True)
    ((attempt, _, outcome, detail, _),) = box.receipts("a1")
    assert (attempt, outcome) == (2, "in_doubt")
    assert "not known" in detail
    assert await box.claim(now=3000.0) == ["a2"], "its lane is free"


# -- pages about a backlog


def _partition(store, number=0, **more):
    values = {
        "topic": "readings", "partition": number, "cluster": "c", "topic_id": "t", "partitions": 2, "next_offset": 0,
        "marks": b"", "clock": NOW, "behind": False, "updated_at": 1.0,
    } | more  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(insert(partition_state).values(**values))


@pytest.mark.parametrize("lag", [{"behind": True}, {"clock": NOW - BACKLOG_LAG_S - 1}])
async def test_a_page_about_a_backlog_waits_for_the_partitions_that_are_behind(box, store, lag):
    box.put("a1", purpose="backlog", created_at=NOW)
    box.put("b1")
    _partition(store)
    _partition(store, 1, **lag)
    assert await box.claim() == ["b1"], "other pages do not wait"
    assert await box.claim(now=NOW + 100) == []
    with store.engine.begin() as connection:
        connection.execute(update(partition_state).values(behind=False, clock=NOW + 100))
    assert await box.claim(now=NOW + 100) == ["a1"]


async def test_but_not_for_ever(box, store):
    box.put("a1", purpose="backlog", created_at=NOW)
    _partition(store, behind=True)
    assert await box.claim(now=NOW + BACKLOG_PATIENCE_S - 1) == []
    assert await box.claim(now=NOW + BACKLOG_PATIENCE_S) == ["a1"]


async def test_a_partition_that_was_never_read_holds_nothing(box, store):
    box.put("a1", purpose="backlog", created_at=NOW)
    _partition(store, clock=0.0)
    assert await box.claim() == ["a1"]


# -- depth


async def test_depth_counts_what_is_not_settled(box):
    assert await box.out.depth() == Depth(0, None)
    box.put("a1", created_at=5.0)
    box.put("b1", created_at=3.0)
    assert await box.out.depth() == Depth(2, 3.0)
    await box.claim()
    await box.send("b1")
    assert await box.out.depth() == Depth(1, 5.0)
