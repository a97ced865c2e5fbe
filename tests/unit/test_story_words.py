"""Taking texts apart, and telling promotion from complaint."""

from __future__ import annotations

import pytest

from monitor.story.promo import promo_kind
from monitor.story.words import shorten, take_apart


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("RT to win two nights at Alba!", "giveaway"),
        ("GIVEAWAY time, tell a friend", "giveaway"),
        ("Follow and retweet for the chance to win a pair of tickets", "giveaway"),
        ("We're hiring! Night porter in Lyon", "job"),
        ("Apply now for the position of pilot", "job"),
        ("Use my promo code ALBA20", "spam"),
        ("You never win against their hotline", None),
        ("I follow your updates and they are late again", None),
        ("Refund my ticket or I will share this story", None),
        ("The job your crew did was awful", None),
        ("they should give away free coffee after this delay", "giveaway"),
    ],
)
def test_promotion(text, kind):
    assert promo_kind(text) == kind


@pytest.mark.parametrize("text", ["", " ", "\u200b", "😡😡😡", "@alba", "https://t.example/abcdef", "!!! ???"])
def test_texts_without_words(text):
    assert take_apart(text).words == ()


@pytest.mark.parametrize(
    "text",
    [
        "航空会社が私の荷物をまた失くした",
        "여행 가방을 또 잃어버렸어요 정말",
        "กระเป๋าเดินทางหายอีกแล้ว",
        "رحلتي تأخرت خمس ساعات بدون تفسير",
        "мой рейс снова отменили без объяснения",
    ],
)
def test_scripts_of_all_kinds_have_content(text):
    assert len(take_apart(text).content) >= 4


def test_case_marks_handles_and_links_make_no_other_text():
    one = take_apart("RT @a: Hotel LOST my bag, again! https://x.example/1234")
    two = take_apart("hotel lost my bag again @alba")
    assert one.fingerprint == two.fingerprint


def test_shortening_never_exceeds_its_limit():
    assert all(len(shorten("a" * n + " " + "b" * 9, 10)) <= 10 for n in range(30))
