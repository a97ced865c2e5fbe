"""The incident's state machine: what may follow what, and what holds after any sequence of events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.escalation import SEVERITIES
from monitor.incident import (
    Acknowledged,
    Answered,
    Assigned,
    Crossed,
    Dismissed,
    IllegalChange,
    Intent,
    Joined,
    Linked,
    Lowered,
    Merged,
    Opened,
    Paged,
    Parted,
    Raised,
    Reopened,
    Resolved,
    Silenced,
    Spared,
    Unlinked,
    advance,
    apply,
    decode,
    encode,
    incident_id,
    replay,
)
from monitor.oncall import Directory, Recipient, Route

ID = incident_id("aurora", "s1")


def opened(severity="page", at=100.0):
    return Opened(
        at=at,
        by="rule:going-viral",
        why="38 people",
        incident=ID,
        umbrella="aurora",
        brand="grand",
        story="s1",
        kind="story",
        headline="h",
        severity=severity,
        rule="going-viral",
    )


def after(*events):
    return replay([opened(), *events])


def by(kind, who="ana", at=200.0, **fields):
    return kind(at=at, by=who, **fields)


def test_the_ordinary_way():
    incident = after(by(Acknowledged), by(Answered, at=300.0), by(Resolved, at=400.0))
    assert (incident.state, incident.owner, incident.version) == ("resolved", "ana", 4)
    assert (incident.acknowledged_at, incident.answered_at, incident.ended_at) == (200.0, 300.0, 400.0)


def test_of_two_who_acknowledge_in_the_same_second_one_owns_it():
    incident = after(by(Acknowledged))
    with pytest.raises(IllegalChange, match="acknowledged already, owned by ana"):
        apply(incident, by(Acknowledged, "ben"))


def test_handing_over_needs_a_reason_and_is_counted():
    incident = after(by(Acknowledged))
    with pytest.raises(IllegalChange, match="say why"):
        apply(incident, by(Assigned, owner="ben"))
    incident = apply(incident, by(Assigned, owner="ben", why="her shift ends"))
    assert (incident.owner, incident.handovers) == ("ben", 1)
    assert apply(after(), by(Assigned, owner="ben")).handovers == 0


def test_reopening_keeps_the_owner_and_begins_a_new_cycle():
    paged = by(Paged, pages=(Intent(ID, 1, "first", 0, 0, "ana", "sms"),))
    assert after(paged).told
    incident = after(
        paged, by(Acknowledged), by(Resolved), by(Reopened, severity="crisis", rule="viral-crisis", at=900.0)
    )
    assert (incident.state, incident.owner, incident.cycle, incident.severity) == ("open", "ana", 2, "crisis")
    assert incident.told == ()
    assert incident.acknowledged_at is None


@pytest.mark.parametrize(
    ("events", "event", "text"),
    [
        ((), opened(), "stands already"),
        ((), by(Raised, severity="page", rule="r"), "not above"),
        ((), by(Lowered, severity="page"), "not below"),
        ((), by(Reopened, severity="page", rule="r"), "not over"),
        ((), by(Dismissed), "say why"),
        ((), by(Assigned, owner=""), "has a name"),
        ((), by(Merged, story="s1"), "about that story"),
        ((), by(Merged, story="s2", into=ID), "as itself"),
        ((by(Answered),), by(Answered), "answered already"),
        ((by(Acknowledged),), by(Assigned, owner="ana", why="x"), "owns it already"),
        ((by(Resolved),), by(Acknowledged), "only be reopened"),
        ((by(Resolved),), by(Resolved), "only be reopened"),
        ((by(Crossed, size=5, line=4.0),), by(Crossed, size=9, line=4.0), "before"),
        ((by(Merged, story="s2", into="i2"),), by(Reopened, severity="page", rule="r"), "goes on as incident i2"),
        ((by(Resolved),), by(Paged, pages=(Intent(ID, 1, "first", 0, 0, "ana", "sms"),)), "only notices"),
        ((), by(Paged, pages=(Intent(ID, 2, "first", 0, 0, "ana", "sms"),)), "not of this incident"),
        ((), by(Paged, pages=(Intent(ID, 1, "first", 0, 0, "a", "x"),) * 2), "paged before"),
    ],
)
def test_what_does_not_fit_is_refused_and_says_why(events, event, text):
    incident = after(*events)
    with pytest.raises(IllegalChange, match=text):
        apply(incident, event)


def test_nothing_but_opening_begins_an_incident():
    with pytest.raises(IllegalChange, match="opened first"):
        apply(None, by(Resolved))
    with pytest.raises(IllegalChange, match="empty log"):
        replay([])


ROUTES = Directory.of(
    [
        Recipient(name="ana", channels=("terminal",)),
        Recipient(name="ben", channels=("sms",)),
        Recipient(name="hook", channels=("webhook",)),
    ],
    [
        Route(recipient="hook", severity="notify"),
        Route(recipient="ana", severity="page"),
        Route(recipient="ben", severity="crisis"),
    ],
)

people = st.sampled_from(["ana", "ben", "carla"])
severities = st.sampled_from(SEVERITIES)
why = st.sampled_from(["", "because"])
stories = st.sampled_from(["s1", "s2", "s3"])
head = {"at": st.floats(0, 1e6), "by": people, "why": why}
events = st.one_of(
    st.builds(Raised, severity=severities, rule=st.just("r"), **head),
    st.builds(Lowered, severity=severities, **head),
    st.builds(Acknowledged, **head),
    st.builds(Assigned, owner=people, **head),
    st.builds(Answered, **head),
    st.builds(Resolved, **head),
    st.builds(Dismissed, **head),
    st.builds(Reopened, severity=severities, rule=st.just("r"), **head),
    st.builds(Silenced, until=st.floats(0, 2e6), **head),
    st.builds(Crossed, size=st.just(9), line=st.just(4.0), **head),
    st.builds(Linked, parent=st.sampled_from(["i2", "i3", ID]), **head),
    st.builds(Unlinked, **head),
    st.builds(Joined, child=st.sampled_from(["i2", "i3", ID]), **head),
    st.builds(Parted, child=st.sampled_from(["i2", "i3"]), **head),
    st.builds(
        Spared,
        child=st.sampled_from(["i2", "i3"]),
        about=st.just("raised"),
        severity=severities,
        pages=st.just(2),
        **head,
    ),
    st.builds(Merged, story=stories, into=st.sampled_from([None, None, None, "i2", ID]), **head),
)


@settings(max_examples=300)
@given(severities, st.lists(events, max_size=40))
def test_whatever_happens_the_invariants_hold_and_the_log_tells_the_same(severity, tries):
    step = advance(None, opened(severity), ROUTES)
    incident, log = step.incident, list(step.events)
    keys = [intent.key for intent in step.intents]
    for event in tries:
        before = incident
        try:
            step = advance(incident, event, ROUTES)
        except IllegalChange:
            continue
        incident = step.incident
        log += step.events
        assert incident.version == before.version + len(step.events)
        assert incident.updated_at >= before.updated_at
        assert incident.cycle >= before.cycle
        if before.owner is not None:
            assert incident.owner is not None
            assert incident.owner == before.owner or (isinstance(event, Assigned) and event.why)
        if before.active and not incident.active:
            assert all(intent.purpose == "notice" for intent in step.intents)
        if not before.active and not isinstance(event, Reopened):
            assert step.intents == ()
            assert incident.state == before.state
        assert not (incident.parent and incident.children), "there is one level"
        assert incident.id not in {incident.parent, *incident.children}
        assert len(set(incident.children)) == len(incident.children)
        if incident.silenced(event.at):
            assert {intent.purpose for intent in step.intents} <= {"notice", "handover"}
        keys += [intent.key for intent in step.intents]
    assert len(keys) == len(set(keys))
    assert incident.version == len(log)
    assert replay(decode(encode(event)) for event in log) == incident
