"""The same matter in several brands of one umbrella: one crisis above the brands, and nobody is paged for each of them.

A storage fault at a booking system, say: the airline's and the railway's customers are cancelled within the hour.
"""

import random
from functools import cache

import pytest
from msgspec import structs

from monitor.backtest import Offline
from monitor.brand import BrandMatcher, BrandTree
from monitor.brand.tree import Node, ViralLine, phrase
from monitor.escalation.rules import default_rules
from monitor.sentiment.reading import Cause
from monitor.sentiment.stub import StubScorer
from tests.support.pipeline import T0, chatter, in_time, on_call, say

HOUR, DAY = 3600.0, 86400.0
SCENE = 3 * DAY
CAUSES = {"cancelled": "cancelled_flight", "hold": "customer_service"}
BRANDS = {"meridian-air": "Meridian Air", "meridian-rail": "Meridian Rail", "meridian-inns": "Meridian Inns"}


class Reader(StubScorer):
    """Reads the cause by a word, too."""

    def read(self, texts, langs=None):
        readings = super().read(texts, langs)
        return [
            structs.replace(
                reading, cause=next((Cause(to, 0.9, to) for word, to in CAUSES.items() if word in text), None)
            )
            for text, reading in zip(texts, readings, strict=True)
        ]


def tree():
    line = ViralLine(80.0)
    below = [
        Node(id=name, name=title, parent="meridian", aliases=(phrase(title),), viral_line=line)
        for name, title in BRANDS.items()
    ]
    return BrandTree([Node(id="meridian", name="Meridian Group", viral_line=line), *below])


def wave(brand, start, cause, people=70, hours=1.5):
    """Many people complain of the same cause, each in their own words."""
    rng = random.Random(f"{brand}{cause}{start}")
    out = []
    for n in range(people):
        own = " ".join("".join(rng.choice(("ba", "ko", "li", "mu", "re")) for _ in range(3)) for _ in range(9))
        text = f"{BRANDS[brand]} worst ever {own} stuck, {cause}, no refund"
        out.append(say(f"{brand}-{cause}-{n}", text, start + rng.uniform(0, hours * HOUR), author=f"{brand}{cause}{n}"))
    return out


@cache
def days(hours):
    return tuple(raw for title in BRANDS.values() for raw in chatter(title, 0, SCENE + hours * HOUR, 1500.0))


def run(*waves, hours=32):
    house = tree()
    offline = Offline(
        tree=house, matcher=BrandMatcher(house), scorer=Reader(), rules=default_rules(), routes=on_call("ana")
    )
    return offline.run(in_time([*days(hours), *(raw for one in waves for raw in one)]))


def found(result):
    return {(one.kind, one.brand, one.rule, one.peak) for one in result.incidents if one.peak in {"page", "crisis"}}


def test_cancelled_in_two_brands_at_once_is_one_crisis_and_the_brands_stand_below_it():
    result = run(
        wave("meridian-air", SCENE, "cancelled"),
        wave("meridian-rail", SCENE + 600.0, "cancelled"),
    )
    (crisis,) = [one for one in result.incidents if one.kind == "umbrella"]
    assert (crisis.brand, crisis.rule, crisis.peak) == ("meridian", "umbrella-crisis", "crisis")
    below = [one for one in result.incidents if one.kind == "wave"]
    assert {one.brand for one in below} == {"meridian-air", "meridian-rail"}
    soon = run(wave("meridian-air", SCENE, "cancelled"), wave("meridian-rail", SCENE + 600.0, "cancelled"), hours=2)
    (top,) = [one for one in soon.incidents if one.kind == "umbrella"]
    assert {one.parent for one in soon.incidents if one.kind == "wave"} == {top.id}, (
        "what it is made of stands below it"
    )
    page = next(one for one in result.pages if one.incident == crisis.id)
    assert page.reason.startswith("2 brands at once: Meridian Air (")
    assert "meridian-" not in page.reason, "people know a brand by its name, not by its id"
    assert page.reason.endswith("mostly about cancelled flight")
    assert page.decided_at < T0 + SCENE + HOUR
    later = [one for one in result.pages if one.decided_at > page.decided_at]
    assert {one.purpose for one in later} == {"notice"}, "nobody is paged for its parts, now or when all is calm"
    assert {one.brand for one in later} == {"meridian", "meridian-air"}, "told that it is over: who was told of it"


def test_what_brings_most_of_an_umbrellas_wave_is_what_the_page_speaks_of():
    result = run(wave("meridian-air", SCENE, "cancelled"))
    assert found(result) == {("wave", "meridian-air", "complaint-wave", "page")}
    assert [(one.brand, one.purpose) for one in result.pages] == [
        ("meridian-air", "first"),
        ("meridian-air", "notice"),
    ]


def test_too_little_in_each_brand_and_much_in_all_is_the_umbrellas_wave():
    parts = [wave(brand, SCENE, "cancelled" if n else "hold", people=14) for n, brand in enumerate(BRANDS)]
    result = run(*parts)
    assert [(one.kind, one.brand) for one in result.incidents if one.peak == "page"] == [("wave", "meridian")]


def test_a_part_that_goes_on_when_the_crisis_is_over_is_paged_then():
    again = [wave("meridian-rail", SCENE + hour * HOUR, f"cancelled again {hour}") for hour in range(4, 20, 2)]
    result = run(
        wave("meridian-air", SCENE, "cancelled"),
        wave("meridian-rail", SCENE + 600.0, "cancelled"),
        *again,
    )
    (crisis,) = [one for one in result.incidents if one.kind == "umbrella"]
    over = next(one.decided_at for one in result.pages if one.incident == crisis.id and one.purpose == "notice")
    (first,) = [one for one in result.pages if one.brand == "meridian-rail" and one.purpose == "first"]
    assert first.decided_at == over


@pytest.mark.parametrize(
    ("what", "second"),
    [
        ("another matter", lambda: wave("meridian-rail", SCENE + 600.0, "hold")),
        ("the day after", lambda: wave("meridian-rail", SCENE + DAY, "cancelled")),
        ("a handful", lambda: wave("meridian-rail", SCENE + 600.0, "cancelled", people=8)),
    ],
)
def test_near_misses_are_no_crisis(what, second):
    result = run(wave("meridian-air", SCENE, "cancelled"), second())
    assert not [one for one in result.incidents if one.kind == "umbrella"], what
    assert ("wave", "meridian-air", "complaint-wave", "page") in found(result)
