"""What a page says to whom: roles, languages, clocks, limits, and the chart."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from monitor.escalation.example import example_wave
from monitor.page.chart import HEIGHT, WIDTH, picture, sketch
from monitor.page.compose import Content, Link, Part, compose, fitted, headline, plain
from monitor.page.readers import LANGUAGES, ROLES, Reader
from monitor.page.render import MAX_LINES, columns, render
from monitor.page.words import DE, EN
from tests.support.receivers import a_page

LINKS = (Link("ack", "Acknowledge", "https://m.example.com/link/" + "x" * 60), Link("own", "Take it", "https://m/o"))


def names(page, **reader):
    return [part.name for part in compose(page, Reader(**reader)).parts]


def test_every_language_has_every_word_with_the_same_places():
    assert EN.keys() == DE.keys()
    for key, text in EN.items():
        places = {piece.split("}")[0] for piece in text.split("{")[1:]} - {"s"}
        assert places == {piece.split("}")[0] for piece in DE[key].split("{")[1:]} - {"s"}, key


def test_each_role_reads_what_it_can_act_on():
    page = a_page()
    operations, pr, manager = (names(page, role=role) for role in ROLES)
    assert operations == ["why", "forecast", "sure", "cause", "biggest", "first", "latest", "seen", "owner", "incident"]
    assert pr[:6] == ["why", "mood", "biggest", "first", "latest", "do"]
    assert manager[:2] == ["why", "do"]
    assert "forecast" not in manager
    assert {"biggest", "first", "latest"} <= set(manager)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_version_fits_a_terminal(role, language):
    reader = Reader(role=role, language=language, zone="Europe/Lisbon")
    for page in (a_page(), a_page(hostile=True), structs.replace(a_page(), may_be_repeat=True)):
        lines = render(page, reader=reader).splitlines()
        assert len(lines) <= MAX_LINES
        assert max(columns(line) for line in lines) <= 80
        assert len(headline(page, reader)) <= 120


def test_a_german_page_says_why_in_german_from_the_same_figures():
    page = a_page()
    text = " ".join(render(page, reader=Reader(language="de", zone="Europe/Berlin")).split())
    for said in ("ALARM", "38 Personen, 60 Meldungen je Stunde (üblich 10)", "zu 82 % wird 400 überschritten",
                 "82 % laut Prognose", "endet bei etwa 640 Personen (80 %: 210 bis 2.900)",
                 "84.000 Follower), 18:46"):  # fmt: skip
        assert said in text, text
    for said in ("people", "likely", "UTC"):
        assert said not in text
    wave = structs.replace(page, facts=page.facts | {"forecast": None, "wave": _wave()})
    assert "54 Beschwerden in 1 h, üblich 9 (höchstens 17)" in render(wave, reader=Reader(language="de"))


@pytest.mark.parametrize(
    ("wave", "said", "unsaid"),
    [
        ({"expected": 0.0, "low": 0.0, "high": 1.0, "confident": False},
         ("54 Beschwerden in 1 h (was üblich ist, ist noch nicht bekannt)", "was hier üblich ist, ist noch nicht"),
         ("0,0", "üblich 0", "höchstens", "hier 0")),
        ({"expected": 0.04, "low": 0.0, "high": 1.3, "confident": True},
         ("54 Beschwerden in 1 h, üblich sind fast keine", "üblich sind hier 0 bis 1"), ("0,0", "höchstens")),
    ],
    ids=["no history", "a quiet brand"],
)  # fmt: skip
def test_a_german_page_says_of_what_is_usual_only_what_is_known(wave, said, unsaid):
    page = a_page()
    page = structs.replace(page, facts=page.facts | {"forecast": None, "wave": _wave() | wave})
    text = " ".join(render(page, reader=Reader(language="de")).split())
    assert [part for part in said if part not in text] == [], text
    assert [part for part in unsaid if part in text] == [], text


@pytest.mark.parametrize(("expected", "said"), [(0.0, "60 Meldungen je Stunde;"), (0.04, "(üblich unter 0,1);")])
def test_a_german_page_of_a_young_story_says_no_usual_rate_of_nothing(expected, said):
    page = a_page()
    forecast = page.facts["forecast"] | {"expected_per_hour": expected}
    page = structs.replace(page, facts=page.facts | {"forecast": forecast})
    assert said in " ".join(render(page, reader=Reader(language="de")).split())


def _wave():
    tide = example_wave().tide
    return {"observed": tide.observed, "expected": tide.expected, "low": tide.low, "high": tide.high,
            "window_s": tide.window_s, "voices": tide.voices, "since": None}  # fmt: skip


@pytest.mark.parametrize(
    ("purpose", "key", "said"),
    [
        ("repeat", "i:1:repeat:0:1:ana:x", "Noch niemand hat bestätigt"),
        ("deadline", "i:1:deadline:0:1:ana:x", "Der Kunde wartet noch"),
        ("deadline", "i:1:deadline:1:1:ana:x", "Noch nicht erledigt"),
    ],
)
def test_a_german_page_says_which_timer_ran_out(purpose, key, said):
    page = a_page(purpose=purpose, key=key)
    page = structs.replace(page, facts=page.facts | {"about": "overdue"})
    assert said in render(page, reader=Reader(language="de"))


def test_the_deadline_and_the_owner_stand_on_the_page():
    page = a_page()
    page = structs.replace(page, facts=page.facts | {"deadline": "2030-03-17T19:27:00Z", "owner": "ben"})
    assert "ben; answer due 2030-03-17 19:27 UTC; nobody has answered the customers" in " ".join(render(page).split())
    text = " ".join(render(page, reader=Reader(role="pr", zone="Asia/Tokyo")).split())
    assert "ben; answer due 2030-03-18 04:27 JST" in text


def test_what_has_no_room_goes_by_weight():
    content = compose(a_page(), Reader(), LINKS)
    whole = plain(content, 10_000)
    assert all(part.text in whole for part in content.parts)
    kept = None
    for room in (1200, 900, 700, 500, 300):
        left = {part.name for part in fitted(content, room).parts}
        assert kept is None or left <= kept
        kept = left
    assert kept is not None
    assert "why" in kept
    assert "seen" not in kept


@settings(max_examples=100)
@given(st.integers(140, 3000), st.lists(st.tuples(st.text(max_size=300), st.integers(0, 9)), max_size=12))
def test_a_text_is_never_longer_than_its_limit_and_keeps_the_way_to_acknowledge(limit, texts):
    parts = tuple(Part(str(n), "Label", text, weight) for n, (text, weight) in enumerate(texts))
    text = plain(Content("h" * 30, parts, LINKS[:1]), limit)
    assert len(text) <= limit
    assert text.startswith("h" * 30)
    assert limit < 220 or text.endswith(LINKS[0].url)


def test_the_one_page_for_many_says_when_it_was_held_and_until_when():
    rows = [{"incident": "i1", "brand": "b", "severity": "page", "headline": "h", "reason": "r", "about": None}]
    facts = {"about": "digest", "since": "2030-03-17T17:46:40Z", "until": "2030-03-17T18:46:40Z", "incidents": rows,
             "pages": 2, "hours": 12}  # fmt: skip
    page = a_page(purpose="digest", facts=facts)
    assert headline(page) == "PAGE 1 more page, held back since 2030-03-17 17:46 UTC"
    assert "held until 2030-03-17 18:46 UTC" in " ".join(render(page).split())
    assert "1 weitere Meldung, zurückgehalten" in headline(page, Reader(language="de"))


def test_the_chart_is_a_whole_png_and_shows_what_there_is():
    facts = a_page().facts
    png = picture(facts)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + data)
        chunks[name] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (WIDTH, HEIGHT)
    rows = zlib.decompress(chunks[b"IDAT"])
    assert len(rows) == HEIGHT * (WIDTH + 1)
    assert {2, 3, 4, 5} <= set(rows)
    assert len(png) < 2000
    assert picture({**facts, "forecast": None}) is None
    assert sketch({**facts, "forecast": None}) == ""


@given(
    st.fixed_dictionaries({name: st.none() | st.floats(0, 1e12) for name in ("voices", "q10", "q50", "q90", "line")})
)
def test_any_forecast_can_be_drawn(forecast):
    picture({"forecast": forecast})
    assert len(sketch({"forecast": forecast})) <= 31
