"""Slack: messages under its limits, threads and updates, what its answers mean, and hostile words."""

import json

import pytest
from msgspec import structs

from monitor.clock import VirtualClock
from monitor.page.channels.slack import MAX_HEADER, SlackNotifier, escape, message_of
from monitor.page.compose import compose
from monitor.page.links import Linker
from monitor.page.voice import Voice
from tests.support.receivers import LATE_S, MISBEHAVIOURS, NOW, a_page, answering, misbehaving

VOICE = Voice(None, Linker("https://monitor.example.com", "a secret of the tests"))
OK = (200, {}, {"ok": True, "channel": "C1", "ts": "17.5"})


def slack(api, **more):
    return SlackNotifier("xoxb-1", "C0", api=api, clock=VirtualClock(NOW), voice=VOICE, timeout_s=LATE_S, **more)


async def sent(*answers, page=None, verb="send"):
    async with answering(*answers) as (api, calls):
        notifier = slack(api)
        delivery = await getattr(notifier, verb)(page or a_page())
        await notifier.close()
    return delivery, calls


def check_limits(message):
    """What Slack's reference demands of these blocks."""
    assert len(message["text"]) <= 4000
    assert 1 <= len(message["blocks"]) <= 50
    for block in message["blocks"]:
        match block["type"]:
            case "header":
                assert set(block) == {"type", "text"}
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= 150
            case "rich_text":
                for element in block["elements"]:
                    assert element["type"] in {"rich_text_section", "rich_text_quote"}
                    assert element["elements"]
                    for piece in element["elements"]:
                        assert piece["type"] in {"text", "link"}
                        assert piece["text"]
                        assert piece["type"] == "text" or 1 <= len(piece["url"]) <= 3000
            case "image":
                assert len(block["image_url"]) <= 3000
                assert 1 <= len(block["alt_text"]) <= 2000
            case other:
                pytest.fail(f"an unknown block: {other}")


async def test_the_first_page_is_a_message_that_says_it_all():
    delivery, [call] = await sent(OK)
    assert (delivery.outcome, delivery.receipt) == ("accepted", "C1:17.5")
    assert call["path"] == "/chat.postMessage"
    assert call["headers"]["Authorization"] == "Bearer xoxb-1"
    body = call["json"]
    assert (body["channel"], body["metadata"]["event_payload"]["key"]) == ("C0", a_page().key)
    assert "thread_ts" not in body
    check_limits(body)
    text = json.dumps(body["blocks"])
    for said in ("Why now", "38 people in 40 min", "Biggest", "They gave our room away", "Acknowledge", "/link/"):
        assert said in text


async def test_the_next_page_is_an_answer_in_the_thread_and_the_message_is_kept_up_to_date():
    later = a_page(thread="C1:17.5", purpose="deadline")
    delivery, [call] = await sent(OK, page=later)
    assert delivery.outcome == "accepted"
    assert (call["json"]["channel"], call["json"]["thread_ts"], call["json"]["reply_broadcast"]) == ("C1", "17.5", True)
    facts = later.facts | {"incident": later.facts["incident"] | {"state": "acknowledged"}, "owner": "ben"}
    delivery, [call] = await sent(OK, page=structs.replace(later, facts=facts), verb="follow")
    assert delivery.outcome == "accepted"
    assert call["path"] == "/chat.update"
    assert (call["json"]["channel"], call["json"]["ts"]) == ("C1", "17.5")
    assert call["json"]["blocks"][0]["text"]["text"].startswith("ACKNOWLEDGED · PAGE")
    assert "ben" in json.dumps(call["json"])
    check_limits(call["json"])


