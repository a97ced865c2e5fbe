"""What every outbox must do, said with the one in memory: lanes, leases, doubt."""

import pytest
from msgspec import structs

from monitor.page import Delivery, Page
from monitor.page.memory import MemoryOutbox

YES = Delivery("accepted")
LATER = Delivery("retry")
DOUBT = Delivery("in_doubt")


def page(key, incident="i1", recipient="ana", channel="webhook", created_at=0.0):
    return Page(
        key=key,
        incident=incident,
        umbrella="u",
        brand="b",
        severity="page",
        purpose="first",
        recipient=recipient,
        channel=channel,
        sequence=0,
        decided_at=0.0,
        created_at=created_at,
        facts={},
    )


@pytest.fixture
def outbox():
    return MemoryOutbox()


async def claim(outbox, now=10.0, limit=10, owner="d1", channels=("webhook",), full=()):
    return [p.key for p in await outbox.claim(now, limit, owner, 30.0, channels=channels, full=full)]


async def begin(outbox, key, now=10.0, owner="d1", *, exactly_once=True):
    return await outbox.begin(key, owner, now, 30.0, exactly_once=exactly_once)


async def test_only_the_head_of_a_lane_is_handed_out(outbox):
    outbox.put(page("a1"), page("a2"), page("b1", incident="i2"), page("c1", recipient="ben"))
    assert await claim(outbox) == ["a1", "b1", "c1"]
    assert await claim(outbox) == []
    await begin(outbox, "a1")
    await outbox.finish("a1", "d1", YES, 11.0, status="accepted")
    assert await claim(outbox) == ["a2"]


async def test_a_head_that_waits_holds_its_lane_and_no_other(outbox):
    outbox.put(page("a1"), page("a2"), page("b1", incident="i2"))
    await claim(outbox)
    await begin(outbox, "a1")
    await outbox.finish("a1", "d1", LATER, 11.0, status="waiting", next_try_at=100.0)
    assert await claim(outbox, now=99.0) == []
    (again,) = await outbox.claim(100.0, 10, "d1", 30.0, channels=["webhook"])
    assert (again.key, again.attempts) == ("a1", 1)


async def test_full_receivers_and_other_channels_are_passed_over(outbox):
    outbox.put(page("a1"), page("b1", recipient="ben"), page("c1", channel="sms"))
    assert await claim(outbox, full=[("ana", "webhook")]) == ["b1"]
    assert await claim(outbox, limit=1, channels=("sms", "webhook")) == ["a1"]


async def test_a_key_is_put_once(outbox):
    outbox.put(page("a1"), page("a1"))
    assert len(outbox.rows) == 1


async def test_nothing_is_sent_without_a_living_lease(outbox):
    outbox.put(page("a1"))
    assert await begin(outbox, "a1") is None
    await claim(outbox)
    assert await begin(outbox, "a1", owner="d2") is None
    assert await begin(outbox, "a1", now=40.0) is None


async def test_a_lease_that_ran_out_before_the_send_leaves_no_doubt(outbox):
    outbox.put(page("a1", channel="sms"))
    await claim(outbox, channels=["sms"])
    assert await outbox.reclaim(39.0) == []
    (lost,) = await outbox.reclaim(40.0)
    assert lost.outcome == "again"
    assert await claim(outbox, now=40.0, channels=["sms"]) == ["a1"]


async def test_a_lease_that_ran_out_during_the_send_is_repeated_once_and_marked(outbox):
    outbox.put(page("a1", channel="sms"))
    outcomes = []
    for now in (0.0, 100.0):
        await claim(outbox, now=now, channels=["sms"])
        await begin(outbox, "a1", now=now, exactly_once=False)
        outcomes += [lost.outcome for lost in await outbox.reclaim(now + 31)]
    assert outcomes == ["repeat", "in_doubt"]
    assert outbox.rows["a1"].page.may_be_repeat
    assert outbox.status("a1") == "in_doubt"


async def test_a_doubt_told_by_the_channel_marks_the_page(outbox):
    outbox.put(page("a1", channel="sms"))
    await claim(outbox, channels=["sms"])
    await begin(outbox, "a1", exactly_once=False)
    assert await outbox.finish("a1", "d1", DOUBT, 11.0, status="waiting", next_try_at=12.0)
    (again,) = await outbox.claim(12.0, 1, "d1", 30.0, channels=["sms"])
    assert again.may_be_repeat


async def test_who_lost_the_lease_can_still_say_that_it_arrived_but_nothing_else(outbox):
    outbox.put(page("a1"))
    await claim(outbox)
    await begin(outbox, "a1")
    await outbox.reclaim(100.0)
    assert not await outbox.finish("a1", "d1", LATER, 101.0, status="waiting", next_try_at=500.0)
    assert await claim(outbox, now=102.0, owner="d2") == ["a1"]
    assert await outbox.finish("a1", "d1", YES, 103.0, status="accepted")
    assert await begin(outbox, "a1", now=104.0, owner="d2") is None
    assert not await outbox.finish("a1", "d2", LATER, 105.0, status="waiting")
    assert [receipt.delivery.outcome for receipt in outbox.receipts] == ["retry", "accepted", "retry"]


async def test_what_is_released_is_due_at_once(outbox):
    outbox.put(page("a1"))
    await claim(outbox)
    await outbox.release(["a1"], "d2")
    assert await claim(outbox) == []
    await outbox.release(["a1"], "d1")
    assert await claim(outbox) == ["a1"]


async def test_standing_tells_the_state_and_whether_the_lane_was_told(outbox):
    outbox.put(page("a1"), page("a2"))
    outbox.states["i1"] = ("resolved", "notify")
    await claim(outbox)
    standing = await begin(outbox, "a1")
    assert (standing.state, standing.severity, standing.told) == ("resolved", "notify", False)
    await outbox.finish("a1", "d1", YES, 11.0, status="accepted")
    await claim(outbox)
    assert (await begin(outbox, "a2")).told


async def test_depth_counts_what_is_not_settled(outbox):
    assert (await outbox.depth()).unsettled == 0
    outbox.put(page("a1", created_at=5.0), structs.replace(page("b1", incident="i2"), created_at=3.0))
    depth = await outbox.depth()
    assert (depth.unsettled, depth.oldest_created_at) == (2, 3.0)
