"""Timers: to acknowledge, to answer, to resolve; and what any history of an incident keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.incident import (
    ACTIVE,
    Acknowledged,
    Answered,
    Assigned,
    Crossed,
    Dismissed,
    IllegalChange,
    Lowered,
    Merged,
    Opened,
    Overdue,
    Plan,
    Raised,
    Reopened,
    Resolved,
    Rung,
    Timer,
    advance,
    apply,
    decode,
    encode,
    next_timer,
    overdue,
    replay,
)

PLAN = Plan(waits=(600.0, 600.0, 300.0), answer=3600.0, resolve=36_000.0, again=600.0)
LEVELS = (("ana",), ("ben",), (), ("carla", "dora"))


class Ladder:
    """Four steps, the third with nobody; a manager; everybody has a phone."""

    def step(self, *, number, severity, **_):
        if severity == "notify":
            return Rung((("ana", "mail"),))
        at = number
        while at < len(LEVELS) and not LEVELS[at]:
            at += 1
        said = f"level {number + 1} has nobody on call" if at != number else ""
        return Rung(tuple((who, "phone") for who in LEVELS[at]) if at < len(LEVELS) else (), at, said)

    def plan(self, *, severity, **_):
        return PLAN if severity != "notify" else Plan()

    def manager(self, **_):
        return (("manager", "phone"),)

    def reach(self, recipient, _at):
        return ((recipient, "phone"),)


def opened(severity="page", at=0.0):
    event = Opened(
        at=at, by="rule:r", incident="i", umbrella="u", brand="u", story="s", kind="story", headline="", rule="r",
        severity=severity,
    )  # fmt: skip
    return advance(None, event, Ladder()).incident


def let(incident, timer):
    return advance(incident, overdue(incident, timer, timer.due), Ladder())


def told(step):
    return [(one.purpose, one.recipient) for one in step.intents]


def test_nobody_acknowledges_and_the_ladder_is_climbed_to_its_end():
    incident = opened()
    first = let(incident, next_timer(incident, PLAN))
    assert told(first) == [("first", "ben")]
    assert first.events[0].why == "nobody has acknowledged it after 10 min"
    second = let(first.incident, next_timer(first.incident, PLAN))
    assert told(second) == [("first", "carla"), ("first", "dora")]
    assert second.events[1].why.startswith("level 3 has nobody on call; ")
    assert second.incident.step == 3
    assert next_timer(second.incident, PLAN) is None


def test_acknowledging_stops_the_ladder_and_the_answer_is_due_an_hour_after_the_first_page():
    incident = apply(opened(), Acknowledged(at=60.0, by="ana"))
    timer = next_timer(incident, PLAN)
    assert timer == Timer(3600.0, "answer", 1)
    once = let(incident, timer)
    assert told(once) == [("deadline", "ana")]
    twice = let(once.incident, next_timer(once.incident, PLAN))
    assert told(twice) == [("deadline", "ana"), ("deadline", "ben")]
    assert next_timer(twice.incident, PLAN).kind == "resolve"
    answered = apply(twice.incident, Answered(at=5000.0, by="ana"))
    assert next_timer(answered, PLAN) == Timer(36_000.0, "resolve", 1)


def test_who_acknowledges_late_is_not_paged_in_the_same_moment():
    incident = apply(opened(), Acknowledged(at=3599.0, by="ana"))
    assert next_timer(incident, PLAN).due == 3599.0 + PLAN.again


def test_a_raise_begins_the_ladder_anew():
    incident = opened()
    incident = let(incident, next_timer(incident, PLAN)).incident
    raised = advance(incident, Raised(at=700.0, by="rule:r", severity="crisis", rule="r"), Ladder()).incident
    assert (raised.step, raised.rung_at) == (0, 700.0)
    again = let(raised, next_timer(raised, PLAN))
    assert again.events[0].at == 1300.0
    assert told(again) == [("first", "ben")]


@pytest.mark.parametrize("event", [Lowered(at=9.0, by="rule:calm", severity="notify"), Resolved(at=9.0, by="ana")])
def test_what_is_lowered_or_over_is_timed_no_more(event):
    assert next_timer(apply(opened(), event), PLAN) is None


def test_the_third_hand_over_and_each_after_it_is_told_to_the_manager():
    incident, heard = apply(opened(), Acknowledged(at=1.0, by="ana")), []
    for number, owner in enumerate(["ben", "carla", "ana", "ben"]):
        step = advance(incident, Assigned(at=2.0 + number, by="ana", owner=owner, why="not mine"), Ladder())
        incident = step.incident
        heard.append([one for one in told(step) if one[0] != "notice"])
    assert heard == [[], [], [("handover", "manager")], [("handover", "manager")]]


PEOPLE = st.sampled_from(["ana", "ben", "carla"])
SEVERE = st.sampled_from(["notify", "page", "crisis"])
EVENTS = st.one_of(
    st.builds(Raised, at=st.just(0.0), by=st.just("rule:r"), severity=SEVERE, rule=st.just("r")),
    st.builds(Lowered, at=st.just(0.0), by=st.just("rule:calm"), severity=SEVERE),
    st.builds(Acknowledged, at=st.just(0.0), by=PEOPLE),
    st.builds(Assigned, at=st.just(0.0), by=PEOPLE, why=st.sampled_from(["", "holiday"]), owner=PEOPLE),
    st.builds(Answered, at=st.just(0.0), by=PEOPLE),
    st.builds(Resolved, at=st.just(0.0), by=PEOPLE),
    st.builds(Dismissed, at=st.just(0.0), by=PEOPLE, why=st.sampled_from(["", "our campaign"])),
    st.builds(Reopened, at=st.just(0.0), by=st.just("rule:r"), severity=SEVERE, rule=st.just("r")),
    st.builds(Crossed, at=st.just(0.0), by=st.just("story"), size=st.just(9), line=st.just(9.0)),
    st.builds(Merged, at=st.just(0.0), by=st.just("story"), story=st.just("s2")),
    st.builds(
        Overdue,
        at=st.just(0.0),
        by=st.just("timer"),
        timer=st.sampled_from(["acknowledge", "answer", "resolve"]),
        round=st.integers(1, 3),
    ),
)


@given(SEVERE, st.lists(st.tuples(st.none() | EVENTS, st.floats(0, 4000)), max_size=40))
def test_any_sequence_keeps_what_was_promised(severity, steps):
    """None lets the next timer run out, if there is one; what does not fit is refused and changes nothing."""
    from msgspec import structs  # noqa: PLC0415 -- the only user

    incident = opened(severity)
    log = [
        Opened(at=0.0, by="rule:r", incident="i", umbrella="u", brand="u", story="s", kind="story", headline="",
               rule="r", severity=severity)
    ]  # fmt: skip
    log = list(advance(None, log[0], Ladder()).events)
    now, fired, sent = 0.0, set(), {one.key for one in incident.told}
    for wanted, gap in steps:
        now += gap
        plan = Ladder().plan(severity=incident.severity)
        if wanted is None:
            timer = next_timer(incident, plan)
            if timer is None:
                continue
            now = max(now, timer.due)
            event = overdue(incident, timer, now)
        else:
            event = structs.replace(wanted, at=now)
        try:
            step = advance(incident, event, Ladder())
        except IllegalChange:
            assert wanted is not None, "a timer that is due always fits"
            continue
        if isinstance(event, Overdue):
            mark = (incident.cycle, event.timer, event.round)
            assert mark not in fired, "every timer fires once"
            fired.add(mark)
        keys = {one.key for one in step.intents}
        assert not keys & sent
        assert len(keys) == len(step.intents)
        sent |= keys
        if not step.incident.active:
            assert all(one.purpose == "notice" for one in step.intents)
        incident = step.incident
        log += step.events
        assert incident.version == len(log)
        assert incident.owner is None or isinstance(incident.owner, str)
        if incident.state in {"acknowledged", "answered"}:
            assert incident.owner is not None
        assert incident.state in ACTIVE or next_timer(incident, PLAN) is None
    assert replay(decode(encode(event)) for event in log) == incident
