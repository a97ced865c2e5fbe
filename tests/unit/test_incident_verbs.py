"""What people can do to an incident, and what a silence holds back."""

import math

import pytest

from monitor.escalation import Decision
from monitor.escalation.example import example_view
from monitor.incident import (
    VERBS,
    Assigned,
    IllegalChange,
    Raised,
    Reopened,
    Resolved,
    Silenced,
    Wish,
    advance,
    apply,
    event_of,
    from_decision,
)
from monitor.incident.verbs import seconds
from monitor.oncall import Directory, Recipient, Route

ROUTES = Directory.of(
    [Recipient(name="ana", channels=("sms",)), Recipient(name="ben", channels=("sms",))],
    [Route(recipient="ana", severity="notify")],
)


def begin(severity="notify"):
    event = from_decision(None, Decision("open", severity, "going-viral", "38 people"), example_view(), 100.0)
    return advance(None, event, ROUTES).incident


def silenced(incident, until=1000.0):
    return apply(incident, Silenced(at=200.0, by="ana", why="we know", until=until))


def said(step):
    return [(intent.purpose, intent.recipient) for intent in step.intents]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_an_event_of_who_did_it_and_when(verb):
    wish = Wish(verb=verb, by=" ana ", why="because", owner="ben", url="https://example.org/1", for_s=60.0, parent="i1")
    event = event_of(wish, 7.0)
    assert (event.by, event.at, event.why) == ("ana", 7.0, "because")


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (Wish(verb="ack", by="  "), "say who you are"),
        (Wish(verb="ack", by="a\nb"), "printable"),
        (Wish(verb="ack", by="x" * 101), "100"),
        (Wish(verb="ack", by="ana", why="x" * 2001), "2000 are enough"),
        (Wish(verb="assign", by="ana"), "whose"),
        (Wish(verb="answer", by="ana", url="javascript:alert(1)"), "no web address"),
        (Wish(verb="dismiss", by="ana", why=" "), "say why"),
        (Wish(verb="silence", by="ana", why="x"), "how long"),
        (Wish(verb="silence", by="ana", why="x", for_s=math.nan), "how long"),
        (Wish(verb="silence", by="ana", why="x", for_s=8 * 86_400.0), "at most 7 days"),
        (Wish(verb="silence", by="ana", for_s=60.0), "say why"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_what_is_missing(wish, text):
    with pytest.raises(IllegalChange, match=text):
        event_of(wish, 7.0)


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 weeks", "1e9h", "9999999h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_a_silenced_incident_pages_nobody_until_the_silence_ends():
    up = Raised(at=300.0, by="rule:r", severity="page", rule="r")
    assert said(advance(silenced(begin()), up, ROUTES)) == []
    assert said(advance(silenced(begin(), until=250.0), up, ROUTES)) == [("raised", "ana")]


def test_a_crisis_cannot_be_silenced():
    up = Raised(at=300.0, by="rule:r", severity="crisis", rule="r")
    assert said(advance(silenced(begin()), up, ROUTES)) == [("raised", "ana")]


def test_a_silence_is_lifted_by_an_empty_one_and_by_the_end():
    lifted = apply(silenced(begin()), Silenced(at=300.0, by="ben", why="it matters", until=300.0))
    assert not lifted.silenced(301.0)
    over = apply(silenced(begin("page")), Resolved(at=300.0, by="ben"))
    again = advance(over, Reopened(at=400.0, by="rule:r", severity="page", rule="r"), ROUTES)
    assert said(again) == [("reopened", "ana")]


def test_those_who_were_paged_hear_of_the_end_of_a_silenced_incident():
    assert said(advance(silenced(begin("page")), Resolved(at=300.0, by="ben"), ROUTES)) == [("notice", "ana")]


def test_a_new_owner_is_told_unless_they_took_it_themselves():
    assert said(advance(begin("page"), Assigned(at=300.0, by="ana", owner="ben"), ROUTES)) == [("notice", "ben")]
    assert said(advance(begin("page"), Assigned(at=300.0, by="ben", owner="ben"), ROUTES)) == []