@pytest.mark.parametrize(
    ("answer", "outcome", "after"),
    [
        ((200, {}, {"ok": False, "error": "channel_not_found"}), "refused", None),
        ((200, {}, {"ok": False, "error": "invalid_auth"}), "refused", None),
        ((200, {}, {"ok": False, "error": "fatal_error"}), "in_doubt", None),
        ((200, {}, {"ok": False}), "refused", None),
        ((200, {}, {"ok": False, "error": "ratelimited"}), "retry", None),
        ((429, {"Retry-After": "7"}, {"ok": False, "error": "ratelimited"}), "retry", 7.0),
        ((500, {}, b"oops"), "retry", None),
        ((200, {}, b"<html>a captive portal</html>"), "in_doubt", None),
        ((200, {}, ["ok"]), "in_doubt", None),
        ((200, {}, {"ok": "yes"}), "in_doubt", None),
        ((200, {}, b"\xff\xfe"), "in_doubt", None),
        ((200, {}, {"ok": True, "channel": 7, "ts": None}), "accepted", None),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "refused", None),
    ],
)
async def test_what_each_answer_means(answer, outcome, after):
    delivery, _ = await sent(answer)
    assert (delivery.outcome, delivery.retry_after) == (outcome, after)


@pytest.mark.parametrize("how", MISBEHAVIOURS)
async def test_what_cannot_be_known_is_a_doubt_and_what_did_not_connect_is_tried_again(how):
    async with misbehaving(how) as api:
        notifier = slack(api)
        delivery = await notifier.send(a_page())
        await notifier.close()
    assert delivery.outcome == ("retry" if how == "not_there" else "in_doubt")


async def test_a_picture_that_slack_cannot_fetch_does_not_cost_the_page():
    bad = (200, {}, {"ok": False, "error": "invalid_blocks"})
    delivery, calls = await sent(bad, OK)
    assert delivery.outcome == "accepted"
    kinds = [[block["type"] for block in call["json"]["blocks"]] for call in calls]
    assert ["image" in found for found in kinds] == [True, False]
    delivery, calls = await sent(bad, bad, OK, page=a_page(hostile=True))
    assert delivery.outcome == "accepted"
    last = calls[-1]["json"]
    assert "blocks" not in last
    assert "Acknowledge: https://monitor.example.com/link/" in last["text"]
    assert "<" not in last["text"]
    assert (last["parse"], last["mrkdwn"]) == ("none", False)
    delivery, calls = await sent(bad)
    assert (delivery.outcome, delivery.detail, len(calls)) == ("refused", "invalid_blocks", 3)


async def test_hostile_words_are_shown_as_they_are_and_nothing_more():
    _, [call] = await sent(OK, page=a_page(hostile=True))
    body = call["json"]
    check_limits(body)
    assert (body["parse"], body["mrkdwn"], body["link_names"]) == ("none", False, False)
    assert "<" not in body["text"]
    assert "<" not in body["blocks"][0]["text"]["text"]

    def kinds(node):
        if isinstance(node, dict):
            yield node.get("type")
            yield from (kind for value in node.values() for kind in kinds(value))
        if isinstance(node, list):
            yield from (kind for value in node for kind in kinds(value))

    assert "mrkdwn" not in set(kinds(body["blocks"]))
    urls = [url for url in json.dumps(body).split('"') if url.startswith("http")]
    assert all(url.startswith(("https://example.org/", "https://monitor.example.com/")) for url in urls)


def test_the_longest_page_stays_under_the_limits():
    page = a_page(hostile=True)
    quotes = [{**quote, "text": "<&>" * 90, "author": "&" * 60} for quote in page.facts["quotes"]]
    facts = page.facts | {"headline": "&<>" * 60, "reason": "<" * 400, "quotes": quotes}
    check_limits(message_of(compose(structs.replace(page, facts=facts, may_be_repeat=True))))
    assert len(escape("&" * 30)) == MAX_HEADER


async def test_the_doctor_asks_slack_for_the_token():
    async with answering((200, {}, {"ok": False, "error": "invalid_auth"})) as (api, calls):
        notifier = slack(api)
        assert await notifier.check() == "Slack says: invalid_auth"
        await notifier.close()
    assert calls[0]["path"] == "/auth.test"
