import re
import time

import pytest

from monitor.sentiment.clean import MAX_CHARS, Cleaner
from monitor.sentiment.emoji import WORDS

VOCABULARY = {
    word: rank
    for rank, word in enumerate(
        [
            "the",
            "no",
            "so",
            "cool",
            "good",
            "worst",
            "service",
            "ever",
            "never",
            "again",
            "customer",
            "fail",
            "hotel",
            "x",
        ]
    )
}


@pytest.fixture(scope="module")
def clean() -> Cleaner:
    return Cleaner(VOCABULARY)


def test_no_brand_or_person_is_left_of_a_handle_or_a_link(clean: Cleaner) -> None:
    a = clean("@NorthAir why? https://north.example/a?b=1")
    b = clean("@south_air why? http://t.co/Xy12")
    assert a == b == "@user why? http"


def test_a_repost_reads_as_what_it_repeats(clean: Cleaner) -> None:
    assert clean("RT @someone: the worst hotel ever") == clean("the worst hotel ever")


def test_hashtags_are_split_with_and_without_capitals(clean: Cleaner) -> None:
    assert clean("#CustomerService") == "Customer Service"
    assert clean("#customerservicefail") == "customer service fail"
    assert clean("#never_again") == "never again"
    assert clean("#zzqqzzqq") == "zzqqzzqq"


def test_drawn_out_words_and_marks_are_shortened(clean: Cleaner) -> None:
    assert clean("sooooo cooool, nooooo!!!!!!!") == "so cool, no!!!"
    assert clean("goooood") == "good"


def test_whatever_parts_words_unseen_becomes_one_space(clean: Cleaner) -> None:
    unseen = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
    signs = unseen.findall("".join(map(chr, range(0x11000))))
    assert len(signs) > 90
    assert {sign: clean(f"so{sign}good") for sign in signs} == dict.fromkeys(signs, "so good")
    assert clean("so  good  ") == "so good"


def test_emoji_become_words_whatever_their_skin_and_sex(clean: Cleaner) -> None:
    assert clean("fine 😡") != clean("fine 😍")
    assert clean("👎") == clean("👎🏿") == WORDS["👎"]
    assert clean("🤦") == clean("🤦🏽‍♀️") == "facepalm"
    assert clean("🇨🇭") == "flag"
    assert clean("😡😡😡😡😡😡😡😡") == "angry"
    assert clean("🦀") == "crab"


def test_entities_escapes_styles_and_controls_are_resolved(clean: Cleaner) -> None:
    assert clean("a &amp;amp; b &lt;3") == "a & b <3"
    assert clean("don\\u2019t") == clean("don\u2019t") == "don't"
    assert clean("\U0001d4f0\U0001d4f8\U0001d4f8\U0001d4ed \uff47\uff4f\uff4f\uff44") == "good good"
    assert clean("a\0b\x07\u202ec\u200bd") == "a b c d"
    assert clean("a\ud800b") == "ab"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "a" * 100_000,
        "ab" * 50_000,
        "aaab" * 25_000,
        "@" * 100_000,
        "#" * 100_000,
        "#" + "worst" * 20_000,
        "&amp;" * 20_000,
        "😡" * 50_000,
        "👩‍👩‍👧‍👦" * 10_000,
        "\u200d" * 50_000,
        "\0" * 50_000,
        "\ud800" * 50_000,
        "@a " * 30_000,
        "ﷺ" * 100_000,
        "http://" * 10_000,
        "\\u0000\\ud800" * 5_000,
    ],
)
def test_no_text_is_too_bad_or_too_slow(clean: Cleaner, text: str) -> None:
    began = time.thread_time()
    out = clean(text)
    assert time.thread_time() - began < 0.5
    assert len(out) <= MAX_CHARS
    out.encode("utf-8")
