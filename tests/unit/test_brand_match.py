# ruff: noqa: RUF001 -- letters that look alike are what is tested
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.brand.match import BrandMatcher, Hit
from monitor.brand.tree import BrandTree
from monitor.mention.model import Author, Mention

FILE = """
brands:
  - id: meridian
    name: Meridian Group
    aliases: [Meridian]
    must_not_match: [prime meridian, meridian street]
    children:
      - id: air
        name: Meridian Air
        aliases: [Meridian Airlines, M&A Air]
        handles: ["@MeridianAir"]
        own_accounts: ["@MeridianHelp", {account: "77", source: forum}]
        children:
          - id: lounge
            name: Meridian Air Lounge
            aliases: [Sky Nook]
      - id: inns
        name: Inns of Nestlé
        own_accounts: ["@agency"]
        must_not_match: [sky nook inns of nestlé]
  - id: nord
    name: Nord
    aliases: [北風航空, 나드]
    handles: [nord.example.social]
    own_accounts: ["@agency"]
"""


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    file = tmp_path_factory.mktemp("brands") / "brands.yaml"
    file.write_text(FILE, encoding="utf-8")
    return BrandMatcher(BrandTree.load(file))


def found(matcher, text):
    return [brand for hit in matcher.find(text) for brand in hit.brands]


def mention(text="", **fields):
    return Mention(
        id="1", source=fields.pop("source", "blog"), published_at=datetime(2026, 3, 1, tzinfo=UTC), text=text, **fields
    )


@pytest.mark.parametrize(
    ("text", "brands"),
    [
        ("Meridian lost my bag", ["meridian"]),
        ("MERIDIAN's desk", ["meridian"]),
        ("meridian\n  group", ["meridian"]),
        ("#meridian fail", ["meridian"]),
        ("Ｍｅｒｉｄｉａｎ", ["meridian"]),
        ("Meri\u200bdian", ["meridian"]),
        ("meridians", []),
        ("premeridian", []),
        ("meridian_air", []),
        ("antemeridian", []),
        ("Meridian Airline", ["meridian"]),
        ("Meridian Airlines", ["air"]),
        ("Meridian Air", ["air"]),
        ("Meridian and Meridian Air", ["air"]),
        ("the Meridian Air Lounge", ["lounge"]),
        ("Meridian Air and its Sky Nook", ["lounge"]),
        ("M&amp;A Air", ["air"]),
        ("@MeridianAir help", ["air"]),
        ("@meridianair: help", ["air"]),
        ("#MeridianAir", ["air"]),
        ("@meridianairfan", []),
        ("@meridian", []),
        ("x@meridianair.com", []),
        ("inns of nestlé", ["inns"]),
        ("Inns of Nestle", ["inns"]),
        ("INNS OF NESTLE\u0301", ["inns"]),
        ("the prime meridian", []),
        ("the prime meridian, says Meridian", ["meridian"]),
        ("on Meridian Street, at Meridian Air", ["air"]),
        ("prime Meridian Air", []),
        ("昨日の北風航空は最悪", ["nord"]),
        ("나드는 늦었다", ["nord"]),
        ("@nord.example.social", ["nord"]),
        ("Nord and Meridian Air", ["air", "nord"]),
        ("sky nook inns of nestlé", ["lounge"]),
        ("", []),
    ],
)
def test_what_a_text_names(matcher, text, brands):
    assert found(matcher, text) == brands


def test_hits_are_grouped_by_umbrella(matcher):
    assert matcher.find("Nord, Sky Nook and the inns of nestle") == (
        Hit("meridian", ("lounge", "inns")),
        Hit("nord", ("nord",)),
    )


@pytest.mark.parametrize(
    ("brand", "brands"),
    [("air", ["air"]), ("Meridian Air", ["air"]), ("M&A AIR", ["air"]), ("@MeridianAir", ["air"]), ("Other", ["nord"])],
)
def test_the_brand_that_a_source_gives_decides(matcher, brand, brands):
    hits = matcher.match(mention("Nord is worse", brand=brand))
    assert [each for hit in hits for each in hit.brands] == brands


def test_an_unknown_brand_and_no_brand_in_the_text_is_no_hit(matcher):
    assert matcher.match(mention("late again", brand="Other")) == ()


@pytest.mark.parametrize(
    ("author", "source", "own"),
    [
        (Author(handle="MeridianHelp"), "blog", True),
        (Author(handle="@meridianair"), "blog", True),
        (Author(id="77"), "forum", True),
        (Author(id="77"), "blog", False),
        (Author(handle="wanderer", id="1"), "forum", False),
        (Author(name="MeridianHelp"), "blog", False),
        (None, "blog", False),
    ],
)
def test_own_accounts(matcher, author, source, own):
    assert matcher.is_own(mention("Sorry to hear that", source=source, author=author)) is own


def test_what_the_brand_says_is_about_the_brand(matcher):
    help_desk = Author(handle="meridianhelp")
    assert matcher.match(mention("@wanderer so sorry", author=help_desk)) == (Hit("meridian", ("air",)),)
    assert matcher.match(mention("Our Sky Nook, unlike Nord", author=help_desk)) == (Hit("meridian", ("lounge",)),)
    assert [hit.umbrella for hit in matcher.match(mention("Hello", author=Author(handle="agency")))] == [
        "meridian",
        "nord",
    ]


def test_a_tree_of_names_finds_them():
    matcher = BrandMatcher(BrandTree.from_names(["Nord Air", "Süd Air", "!!"]))
    assert found(matcher, "@nordair and sud air") == ["nord-air", "sud-air"]
    assert matcher.match(mention("x", brand="nord air")) == (Hit("nord-air", ("nord-air",)),)
    assert len(matcher.match(mention("x", brand="!!"))) == 1


def test_an_empty_tree_finds_nothing():
    assert BrandMatcher(BrandTree([])).find("Nord") == ()


PIECES = st.sampled_from(
    ["Meridian", " ", "Air", "@", "Lounge", "prime ", "nord", "é", "\u0301", "北風航空", "\ud800", "&amp;", "."]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=50))
def test_any_text_gives_known_brands_once(matcher, text):
    brands = found(matcher, text)
    assert len(brands) == len(set(brands))
    for brand in brands:
        assert not set(matcher.tree.ancestors(brand)) & set(brands)


@pytest.mark.parametrize(
    "text", ["meridian " * 11_000, "prime meridian " * 6_000, "nord nord." * 10_000, "a\u0301" * 50_000]
)
def test_time_is_linear_in_hostile_text(matcher, text):
    start = time.process_time()
    matcher.find(text)
    assert time.process_time() - start < 1.0
