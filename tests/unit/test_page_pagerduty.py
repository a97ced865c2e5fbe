"""PagerDuty: events as its schema wants them, one alert per cycle, and what its answers mean."""

import jsonschema
import pytest
from msgspec import structs

from monitor.clock import VirtualClock
from monitor.page.channels.pagerduty import PagerDutyNotifier, dedup_key
from monitor.page.links import Linker
from monitor.page.voice import Voice
from tests.support.receivers import LATE_S, MISBEHAVIOURS, NOW, a_page, answering, misbehaving

VOICE = Voice(None, Linker("https://monitor.example.com", "a secret of the tests"))
OK = (202, {}, {"status": "success", "message": "Event processed", "dedup_key": "x"})

# After PagerDuty's reference of "Send an event to PagerDuty" (Events API v2).
TEXT = {"type": "string", "minLength": 1}
SCHEMA = {
    "type": "object",
    "required": ["routing_key", "event_action", "dedup_key"],
    "additionalProperties": False,
    "properties": {
        "routing_key": TEXT,
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {**TEXT, "maxLength": 255},
        "client": TEXT,
        "client_url": TEXT,
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["href"],
                "additionalProperties": False,
                "properties": {"href": {"type": "string", "pattern": "^https://"}, "text": TEXT},
            },
        },
        "images": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["src"],
                "additionalProperties": False,
                "properties": {"src": {"type": "string", "pattern": "^https://"}, "alt": TEXT, "href": TEXT},
            },
        },
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {**TEXT, "maxLength": 1024},
                "source": TEXT,
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "component": TEXT,
                "group": TEXT,
                "class": TEXT,
                "custom_details": {"type": "object"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
}


async def sent(*answers, page=None, verb="send"):
    async with answering(*answers) as (url, calls):
        notifier = PagerDutyNotifier("R1", url=f"{url}/v2/enqueue", clock=VirtualClock(NOW), voice=VOICE)
        delivery = await getattr(notifier, verb)(page or a_page())
        await notifier.close()
    for call in calls:
        jsonschema.validate(call["json"], SCHEMA, format_checker=jsonschema.FormatChecker())
        assert len(call["raw"]) < 512 * 1024
    return delivery, calls


def standing(page, state, about="opened"):
    facts = page.facts | {"about": about, "incident": page.facts["incident"] | {"state": state}}
    return structs.replace(page, facts=facts)


async def test_a_page_triggers_an_alert_with_all_that_it_says():
    delivery, [call] = await sent(OK)
    event = call["json"]
    assert (delivery.outcome, delivery.receipt) == ("accepted", event["dedup_key"])
    assert (event["event_action"], event["payload"]["severity"]) == ("trigger", "error")
    assert event["payload"]["summary"].startswith("PAGE aurora-grand-lisbon")
    assert event["payload"]["custom_details"]["Why now"].startswith("38 people")
    assert [link["text"] for link in event["links"]] == ["Acknowledge", "Take it", "Dismiss"]


async def test_every_page_of_a_cycle_is_the_same_alert_and_the_next_cycle_another():
    page = a_page()
    again = structs.replace(page, key="other", purpose="deadline")
    assert dedup_key(page) == dedup_key(again)
    cycle = structs.replace(page, facts=page.facts | {"incident": page.facts["incident"] | {"cycle": 2}})
    assert dedup_key(page) != dedup_key(cycle)
    assert dedup_key(structs.replace(page, purpose="digest")) != dedup_key(page)


@pytest.mark.parametrize(
    ("state", "about", "verb", "action"),
    [
        ("resolved", "resolved", "send", "resolve"),
        ("dismissed", "dismissed", "send", "resolve"),
        ("acknowledged", "opened", "follow", "acknowledge"),
        ("answered", "opened", "follow", "acknowledge"),
        ("resolved", "resolved", "follow", "resolve"),
        ("dismissed", "dismissed", "follow", "resolve"),
    ],
)
async def test_the_alert_goes_where_the_incident_goes(state, about, verb, action):
    delivery, [call] = await sent(OK, page=standing(a_page(), state, about), verb=verb)
    assert (delivery.outcome, call["json"]["event_action"]) == ("accepted", action)
    assert "payload" not in call["json"]


async def test_an_open_incident_has_nothing_to_follow():
    delivery, calls = await sent(OK, verb="follow")
    assert (delivery.outcome, calls) == ("accepted", [])


@pytest.mark.parametrize(
    ("answer", "outcome", "after"),
    [
        ((202, {}, b"garbage"), "accepted", None),
        ((400, {}, {"status": "invalid event"}), "refused", None),
        ((429, {"Retry-After": "11"}, b""), "retry", 11.0),
        ((500, {}, b""), "retry", None),
    ],
)
async def test_what_each_answer_means(answer, outcome, after):
    delivery, _ = await sent(answer)
    assert (delivery.outcome, delivery.retry_after) == (outcome, after)


@pytest.mark.parametrize("how", MISBEHAVIOURS)
async def test_without_an_answer_it_is_simply_sent_again_for_the_alert_is_the_same(how):
    async with misbehaving(how) as url:
        notifier = PagerDutyNotifier("R1", url=url, clock=VirtualClock(NOW), timeout_s=LATE_S)
        delivery = await notifier.send(a_page())
        await notifier.close()
    assert delivery.outcome == "retry"


async def test_hostile_words_are_harmless():
    _, [call] = await sent(OK, page=a_page(hostile=True))
    payload = call["json"]["payload"]
    said = " ".join([payload["summary"], *payload["custom_details"].values()])
    assert not set(said) & set("<>*`[]|\r\n\x1b\u202e")
    assert "@everyone" not in said
