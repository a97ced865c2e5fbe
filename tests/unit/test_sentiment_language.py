import os
from pathlib import Path

import pytest

from monitor.sentiment.evaluate import objects
from monitor.sentiment.language import Language, detect, primary, unreadable


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("@user http", "no_words"),
        ("!!! 12 %", "no_words"),
        ("ok", None),
        ("angry", None),
        ("лучший отель", "script"),
        ("最悪のホテル", "script"),
        ("the hotel мой", None),
        ("él no sabe", None),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str | None) -> None:
    assert unreadable(text) == why


@pytest.mark.parametrize(
    ("text", "hint", "lang", "why"),
    [
        ("the room was cold and nobody came", None, "en", None),
        ("la chambre était froide et personne n'est venu", None, "fr", "language"),
        ("la chambre était froide et personne n'est venu", "en", "fr", "language"),
        ("the room was cold and nobody came to help us", "fr", "en", None),
        ("danke", None, "en", None),
        ("danke", "de-AT", "de", "language"),
        ("lol", "und", "en", None),
        ("@hotel #terrible https://example.com 😡", None, "en", None),
        ("", "en", "en", "empty"),
    ],
)
def test_a_sure_detector_beats_the_source_and_the_source_beats_a_guess(
    text: str, hint: str | None, lang: str, why: str | None
) -> None:
    assert Language().judge(text, hint) == (lang, why)


def test_another_home_counts_what_is_short_as_its_own() -> None:
    assert Language(("de",), "de").judge("na super", None) == ("de", None)


@pytest.mark.parametrize("text", ["\0\x01", "\ud800", "\u202e", "x" * 100_000, "\U0010ffff", "a\x01b", "\ufffe\uffff"])
def test_no_text_upsets_the_detector(text: str) -> None:
    detect(text)
    Language().judge(text, "?")


def test_tags_are_read_in_every_spelling() -> None:
    assert [primary(tag) for tag in ("EN_us", "pt-BR", "", "zxx", "x")] == ["en", "pt", None, None, "x"]


@pytest.mark.shared
def test_few_english_tweets_are_called_foreign_and_most_foreign_ones_are() -> None:
    data = Path(os.environ.get("MONITOR_SHARED", "../shared")) / "data"
    if not data.exists():
        pytest.skip("the shared data is not here (MONITOR_SHARED)")
    language = Language()
    english = [row["text"] for row in objects(data, "complaints_acl19/complaints.jsonl.gz")][:1500]
    lost = sum(language.judge(text, None).unread == "language" for text in english)
    assert lost <= 0.01 * len(english)
    foreign = [
        row["text"]
        for row in objects(data, "xlmt_multilingual/sentiment.jsonl.gz")
        if row["split"] == "dev" and row["lang"] in {"arabic", "french", "german", "italian", "portuguese", "spanish"}
    ]
    kept = sum(language.judge(text, None).unread is None for text in foreign)
    assert kept <= 0.15 * len(foreign)
