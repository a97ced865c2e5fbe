"""The dispatcher on a virtual clock: retries, rests, doubts, order, and a stop that leaves nothing behind."""
# ruff: noqa: ARG002, ARG005 -- a meter and a scripted answer take what they are given, used or not
# ruff: noqa: ASYNC110 -- the outbox has no event to wait for

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs

from monitor.clock import VirtualClock
from monitor.page import Delivery, Dispatcher, Page, Policy
from monitor.page.memory import MemoryOutbox

START = 1_000_000.0
YES = Delivery("accepted")
LATER = Delivery("retry", "HTTP 500")


def page(number=1, incident=None, recipient="ana", channel="hook", **changes):
    fields = {
        "key": f"k{number}",
        "incident": incident or f"i{number}",
        "umbrella": "u",
        "brand": "b",
        "severity": "page",
        "purpose": "first",
        "recipient": recipient,
        "channel": channel,
        "sequence": 0,
        "decided_at": 0.0,
        "created_at": START,
        "facts": {},
    }
    return Page(**fields | changes)


class Channel:
    """A channel whose answers are a script; what it was sent is kept."""

    def __init__(self, answer=YES, *, name="hook", exactly_once=True):
        self.name, self.exactly_once, self.answer = name, exactly_once, answer
        self.sent = []

    async def send(self, page):
        self.sent.append(page)
        answer = self.answer(page, len(self.sent)) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return await answer if asyncio.iscoroutine(answer) else answer

    async def check(self):
        return None

    async def close(self):
        pass


class Counts:
    def __init__(self):
        self.deliveries, self.settled, self.repeats, self.errors = Counter(), Counter(), Counter(), Counter()
        self.pages = {}

    def on_delivery(self, channel, outcome, seconds, trace=None):
        self.deliveries[outcome] += 1

    def on_settled(self, channel, status):
        self.settled[status] += 1

    def on_page(self, page, status, now):
        self.pages[page.key] = status

    def on_repeat(self, channel):
        self.repeats[channel] += 1

    def on_error(self, error):
        self.errors[error] += 1


