"""Who is paged on which change; what decisions and merging stories mean for an incident."""

import pytest

from monitor.escalation import Decision
from monitor.escalation.example import example_spread, example_view
from monitor.incident import (
    Acknowledged,
    Answered,
    Assigned,
    Crossed,
    Dismissed,
    Lowered,
    Merged,
    Opened,
    Raised,
    Reopened,
    Resolved,
    advance,
    apply,
    crossing,
    from_decision,
    merging,
)
from monitor.oncall import Directory, Recipient, Route, UnknownRecipient

DIRECTORY = Directory.of(
    [
        Recipient(name="ana", channels=("terminal", "sms")),
        Recipient(name="boss", channels=("sms",)),
        Recipient(name="hook", channels=("webhook",)),
        Recipient(name="carla", channels=("mail",)),
    ],
    [
        Route(recipient="hook", severity="notify"),
        Route(recipient="ana", brands=frozenset({"aurora"})),
        Route(recipient="boss", severity="crisis", brands=frozenset({"aurora-grand-lisbon"})),
    ],
)
VIEW = example_view()


def decision(action="open", severity="page", rule="going-viral", reason="38 people"):
    return Decision(action, severity, rule, reason)


def begin(severity="page", at=100.0):
    event = from_decision(None, decision(severity=severity), VIEW, at)
    return advance(None, event, DIRECTORY)


def said(step):
    return [(i.purpose, i.recipient, i.channel) for i in step.intents]


def test_opened_at_page_tells_the_routes_of_that_severity_once():
    step = begin()
    assert said(step) == [("first", "hook", "webhook"), ("first", "ana", "terminal"), ("first", "ana", "sms")]
    assert step.incident.paged_at == 100.0
    assert step.incident.version == 2


def test_a_notice_is_a_notice_and_info_tells_nobody():
    assert said(begin("notify")) == [("notice", "hook", "webhook")]
    assert begin("notify").incident.paged_at is None
    assert said(begin("info")) == []


def test_raising_tells_the_new_routes_and_those_before():
    incident = begin("notify").incident
    step = advance(incident, from_decision(incident, decision("raise", "crisis"), VIEW, 200.0), DIRECTORY)
    assert [(p, r) for p, r, _ in said(step)] == [
        ("raised", "hook"),
        ("raised", "ana"),
        ("raised", "ana"),
        ("raised", "boss"),
    ]


def test_raised_twice_in_one_cycle_are_two_pages_with_two_keys():
    first = begin("notify").incident
    up = advance(first, Raised(at=1, by="r", severity="page", rule="r"), DIRECTORY)
    down = advance(up.incident, Lowered(at=2, by="r", severity="notify"), DIRECTORY)
    again = advance(down.incident, Raised(at=3, by="r", severity="page", rule="r"), DIRECTORY)
    assert said(up) == said(again)
    assert {i.key for i in up.intents}.isdisjoint(i.key for i in again.intents)
    assert said(down) == []


def test_the_end_is_told_to_those_who_were_paged_but_not_to_who_ended_it():
    incident = begin().incident
    step = advance(incident, Resolved(at=300, by="ana"), DIRECTORY)
    assert said(step) == [("notice", "hook", "webhook")]
    assert said(advance(begin("notify").incident, Resolved(at=300, by="rule:calm"), DIRECTORY)) == []


def test_reopened_tells_the_owner_even_if_no_route_does():
    incident = begin().incident
    for event in (Acknowledged(at=200, by="carla"), Resolved(at=300, by="carla")):
        incident = advance(incident, event, DIRECTORY).incident
    step = advance(incident, from_decision(incident, decision(), VIEW, 900.0), DIRECTORY)
    assert isinstance(step.events[0], Reopened)
    assert ("reopened", "carla", "mail") in said(step)
    assert all(i.cycle == 2 for i in step.intents)
    assert step.incident.paged_at == 100.0


def test_a_decision_that_the_incident_has_overtaken_changes_nothing():
    incident = begin("crisis").incident
    assert from_decision(incident, decision("raise", "page"), VIEW, 1.0) is None
    assert from_decision(incident, decision("none", "crisis"), VIEW, 1.0) is None
    assert from_decision(None, decision("close", "page"), VIEW, 1.0) is None
    over = apply(incident, Resolved(at=2, by="ana"))
    assert from_decision(over, decision("lower", "notify"), VIEW, 3.0) is None
    assert from_decision(over, decision("close", "notify"), VIEW, 3.0) is None


