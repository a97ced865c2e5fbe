"""Apprise: one URL a channel, harmless plain text, and what a failure means."""

import asyncio

import pytest

from monitor.page.channels.apprise import MAX_TEXT, judge
from monitor.page.links import Linker
from monitor.page.voice import Voice
from tests.support.receivers import MISBEHAVIOURS, a_page, answering, misbehaving

apprise = pytest.importorskip("apprise", reason="not installed: pip install 'mention-monitor[apprise]'")
from monitor.page.channels.apprise import AppriseNotifier  # noqa: E402 -- after the skip

VOICE = Voice(None, Linker("https://monitor.example.com", "a secret of the tests"))


def notifier(url, **more):
    return AppriseNotifier(f"{url.replace('http://', 'json://')}/hook?rto=1&cto=1", voice=VOICE, **more)


async def test_a_page_arrives_as_plain_text_with_its_links():
    async with answering((200, {}, b"")) as (url, calls):
        delivery = await notifier(url).send(a_page())
    assert delivery.outcome == "accepted"
    body = calls[0]["json"]
    assert body["title"].startswith("PAGE aurora-grand-lisbon")
    assert "Why now: 38 people" in body["message"]
    assert "Acknowledge: https://monitor.example.com/link/" in body["message"]


async def test_a_long_page_is_cut_to_the_limit_and_keeps_the_way_to_acknowledge():
    async with answering((200, {}, b"")) as (url, calls):
        await notifier(url, limit=420).send(a_page(hostile=True))
        await notifier(url).send(a_page(hostile=True))
    short, long = (call["json"]["title"] + call["json"]["message"] for call in calls)
    assert len(short) < 480
    assert "Acknowledge: https://" in short
    assert len(long) <= MAX_TEXT + 60  # a handle that is broken takes a character more


async def test_hostile_words_find_no_markup_in_any_service():
    async with answering((200, {}, b"")) as (url, calls):
        await notifier(url).send(a_page(hostile=True))
    body = calls[0]["json"]
    said = body["title"] + body["message"].partition("Acknowledge: ")[0]
    assert not set(said) & set("<>*`_~|[]#\\\r\x1b\u202e")
    assert "@everyone" not in said


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "accepted"), (500, "retry"), (503, "retry"), (429, "retry"), (403, "refused")]
)
async def test_what_an_answer_means(status, outcome):
    async with answering((status, {}, b"")) as (url, _):
        assert (await notifier(url).send(a_page())).outcome == outcome


@pytest.mark.parametrize("how", MISBEHAVIOURS)
async def test_without_an_answer_it_is_a_doubt(how):
    async with misbehaving(how) as url:
        delivery = await notifier(url).send(a_page())
    assert delivery.outcome == ("retry" if how == "not_there" else "in_doubt"), delivery


async def test_what_another_channel_hears_meanwhile_is_not_mistaken_for_its_own():
    async with answering((503, {}, b"")) as (busy, _), misbehaving("accepts_and_closes") as silent:
        one, two = notifier(busy), notifier(silent)
        said = await asyncio.gather(*(which.send(a_page()) for _ in range(10) for which in (one, two)))
    assert [delivery.outcome for delivery in said] == ["retry", "in_doubt"] * 10


def test_a_url_that_apprise_does_not_know_is_refused_at_the_start():
    with pytest.raises(ValueError, match="does not know"):
        AppriseNotifier("nothing-like-it://x")
    assert judge("").outcome == "in_doubt"