class House:
    """An outbox, channels and a dispatcher on one virtual clock."""

    def __init__(self, *channels, **policy):
        self.clock, self.outbox, self.counts = VirtualClock(START), MemoryOutbox(), Counts()
        self.channels = {channel.name: channel for channel in channels}
        self.policy = Policy(**policy)
        self.dispatcher = self.another("d1")

    def another(self, owner):
        return Dispatcher(
            self.outbox,
            self.channels,
            clock=self.clock,
            policy=self.policy,
            random=Random(7),
            meter=self.counts,
            owner=owner,
        )

    async def forward(self, seconds, tick=1.0):
        """Let time pass, a round at each tick."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            while await self.dispatcher.step():
                pass
            self.clock.advance(tick)


async def test_a_page_is_sent_and_its_receipt_kept():
    house = House(Channel())
    house.outbox.put(page())
    await house.forward(1)
    assert house.outbox.status("k1") == "accepted"
    assert [r.delivery for r in house.outbox.receipts] == [YES]
    assert house.counts.settled == {"accepted": 1}


async def test_a_page_that_two_dispatchers_died_over_is_counted_as_in_doubt():
    house = House(Channel())
    house.outbox.put(page())
    for owner in ("gone", "gone too"):
        await house.outbox.claim(house.clock.now(), 1, owner, 30.0, channels=["desk", "hook"])
        await house.outbox.begin("k1", owner, house.clock.now(), 30.0, exactly_once=False)
        house.clock.advance(60.0)
        if owner == "gone":
            await house.outbox.reclaim(house.clock.now())
    await house.forward(1)
    assert house.outbox.status("k1") == "in_doubt"
    assert house.counts.settled == {"in_doubt": 1}
    assert house.counts.pages == {"k1": "in_doubt"}


async def test_pages_of_a_lane_go_out_in_order_also_when_one_fails_for_a_while():
    channel = Channel(lambda page, n: LATER if n <= 3 else YES)
    house = House(channel)
    house.outbox.put(*(page(n, incident="i1") for n in range(1, 5)))
    await house.forward(60)
    assert [p.key for p in channel.sent] == ["k1"] * 4 + ["k2", "k3", "k4"]
    assert [p.attempts for p in channel.sent] == [1, 2, 3, 4, 1, 1, 1]


async def test_the_waits_grow_and_are_spread():
    channel = Channel(LATER)
    house = House(channel, trips=1000, most_s=300.0)
    house.outbox.put(page())
    times = []
    channel.answer = lambda page, n: times.append(house.clock.now()) or LATER
    await house.forward(4 * 3600, tick=5.0)
    waits = [b - a for a, b in pairwise(times)]
    assert max(waits[:4]) <= 16 + 5
    assert max(waits) <= 305
    assert 100 < sum(waits[12:]) / len(waits[12:]) < 200  # a mean of 150 for full jitter up to 300
    assert len(set(waits)) > 10


async def test_a_page_is_given_up_loudly_after_a_day_and_frees_its_lane():
    channel = Channel(lambda page, n: LATER if page.key == "k1" else YES)
    house = House(channel)
    house.outbox.put(page(1, incident="i1"))
    await house.forward(23 * 3600, tick=30.0)
    house.outbox.put(page(2, incident="i1", created_at=house.clock.now()))
    assert house.outbox.status("k1") == "waiting"
    await house.forward(2 * 3600, tick=30.0)
    assert house.outbox.status("k1") == "gave_up"
    assert house.outbox.status("k2") == "accepted"
    assert house.counts.settled == {"gave_up": 1, "accepted": 1}
    assert 250 < len(channel.sent) < 1500


async def test_a_refusal_is_tried_again_for_a_while_for_it_may_be_mended():
    channel = Channel(Delivery("refused", "HTTP 404"))
    house = House(channel)
    house.outbox.put(page(1), page(2))
    await house.forward(600, tick=5)
    assert house.outbox.status("k1") == "waiting"
    channel.answer = lambda page, n: YES if page.key == "k2" else Delivery("refused", "HTTP 404")
    await house.forward(1800, tick=5)
    assert house.outbox.status("k1") == "refused"
    assert house.outbox.status("k2") == "accepted"


async def test_retry_after_is_kept_and_the_receiver_left_alone_meanwhile():
    channel = Channel(lambda page, n: Delivery("retry", "HTTP 429", retry_after=120.0) if n == 1 else YES)
    house = House(channel, per_receiver=1)
    house.outbox.put(page(1), page(2))
    await house.forward(119)
    assert len(channel.sent) == 1
    await house.forward(10)
    assert {house.outbox.status(k) for k in ("k1", "k2")} == {"accepted"}


def test_the_page_itself_waits_as_long_as_the_receiver_asked_whoever_claims_it_next():
    asked = Delivery("retry", "HTTP 503", retry_after=900.0)
    fate = Policy().after(page(attempts=1), asked, exactly_once=True, now=START, random=Random(1))
    assert (fate.status, fate.next_try_at) == ("waiting", START + 900.0)


async def test_a_lease_that_was_lost_before_the_send_is_left_alone():
    channel = Channel()
    house = House(channel)
    house.outbox.put(page())
    claim = house.outbox.claim

    async def late(*args, **kwargs):
        pages = await claim(*args, **kwargs)
        house.clock.advance(31)
        return pages

    house.outbox.claim = late
    await house.dispatcher.step()
    assert channel.sent == []
    assert house.counts.errors == {}
    assert house.outbox.receipts == []


async def test_a_dead_receiver_costs_few_sends_and_holds_up_nobody():
    channel = Channel(lambda page, n: LATER if page.recipient == "dead" else YES)
    house = House(channel)
    house.outbox.put(*(page(n, recipient="dead") for n in range(200)))
    house.outbox.put(*(page(1000 + n, recipient="ben") for n in range(200)))
    await house.forward(1)
    assert house.counts.settled == {"accepted": 200}
    await house.forward(1800)
    assert sum(p.recipient == "dead" for p in channel.sent) < 200  # the rests limit them, not the number of pages
    channel.answer = YES
    await house.forward(200)
    assert house.counts.settled == {"accepted": 400}


async def test_a_hanging_receiver_holds_up_nobody_in_real_time():
    async def hang():
        await asyncio.sleep(3600)

    channel = Channel(lambda page, n: hang() if page.recipient == "dead" else YES)
    house = House(channel, send_timeout_s=0.3, in_flight=16)
    house.outbox.put(*(page(n, recipient="dead") for n in range(50)))
    house.outbox.put(*(page(1000 + n, recipient="ben", created_at=START + 1) for n in range(50)))
    stop = asyncio.Event()
    running = asyncio.create_task(house.dispatcher.run(stop))
    async with asyncio.timeout(2):
        while house.counts.settled["accepted"] < 50:
            await asyncio.sleep(0.01)
    assert sum(p.recipient == "dead" for p in channel.sent) <= 8
    stop.set()
    await running


async def test_where_the_receiver_can_tell_a_doubt_is_repeated_freely():
    channel = Channel(lambda page, n: TimeoutError() if n <= 4 else YES)
    house = House(channel)
    house.outbox.put(page())
    await house.forward(120)
    assert len(channel.sent) == 5
    assert not channel.sent[-1].may_be_repeat
    assert house.counts.repeats == {}


async def test_where_it_cannot_a_doubt_is_repeated_once_and_marked():
    channel = Channel(Delivery("in_doubt", "no answer"), exactly_once=False)
    house = House(channel)
    house.outbox.put(page())
    await house.forward(600)
    assert [p.may_be_repeat for p in channel.sent] == [False, True]
    assert house.outbox.status("k1") == "in_doubt"
    assert house.counts.repeats == {"hook": 1}
    assert house.counts.settled == {"in_doubt": 1}


async def test_a_sure_failure_is_no_doubt_and_never_marked():
    channel = Channel(lambda page, n: LATER if n < 6 else YES, exactly_once=False)
    house = House(channel)
    house.outbox.put(page())
    await house.forward(300)
    assert len(channel.sent) == 6
    assert not any(p.may_be_repeat for p in channel.sent)


async def test_a_channel_with_a_bug_loses_nothing_and_is_counted():
    channel = Channel(lambda page, n: ZeroDivisionError() if n == 1 else YES)
    house = House(channel)
    house.outbox.put(page())
    await house.forward(30)
    assert house.outbox.status("k1") == "accepted"
    assert house.counts.errors == {"ZeroDivisionError": 1}


@pytest.mark.parametrize(
    ("purpose", "facts", "state", "status"),
    [
        ("first", {}, "resolved", "cancelled"),
        ("raised", {}, "dismissed", "cancelled"),
        ("first", {}, "acknowledged", "accepted"),
        ("repeat", {"about": "overdue"}, "acknowledged", "cancelled"),
        ("repeat", {"about": "overdue"}, "open", "accepted"),
        ("deadline", {"about": "overdue"}, "acknowledged", "accepted"),
        ("notice", {"about": "resolved"}, "resolved", "cancelled"),
        ("notice", {"about": "opened"}, "open", "accepted"),
        ("backlog", {}, "resolved", "accepted"),
    ],
)
async def test_what_is_not_needed_any_more_is_cancelled_with_a_receipt(purpose, facts, state, status):
    channel = Channel()
    house = House(channel)
    house.outbox.put(page(purpose=purpose, facts=facts))
    house.outbox.states["i1"] = (state, "page")
    await house.forward(2)
    assert house.outbox.status("k1") == status
    assert len(channel.sent) == (status == "accepted")
    assert house.outbox.receipts[-1].delivery.outcome == status


async def test_who_was_paged_is_told_of_the_end():
    channel = Channel()
    house = House(channel)
    house.outbox.put(page(1, incident="i1"))
    await house.forward(2)
    house.outbox.states["i1"] = ("resolved", "page")
    house.outbox.put(page(2, incident="i1", purpose="notice", facts={"about": "resolved"}))
    await house.forward(2)
    assert [p.key for p in channel.sent] == ["k1", "k2"]


async def test_a_killed_dispatchers_pages_are_sent_by_another():
    entered = asyncio.Event()

    async def hang():
        entered.set()
        await asyncio.sleep(3600)

    sure, unsure = Channel(lambda p, n: hang()), Channel(lambda p, n: hang(), name="mail", exactly_once=False)
    house = House(sure, unsure)
    house.outbox.put(page(1), page(2, channel="mail"))
    run = asyncio.create_task(house.dispatcher.step())
    await entered.wait()
    await asyncio.sleep(0.01)
    for task in (run, *house.dispatcher._tasks):
        task.cancel()
    await asyncio.sleep(0)
    sure.answer = unsure.answer = YES
    house.dispatcher = house.another("d2")
    await house.forward(29)
    assert len(sure.sent) == 1  # its leases still hold
    await house.forward(10)
    assert [p.may_be_repeat for p in sure.sent] == [False, False]
    assert [p.may_be_repeat for p in unsure.sent] == [False, True]
    assert house.counts.settled == {"accepted": 2}
    assert house.counts.repeats == {"mail": 1}


async def test_two_dispatchers_on_one_outbox_send_everything_once():
    async def slow():
        await asyncio.sleep(0.001)
        return YES

    channel = Channel(lambda page, n: slow())
    house = House(channel, in_flight=8)
    house.outbox.put(*(page(n, incident=f"i{n % 20}", recipient=f"r{n % 3}") for n in range(200)))
    both = [house.dispatcher, house.another("d2")]
    while any(await asyncio.gather(*(one.step() for one in both))):
        pass
    assert Counter(p.key for p in channel.sent).most_common(1)[0][1] == 1
    assert len(channel.sent) == 200
    lanes = {}
    for sent in channel.sent:
        lanes.setdefault((sent.incident, sent.recipient), []).append(sent.sequence)
    assert all(sequence == sorted(sequence) for sequence in lanes.values())


async def test_half_of_all_sends_fail_and_every_page_arrives_once_and_in_order():
    dice = Random(3)
    arrived = []

    def answer(page, n):
        if dice.random() < 0.5:
            return LATER
        arrived.append((page.incident, page.sequence))
        return YES

    house = House(Channel(answer), per_receiver=16)
    house.outbox.put(*(page(n, incident=f"i{n % 100}") for n in range(500)))
    await house.forward(3600)
    assert len(arrived) == len(set(arrived)) == 500
    assert [s for i, s in arrived if i == "i7"] == [1, 2, 3, 4, 5]


class LockedOutbox(MemoryOutbox):
    """A store that is locked now and then."""

    def __init__(self, failures):
        super().__init__()
        self.failures = Counter(failures)

    def fail(self, verb):
        if self.failures[verb]:
            self.failures[verb] -= 1
            raise OSError(f"{verb}: database is locked")

    async def claim(self, *args, **kwargs):
        self.fail("claim")
        return await super().claim(*args, **kwargs)

    async def finish(self, *args, **kwargs):
        self.fail("finish")
        return await super().finish(*args, **kwargs)

    async def begin(self, *args, **kwargs):
        self.fail("begin")
        return await super().begin(*args, **kwargs)


async def test_a_locked_store_is_waited_for_and_the_receipt_written_after_all():
    channel = Channel()
    house = House(channel, first_s=0.02, most_s=0.05, lease_s=30.0)
    house.outbox = LockedOutbox({"claim": 3, "finish": 3})
    house.dispatcher = house.another("d1")
    house.outbox.put(page())
    stop = asyncio.Event()
    running = asyncio.create_task(house.dispatcher.run(stop))
    async with asyncio.timeout(5):
        while house.outbox.status("k1") != "accepted":
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert len(channel.sent) == 1
    assert house.counts.errors == {"OSError": 3}


async def test_a_page_whose_begin_failed_is_sent_once_its_lease_ran_out():
    channel = Channel()
    house = House(channel)
    house.outbox = LockedOutbox({"begin": 1})
    house.dispatcher = house.another("d1")
    house.outbox.put(page())
    await house.forward(20)
    assert channel.sent == []
    await house.forward(20)
    assert house.outbox.status("k1") == "accepted"


async def test_a_stop_finishes_what_is_under_way():
    release = asyncio.Event()

    async def wait():
        await release.wait()
        return YES

    channel = Channel(lambda page, n: wait())
    house = House(channel)
    house.outbox.put(page())
    stop = asyncio.Event()
    running = asyncio.create_task(house.dispatcher.run(stop))
    while not channel.sent:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.sleep(0.01)
    house.outbox.put(page(2))
    release.set()
    await asyncio.wait_for(running, 2)
    assert house.outbox.status("k1") == "accepted"
    assert house.outbox.status("k2") == "waiting"


async def test_a_stop_does_not_wait_for_a_receiver_that_hangs():
    async def hang():
        await asyncio.sleep(3600)

    house = House(Channel(lambda page, n: hang()), grace_s=0.1)
    house.outbox.put(page())
    stop = asyncio.Event()
    running = asyncio.create_task(house.dispatcher.run(stop))
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 2)
    assert house.outbox.status("k1") == "leased"  # until its lease runs out


async def test_a_nudge_is_faster_than_the_poll():
    channel = Channel()
    house = House(channel, poll_s=60.0)
    stop = asyncio.Event()
    running = asyncio.create_task(house.dispatcher.run(stop))
    await asyncio.sleep(0.05)
    house.outbox.put(page())
    house.dispatcher.nudge()
    async with asyncio.timeout(2):
        while house.outbox.status("k1") != "accepted":
            await asyncio.sleep(0.005)
    stop.set()
    await running


async def test_pages_for_a_channel_that_is_not_served_stay_where_they_are():
    house = House(Channel())
    house.outbox.put(page(channel="pigeon"))
    await house.forward(100)
    assert house.outbox.status("k1") == "waiting"
    assert structs.asdict(await house.outbox.depth())["unsettled"] == 1
