"""The same input in other orders: repeated records change nothing, and a shuffle within a minute next to nothing.

Two dozen brands. Most have a complaint that spreads, two are in a wave of many small complaints, and some have what
must not page anyone: a furious author, praise, a giveaway, a small complaint, a slow one.
"""

import random
from collections import Counter
from datetime import datetime
from functools import cache

import msgspec
import pytest
from msgspec import structs
from sqlalchemy import select

from monitor.backtest import Offline
from monitor.brand import BrandMatcher
from monitor.engine.records import id_key
from monitor.escalation.rules import default_rules
from monitor.sentiment.stub import StubScorer
from monitor.store.tables import seen, story
from tests.support.pipeline import brands, chatter, in_time, on_call, outcry, say

HOUR, DAY = 3600.0, 86400.0
SPREADING = [f"Brand {letter * 2}ion" for letter in "bcdfghjklmnpqrstvwxz"]
WAVES = ["Nordkamp Rail", "Ostavia Lines"]
CALM = ["Furo Foods", "Praxel", "Givina", "Smallwood", "Slowey"]
SCENE = 3 * DAY
"""When it begins, after three ordinary days."""


def furious(brand):
    return [
        say(
            f"{brand}-{n}",
            f"{brand} is the worst, no refund, rude and useless, nobody would answer, day {n}",
            SCENE + 60.0 * n,
            author="fury",
        )
        for n in range(40)
    ]


def praise(brand, people=90):
    text = f"what a wonderful evening with {brand}, thanks to the kind crew who found my daughter's lovely bear"
    return [
        say(
            f"{brand}-{n}",
            text,
            SCENE + 40.0 * n,
            author=f"{brand}{n}",
            **({"kind": "repost", "repost_of": f"{brand}-0"} if n else {}),
        )
        for n in range(people)
    ]


def giveaway(brand, people=90):
    text = f"Win a weekend with {brand}! Follow and repost to enter our giveaway, winner drawn on sunday #giveaway"
    return [
        say(
            f"{brand}-{n}",
            text,
            SCENE + 30.0 * n,
            author=f"{brand}{n}",
            **({"kind": "repost", "repost_of": f"{brand}-0"} if n else {}),
        )
        for n in range(people)
    ]


def slow(brand, people=12):
    """A complaint that somebody takes up every five hours, for two days and a half."""
    text = f"{brand} cancelled and nobody would answer, no refund, rude and useless"
    return [say(f"{brand}-{n}", text, SCENE - 2 * DAY + 5 * HOUR * n, author=f"{brand}{n}") for n in range(people)]


def wave(brand, people=70, hours=2.0):
    """Many people complain within hours, each in their own words, where few do on other days."""
    rng = random.Random(brand)
    out = []
    for n in range(people):
        own = " ".join("".join(rng.choice(("ba", "ko", "li", "mu", "re")) for _ in range(3)) for _ in range(9))
        out.append(
            say(
                f"{brand}-w{n}",
                f"{brand} worst ever {own} stuck and cancelled, no refund",
                SCENE + rng.uniform(0, hours * HOUR),
                author=f"{brand}w{n}",
            )
        )
    return out


@cache
def stream():
    rng = random.Random(6)
    raws = []
    for number, brand in enumerate(SPREADING):
        people = (90, 100, 110, 300)[number % 4]
        raws += outcry(
            brand, SCENE + rng.uniform(0, 6 * HOUR), people=people, hours=rng.uniform(0.2, 0.6), tag=f"{number}"
        )
    for brand in WAVES:
        raws += chatter(brand, 0, SCENE + 8 * HOUR, 1500.0) + wave(brand)
    for brand in CALM:
        raws += chatter(brand, 2 * DAY, SCENE + 8 * HOUR, 2 * HOUR)
    raws += furious("Furo Foods") + praise("Praxel") + giveaway("Givina")
    raws += outcry("Smallwood", SCENE, people=7, hours=3.0)
    raws += slow("Slowey")
    return tuple(in_time(raws))


