"""Brands as time passes: budgets are told once and by nobody else, trouble in several brands counts together."""

import random

import msgspec
import pytest
from msgspec import structs

from monitor.brand.tree import BrandTree, Node
from monitor.engine.changes import Act, Changes, Link, TideRow
from monitor.engine.state import UmbrellaSettings
from monitor.engine.umbrella import UmbrellaEngine
from monitor.engine.waves import BrandWatch
from monitor.escalation.rules import default_rules
from monitor.escalation.types import RuleMemory

HOUR, DAY = 3600.0, 86_400.0
START = 1_700_000_000.0 // (7 * DAY) * 7 * DAY
TREE = BrandTree(
    [
        Node(id="g", name="G", budgets=(("*", 28_000.0),)),
        Node(id="air", name="Air", parent="g", budgets=(("on_hold", 140.0),)),
        Node(id="rail", name="Rail", parent="g", budgets=(("on_hold", 280.0), ("*", 56.0))),
    ]
)


class House:
    """An umbrella with two brands; complaints go straight to their tides."""

    def __init__(self):
        self.engine = UmbrellaEngine("g", UmbrellaSettings(), TREE, default_rules())
        self.dice = random.Random(1)

    def complain(self, brand, t0, t1, people, cause="on_hold"):
        for at in sorted(self.dice.uniform(t0, t1) for _ in range(people)):
            for one in self.engine.state.roll_up((brand,)):
                watch = self.engine.state.watch(one)
                watch.tide.observe(at, 0.9, self.dice.getrandbits(64), cause)
                watch.stirred = True

    def pass_time(self, t0, t1, step=60.0):
        """Let time pass; returns the decisions and links."""
        found = []
        now = t0
        while now <= t1:
            changes = Changes(0)
            self.engine.tick(now, behind=False, caught_up_since=None, changes=changes)
            found += changes.events
            now += step
        return found

    def restart(self):
        changes = Changes(0)
        self.engine.state.touched_brands |= set(self.engine.state.brands)
        self.engine.collect(changes)
        clock = self.engine.state.clock
        self.engine = UmbrellaEngine("g", UmbrellaSettings(), TREE, default_rules())
        self.engine.restore([], changes.tides.values(), clock)


@pytest.fixture
def house():
    return House()


def told(events):
    return [(one.decision.action, one.view.brand, one.decision.rule) for one in events if isinstance(one, Act)]


def test_a_budget_that_burns_is_told_once_and_not_again_above_it_nor_after_a_restart(house):
    for day in range(3):
        house.complain("air", START + day * DAY, START + (day + 1) * DAY, 12)
    events = house.pass_time(START + 2.5 * DAY, START + 2.8 * DAY, step=300.0)
    assert told(events) == [("open", "air", "cause-out-of-budget")]
    act = next(one for one in events if isinstance(one, Act))
    assert (act.view.kind, act.view.cause, act.decision.severity) == ("budget", "on_hold", "notify")
    house.restart()
    assert told(house.pass_time(START + 2.8 * DAY, START + 3.0 * DAY, step=300.0)) == []
    house.pass_time(START + 3.0 * DAY, START + 6.5 * DAY, step=900.0)
    assert house.engine.state.brands["air"].budgets == {}, "it is over, and nothing is kept of it"


def test_a_matter_that_somebody_was_paged_about_is_no_budgets_matter(house):
    for day in range(3):
        house.complain("air", START + day * DAY, START + (day + 1) * DAY, 12)
    in_waves(house, "g")
    assert told(house.pass_time(START + 2.5 * DAY, START + 2.6 * DAY, step=300.0)) == []
    assert house.engine.state.brands["air"].budgets["on_hold"].explained


def test_a_brand_without_a_budget_of_its_own_needs_a_week(house):
    house.complain("air", START, START + 3 * DAY, 60, cause="rude")
    assert told(house.pass_time(START + 2.5 * DAY, START + 3 * DAY, step=600.0)) == []


def in_waves(house, *brands, cause="on_hold", people=30):
    now = START + 3 * DAY
    for brand in brands:
        watch = house.engine.state.watch(brand)
        watch.stirred = True
        watch.wave = f"w{brand}"
        watch.memory = RuleMemory(severity="page", since=(("complaint-wave", now),), fired=("complaint-wave",))
        tide = watch.tide.assess(now)
        storm = structs.replace(tide, wave_since=now, voices=people, topic=cause, observed=people, confident=True)
        watch.tide = _Stays(storm)
    return now


class _Stays:
    """A tide that stays as it is."""

    def __init__(self, tide):
        self.tide = tide

    def assess(self, now):
        return structs.replace(self.tide, at=now)

    def burns(self, *_):
        return []


def test_the_same_cause_in_two_brands_is_one_crisis_that_stands_above_both(house):
    now = in_waves(house, "air", "rail")
    events = house.pass_time(now, now + 20 * 60)
    assert told(events) == [("open", "g", "umbrella-crisis")]
    act = next(one for one in events if isinstance(one, Act))
    assert act.view.kind == "umbrella"
    assert act.decision.reason == "2 brands at once: Air (30 people), Rail (30 people), mostly about on hold"
    links = [one for one in events if isinstance(one, Link)]
    assert [(one.child, one.parent) for one in links] == [("wair", act.view.story), ("wrail", act.view.story)]
    assert events.index(act) < events.index(links[0])
    later = structs.replace(act.view, kind="budget", story="b1", cause="on_hold")
    assert house.engine.state.above(later) == act.view.story
    assert house.engine.state.above(structs.replace(later, cause="rude")) is None


@pytest.mark.parametrize(("people", "causes"), [(30, ("on_hold", "rude")), (15, ("on_hold", "on_hold"))])
def test_two_brands_with_different_matters_or_few_people_are_no_crisis(house, people, causes):
    for brand, cause in zip(("air", "rail"), causes, strict=True):
        now = in_waves(house, brand, cause=cause, people=people)
    assert told(house.pass_time(now, now + 20 * 60)) == []


def test_a_wave_and_what_is_above_it_are_one_brand(house):
    now = in_waves(house, "air", "g")
    assert told(house.pass_time(now, now + 20 * 60)) == []


def test_what_an_older_version_kept_of_a_brand_is_read():
    """It knew nothing of the input's pulse: that begins anew."""
    house = House()
    house.complain("air", START, START + DAY, 40)
    house.engine.state.hear(START + DAY, START + DAY)
    root = house.engine.state.brands["g"]
    fields = msgspec.msgpack.decode(root.dump())
    assert isinstance(fields[-1], bytes), "the pulse comes last"
    again, old = BrandWatch("g", "g"), BrandWatch("g", "g")
    again.restore(root.dump())
    old.restore(msgspec.msgpack.encode(fields[:-1]))
    assert again.pulse is not None
    assert old.pulse is None
    assert old.tide.dump() == again.tide.dump() == root.tide.dump()
    fresh = UmbrellaEngine("g", UmbrellaSettings(), TREE, default_rules())
    fresh.restore([], [TideRow("g", "g", msgspec.msgpack.encode(fields[:-1]))], START + DAY)
    fresh.tick(START + 2 * DAY, behind=False, caught_up_since=None, changes=Changes(0))
    assert not fresh.state.pulse.doubtful
