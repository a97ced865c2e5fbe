"""Hostile and broken mentions end under the right outcome, and everything around them is as it was without them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import structs

from monitor.backtest import Offline
from monitor.brand import BrandMatcher
from monitor.clock import VirtualClock
from monitor.escalation.rules import default_rules
from monitor.mention import Author
from monitor.sentiment.stub import StubScorer
from tests.support.pipeline import NAMES, T0, brands, chatter, in_time, on_call, outcry, say

HOUR = 3600.0
NOW = T0 + 10 * HOUR
A = NAMES[0]


def plain(**more):
    return msgspec.json.encode(
        {"id": "bad", "source": "twitter", "text": f"late, {A}", "published_at": at(HOUR)} | more
    )


def at(seconds):
    return (datetime.fromtimestamp(T0, UTC) + timedelta(seconds=seconds)).isoformat()


BAD = {
    "10 MB of text": (plain(text="x" * 10_000_000), "dead"),
    "100,001 characters": (plain(text="x" * 100_001), "dead"),
    "a million brackets": (b"[" * 1_000_000, "dead"),
    "NUL in the text": (plain(text=f"late\0, {A}"), "dead"),
    "NUL as a byte": (plain().replace(b"late", b"la\0te"), "dead"),
    "half of a surrogate pair": (plain().replace(b"late", b"la\\ud800te"), "dead"),
    "not UTF-8": (plain().replace(b"late", b"la\xff\xfete"), "dead"),
    "no JSON": (b"{'id': 1}", "dead"),
    "nothing": (b"", "dead"),
    "null": (b"null", "dead"),
    "a number for the text": (plain(text=7), "dead"),
    "no id": (plain(id=""), "dead"),
    "no time": (msgspec.json.encode({"id": "bad", "source": "twitter", "text": f"late, {A}"}), "dead"),
    "the year 9999": (plain(published_at="9999-12-31T23:59:59Z"), "dead"),
    "the year 9999, observed then": (
        plain(published_at="9999-01-01T00:00:00Z", observed_at="9999-01-01T00:00:00Z"),
        "dead",
    ),
    "next year": (plain(published_at=at(366 * 24 * HOUR), observed_at=at(366 * 24 * HOUR)), "dead"),
    "the year 1": (plain(published_at="0001-01-01T00:00:00Z"), "dead"),
    "1970": (plain(published_at="1970-01-01T00:00:00Z"), "dead"),
    "the year 2001": (plain(published_at="2001-01-01T00:00:00Z"), "too_old"),
    "10^18 followers": (plain(author={"id": "big", "followers": 10**18}), "stored"),
    "10^19 followers": (plain(author={"id": "big", "followers": 10**19}), "dead"),
    "-1 followers": (plain(author={"id": "big", "followers": -1}), "dead"),
    "an unknown brand": (plain(text="late, Nobody Inc", brand="Nobody Inc"), "no_brand"),
    "an empty text": (plain(text=""), "dead"),
    "blanks": (plain(text=f" \n\t {A} \u200b "), "stored"),
    "a delete for an unknown id": (plain(kind="delete", target="unheard of", text=""), "orphan"),
    "an edit for an unknown id": (plain(kind="edit", target="unheard of", revision=2**62), "orphan"),
    "a delete of itself": (plain(kind="delete", target="bad", text=""), "dead"),
    "a reply to itself": (plain(in_reply_to="bad"), "stored"),
    "a repost of itself without a brand": (plain(text="", kind="repost", repost_of="bad"), "no_brand"),
    "marks that reorder": (plain(text=f"{A} \u202e\u2066 \x1b[31m \u0085 late"), "stored"),
    "one emoji 50,000 times": (plain(text=A + "🙂" * 50_000), "stored"),
    "50,000 names": (plain(text=f"{A} " + "@someone " * 11_000), "stored"),
    "an id with anything in it": (plain(id="'; DROP TABLE seen; --\u202e🙂"), "stored"),
}


def run(raws):
    tree = brands()
    offline = Offline(
        tree=tree, matcher=BrandMatcher(tree), scorer=StubScorer(), rules=default_rules(), routes=on_call("ana"),
        clock=VirtualClock(NOW),
    )  # fmt: skip
    return offline.run(raws)


def scene():
    """An ordinary hour, and a complaint that goes viral after it."""
    return in_time([*chatter(A, 0, 2 * HOUR, 600.0), *outcry(A, 1.2 * HOUR, people=80, hours=0.4)])


@pytest.fixture(scope="module")
def undisturbed():
    return run(scene())


def shown(result):
    return (
        [(one.id, one.severity, one.peak, one.state) for one in result.incidents],
        [(page.key, page.severity, round(page.decided_at)) for page in result.pages],
    )


def test_the_scene_pages(undisturbed):
    assert [page.purpose for page in undisturbed.pages] == ["first"]


@pytest.mark.parametrize("what", BAD)
def test_one_bad_mention_among_many(undisturbed, what):
    raw, outcome = BAD[what]
    raws = scene()
    raws[10:10] = [raw]
    result = run(raws)
    assert structs.asdict(result.account) == {
        **structs.asdict(undisturbed.account),
        outcome: getattr(undisturbed.account, outcome) + 1,
    }
    if outcome != "stored":
        assert shown(result) == shown(undisturbed)
    else:
        assert [page.purpose for page in result.pages] == ["first"]
        assert abs(result.pages[0].decided_at - undisturbed.pages[0].decided_at) <= 60


def test_all_of_it_at_once_and_everything_twice(undisturbed):
    raws = scene()
    for place, (raw, _) in enumerate(BAD.values()):
        raws[3 * place : 3 * place] = [raw, raw]
    result = run(raws)
    assert result.account.total == result.published == len(raws)
    assert [page.purpose for page in result.pages] == ["first"]


def test_a_duplicate_id_counts_once(undisturbed):
    raws = scene()
    assert run([*raws, *raws]).account == structs.replace(undisturbed.account, repeated=len(raws))


def test_a_million_followers_a_thousand_times_is_no_infinity():
    crowd = [
        say(n, f"{A} lost my bag, no refund, worst ever", float(n), author=f"a{n}", followers=2**63 - 1)
        for n in range(100)
    ]
    result = run(crowd)
    (one,) = result.incidents
    assert one.peak in {"page", "crisis"}
    assert "inf" not in str(result.pages).lower().replace("info", "")
    assert "nan" not in one.reason


def test_hostile_words_are_harmless_on_the_page():
    bomb = "\x1b[2J\u202eevil\u2066 <script>alert(1)</script> \u0007"
    crowd = [
        say(n, f"{A} lost my bag, no refund, worst ever {bomb}", float(n), author=f"a{n}\x1b[0m", followers=500)
        for n in range(100)
    ]
    page = run(crowd).pages[0]
    assert not any(mark in page.headline for mark in "\x1b\u202e\u2066\u0007")


def test_authors_without_any_name_are_still_counted():
    crowd = [say(n, f"{A} lost my bag, no refund, worst ever", float(n)) for n in range(30)]
    assert run(crowd).account.stored == 30
    assert Author().handle is None