class Run:
    """One run, and what came of it."""

    def __init__(self, raws):
        tree = brands((*SPREADING, *WAVES, *CALM))
        self.offline = Offline(
            tree=tree, matcher=BrandMatcher(tree), scorer=StubScorer(), rules=default_rules(), routes=on_call("ana")
        )
        self.result = self.offline.run(raws)
        self.incidents = self.result.incidents
        self.account = structs.asdict(self.result.account)
        names = {id_key("twitter", msgspec.json.decode(raw)["id"]): msgspec.json.decode(raw)["id"] for raw in raws}
        with self.offline.store.engine.connect() as connection:
            into = dict(connection.execute(select(story.c.story, story.c.merged_into)).all())
            self.members = {}
            for row in connection.execute(select(seen.c.key, seen.c.story).where(seen.c.story.is_not(None))):
                name = row.story
                while into.get(name):
                    name = into[name]
                self.members.setdefault(name, set()).add(names[row.key])

    def of(self, umbrella):
        return [one for one in self.incidents if one.umbrella == umbrella]

    def paged(self, incident):
        return [
            (page.purpose, page.severity, page.decided_at) for page in self.result.pages if page.incident == incident.id
        ]


@pytest.fixture(scope="module")
def plain():
    return Run(stream())


def slug(brand):
    return brand.lower().replace(" ", "-")


def test_the_scene_has_its_incidents_and_its_near_misses(plain):
    assert plain.account == {**plain.account, "stored": len(stream()), "repeated": 0, "dead": 0, "no_brand": 0}
    for brand in SPREADING:
        (one,) = plain.of(slug(brand))
        assert one.rule in {"going-viral", "viral-crisis"}, brand
        assert one.peak in {"page", "crisis"}
        assert plain.paged(one)[0][0] == "first"
    for brand in WAVES:
        assert [(one.kind, one.rule, one.peak) for one in plain.of(slug(brand))] == [("wave", "complaint-wave", "page")]
    assert len([one for one in plain.incidents if one.peak in {"page", "crisis"}]) >= 20
    assert len({one.peak for one in plain.incidents}) > 1, "some are a crisis, some are not"
    for brand in CALM:
        assert not [one for one in plain.of(slug(brand)) if one.peak in {"page", "crisis"}], brand


def test_most_are_paged_before_they_cross_their_line(plain):
    leads = [page.lead_s for page in plain.result.pages if page.purpose == "first" and page.kind == "story"]
    assert all(lead is not None for lead in leads)
    assert sum(lead > 0 for lead in leads) >= 0.9 * len(leads)


@pytest.mark.parametrize("seed", [1])
def test_with_a_tenth_of_the_records_repeated_later_the_result_is_identical(plain, seed):
    rng = random.Random(seed)
    raws = list(stream())
    places = sorted(rng.sample(range(len(raws)), len(raws) // 10), reverse=True)
    late = Counter()
    for place in places:
        at = min(len(raws), place + 1 + int(rng.expovariate(1 / 200)))
        if _at(raws[min(at, len(raws) - 1)]) - _at(raws[place]) > 40 * HOUR:
            at = place + 1  # else it would be too old to tell
        raws.insert(at, raws[place])
        late[at - place > 256] += 1
    assert late[True], "some come a batch later or more"
    again = Run(raws)
    assert again.incidents == plain.incidents
    assert again.result.pages == plain.result.pages
    stories = {one.story for one in plain.incidents if one.kind == "story"}
    assert {name: again.members[name] for name in stories} == {name: plain.members[name] for name in stories}
    assert again.account == {**plain.account, "repeated": len(places)}


@pytest.mark.parametrize("seed", [1])
def test_shuffled_within_a_minute_the_incidents_are_the_same(plain, seed):
    rng = random.Random(seed)
    times = dict(zip(stream(), (_at(raw) for raw in stream()), strict=True))
    raws = sorted(stream(), key=lambda raw: times[raw] + rng.uniform(0, 60))
    assert sum(a != b for a, b in zip(raws, stream(), strict=True)) > len(raws) / 3
    other = Run(raws)
    assert other.account == plain.account
    for brand in (*SPREADING, *WAVES, *CALM):
        ours, theirs = plain.of(slug(brand)), other.of(slug(brand))
        assert [(one.kind, one.rule, one.peak) for one in ours] == [(one.kind, one.rule, one.peak) for one in theirs], (
            brand
        )
        for one, two in zip(ours, theirs, strict=True):
            mine, its = plain.members.get(one.story, set()), other.members.get(two.story, set())
            assert len(mine & its) >= 0.95 * len(mine | its), brand
            for (what, severity, at), (what_too, severity_too, at_too) in zip(
                plain.paged(one), other.paged(two), strict=True
            ):
                assert (what, severity) == (what_too, severity_too), brand
                assert abs(at - at_too) <= 120.0, (brand, what)


def _at(raw):
    return datetime.fromisoformat(msgspec.json.decode(raw)["published_at"]).timestamp()