def test_what_a_person_dismissed_stays_so_unless_it_gets_worse_than_it_ever_was():
    incident = apply(begin().incident, Dismissed(at=2, by="ana", why="our own campaign"))
    assert from_decision(incident, decision(), VIEW, 3.0) is None
    event = from_decision(incident, decision("raise", "crisis"), VIEW, 4.0)
    assert isinstance(event, Reopened)


def test_a_story_that_died_down_closes_only_what_nobody_has_promised_to_answer():
    incident = begin().incident
    calm = decision("close", "page", "calm", "calm for 3 h")
    assert isinstance(from_decision(incident, calm, VIEW, 9.0), Resolved)
    taken = apply(incident, Acknowledged(at=5, by="ana"))
    event = from_decision(taken, calm, VIEW, 9.0)
    assert event == Lowered(
        at=9.0, by="rule:calm", why="calm for 3 h; it still waits for ana to answer", severity="notify"
    )
    assert from_decision(apply(taken, event), calm, VIEW, 10.0) is None
    answered = apply(taken, Answered(at=6, by="ana"))
    assert isinstance(from_decision(answered, calm, VIEW, 9.0), Resolved)


def test_the_crossing_is_noted_once():
    incident = begin().incident
    assert crossing(incident, VIEW, 5.0) is None
    crossed = example_view(spread=example_spread(voices=400))
    event = crossing(incident, crossed, 5.0)
    assert event == Crossed(at=5.0, by="story", size=46, line=400.0)
    assert crossing(apply(incident, event), crossed, 6.0) is None
    reached = example_view(spread=example_spread(p_viral=1.0, minutes_to_viral=0.0))
    assert crossing(incident, reached, 5.0) is not None


def other_incident(severity="page"):
    view = example_view(story="s-other")
    return advance(None, from_decision(None, decision(severity=severity), view, 50.0), DIRECTORY).incident


def test_a_merged_story_takes_its_incident_along_without_a_page():
    incident = begin().incident
    ((same, event),) = merging(incident, None, "s-other", 9.0)
    step = advance(same, event, DIRECTORY)
    assert (step.incident.story, step.incident.id, step.intents) == ("s-other", incident.id, ())
    assert merging(step.incident, None, "s-other", 10.0) == ()
    assert merging(None, incident, "s-other", 10.0) == ()


def test_of_two_incidents_one_ends_with_a_notice_and_its_owner_goes_along():
    incident = apply(begin().incident, Acknowledged(at=5, by="ana"))
    other = other_incident()
    (_, ends), (goes_on, assigned) = merging(incident, other, "s-other", 9.0)
    step = advance(incident, ends, DIRECTORY)
    assert (step.incident.state, step.incident.merged_into) == ("resolved", other.id)
    assert {p for p, _, _ in said(step)} == {"notice"}
    assert goes_on == other
    assert isinstance(assigned, Assigned)
    assert apply(other, assigned).owner == "ana"
    assert from_decision(step.incident, decision("raise", "crisis"), VIEW, 10.0) is None


def test_an_incident_that_is_over_gives_way_to_one_that_is_not():
    incident = begin().incident
    over = apply(other_incident(), Resolved(at=60, by="ben"))
    (first, ends), (second, moves) = merging(incident, over, "s-other", 9.0)
    assert (first, second) == (over, incident)
    assert apply(over, ends).merged_into == incident.id
    assert apply(incident, moves).story == "s-other"
    assert isinstance(moves, Merged)


def test_the_event_that_opens_carries_the_decision():
    event = from_decision(None, decision(), VIEW, 7.0)
    assert isinstance(event, Opened)
    assert (event.why, event.by, event.brand) == ("38 people", "rule:going-viral", VIEW.brand)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"recipient": "nobody"}, UnknownRecipient),
        ({"recipient": "ana", "severity": "loud"}, ValueError),
        ({"recipient": "mute"}, ValueError),
    ],
)
def test_routes_that_cannot_work_are_refused(changes, error):
    people = [Recipient(name="ana", channels=("sms",)), Recipient(name="mute", channels=())]
    with pytest.raises(error):
        Directory.of(people, [Route(**changes)])


def test_a_route_can_be_for_notices_of_one_rule_only():
    directory = Directory.of(
        [Recipient(name="pr", channels=("mail",))],
        [Route(recipient="pr", severity="notify", until="notify", rules=frozenset({"spreading-notice"}))],
    )
    ask = {"umbrella": "u", "brand": "b", "at": 0.0}
    assert directory.who(severity="notify", rule="spreading-notice", **ask) == (("pr", "mail"),)
    assert directory.who(severity="page", rule="spreading-notice", **ask) == ()
    assert directory.who(severity="notify", rule="other", **ask) == ()
