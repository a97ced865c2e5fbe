"""Grouping by meaning: what is close joins, what is not stays apart, and two spaces are never mixed."""

from __future__ import annotations

from itertools import count
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.mention.model import Author
from monitor.sentiment.reading import Origin, Reading, ReadMention
from monitor.story import Grouper, StorySettings
from monitor.story.blob import MOST_BYTES
from monitor.story.likelihood import line
from monitor.story.settings import MeaningSettings

WIDTH = 384
NUMBERS = count()
DICE = np.random.default_rng(7)


def topic(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(WIDTH)
    return vector / np.linalg.norm(vector)


def near(centre: np.ndarray, spread: float = 0.4) -> bytes:
    noise = DICE.standard_normal(WIDTH)
    vector = centre + spread * noise / np.linalg.norm(noise)
    return (vector / np.linalg.norm(vector)).astype("<f2").tobytes()


def mention(text: str, vector: bytes | None, at: float = 0.0, model: str = "one", **given) -> ReadMention:
    name = given.pop("id", None) or f"m{next(NUMBERS)}"
    values = {"umbrella": "alba", "brands": ("alba",), "source": "bluesky", "kind": "post"} | given
    return ReadMention(
        id=name,
        published_at=at,
        observed_at=at,
        text=text,
        origin=Origin(0, 0, at),
        reading=Reading(model, None, 0.5, vector=vector),
        author=Author(handle=f"@{name}"),
        **values,
    )


@pytest.fixture
def grouper() -> Grouper:
    return Grouper("alba")


def place(grouper: Grouper, centre: np.ndarray, **given):
    words = " ".join(f"word{next(NUMBERS)}" for _ in range(3))
    return grouper.place(mention(words, near(centre), **given))


def test_other_words_of_the_same_meaning_join(grouper):
    first = place(grouper, topic(1))
    second = place(grouper, topic(1))
    other = place(grouper, topic(2))
    assert (second.story, second.how) == (first.story, "meaning")
    assert other.story != first.story


def test_brands_are_kept_apart(grouper):
    first = place(grouper, topic(1))
    assert place(grouper, topic(1), brands=("brume",)).story != first.story


def test_what_all_texts_have_in_common_does_not_melt_them(grouper):
    common = topic(3)

    def alike(seed: int) -> np.ndarray:
        centre = common + topic(seed)
        return centre / np.linalg.norm(centre)

    for i in range(400):  # the stream's own chatter, each text about something else
        place(grouper, alike(100 + i), at=float(i))
    stories: dict[int, set[str]] = {}
    for i in range(120):
        stories.setdefault(i % 6, set()).add(place(grouper, alike(10 + i % 6), at=400.0 + i).story)
    found = [{grouper.resolve(s) for s in each} for each in stories.values()]
    assert [len(each) for each in found] == [1] * 6
    assert len(set.union(*found)) == 6
    assert float(alike(10) @ alike(11)) > 0.46  # without centring this alone would join them


def test_what_one_brands_texts_have_in_common_does_not_melt_them(grouper):
    brands = {"alba-oslo": topic(5), "alba-lisbon": topic(6)}

    def said(brand: str, seed: int) -> np.ndarray:
        centre = 0.7 * brands[brand] + topic(seed)
        return centre / np.linalg.norm(centre)

    late = 0
    for i in range(400):  # the chatter of both, each text about something else
        brand = ("alba-oslo", "alba-lisbon")[i % 2]
        placed = place(grouper, said(brand, 100 + i), brands=(brand,), at=float(i))
        late += i >= 200 and placed.how == "meaning"
    assert late <= 10
    matters = [
        [place(grouper, said("alba-oslo", 10 + n), brands=("alba-oslo",)).story for _ in range(6)] for n in (0, 1)
    ]
    first, second = ({grouper.resolve(story) for story in each} for each in matters)
    assert len(first) == len(second) == 1
    assert first != second


def test_the_brands_backgrounds_are_known_again_after_a_restart(grouper):
    brands = {("alba-oslo",): topic(5), ("alba-lisbon",): topic(6)}
    for i in range(200):
        for brand, common in brands.items():
            place(grouper, common + topic(100 + i), brands=brand, at=float(i))
    other = Grouper("alba")
    other.restore([grouper.dump(story) for story in grouper.live()])
    for brand in brands:
        before, after = (each._meaning._background.of(brand) for each in (grouper, other))
        assert np.linalg.norm(after - before) < 0.2 * np.linalg.norm(before)
    oslo, lisbon = (other._meaning._background.of(brand) for brand in brands)
    assert oslo @ lisbon < 0.9 * np.linalg.norm(oslo) * np.linalg.norm(lisbon)


def test_the_brands_own_names_are_no_evidence():
    def joined(names: frozenset[str]) -> bool:
        grouper = Grouper("alba", names=names)
        for i in range(60):
            grouper.place(mention(f"word{next(NUMBERS)} of another matter", near(topic(100 + i)), at=float(i)))
        grouper.place(mention("alba shorehouse pillows", near(topic(1), 1.2)))
        return grouper.place(mention("alba shorehouse kettles", near(topic(1), 1.2))).how == "meaning"

    assert joined(frozenset())
    assert not joined(frozenset({"alba", "shorehouse"}))


def test_fragments_merge_and_the_log_says_so(grouper):
    a, b = topic(1), topic(4)
    between = (a + b) / np.linalg.norm(a + b)
    left = {place(grouper, (a + between) / np.linalg.norm(a + between)).story for _ in range(4)}.pop()
    placed = [place(grouper, (a + 2 * between) / np.linalg.norm(a + 2 * between)) for _ in range(12)]
    stories = {grouper.resolve(p.story) for p in placed} | {grouper.resolve(left)}
    assert len(stories) == 1
    assert sum(grouper.story(s).size for s in stories) == 16


def test_words_alone_work_without_embeddings(grouper):
    text = "the front desk lost our booking twice and nobody helped"
    first = grouper.place(mention(text, None))
    assert grouper.place(mention(text, None)).story == first.story


def test_embeddings_that_are_no_numbers_or_of_an_odd_length_are_passed_over(grouper):
    place(grouper, topic(1))
    for vector in (b"", b"odd", np.full(WIDTH, np.nan, "<f2").tobytes(), np.zeros(WIDTH, "<f2").tobytes()):
        assert grouper.place(mention("three words here", vector)).how == "new"


def test_two_models_are_never_mixed_and_the_new_one_takes_over(grouper):
    settings = StorySettings(meaning=MeaningSettings(switch=5))
    grouper = Grouper("alba", settings)
    text = "the front desk lost our booking twice and nobody helped"
    old = grouper.place(mention(text, near(topic(1)), model="one")).story
    strangers = [place(grouper, topic(1), model="two") for _ in range(5)]
    assert all(p.how == "new" for p in strangers)
    fresh = place(grouper, topic(1), model="two")
    assert fresh.how == "new"
    assert place(grouper, topic(1), model="two").story == fresh.story
    assert grouper.place(mention(text, near(topic(9)), model="two")).story == old


def test_a_restored_story_is_found_by_its_meaning(grouper):
    first = {place(grouper, topic(1)).story for _ in range(5)}.pop()
    blob = grouper.dump(first)
    assert len(blob) <= MOST_BYTES
    other = Grouper("alba")
    other.restore([blob])
    assert place(other, topic(1)).story == first


@pytest.mark.parametrize("what", ["nothing", "a restart", "copies"])
def test_a_storys_words_are_never_more_like_others_than_the_same(grouper, what):
    """However rarities have changed since the length of its words was reckoned."""
    text = "the front desk lost our booking twice and nobody there helped us at all"
    for i in range(40):
        place(grouper, topic(100 + i), at=float(i))
    for _ in range(13):  # from twelve on the length of its words is reckoned every now and then
        first = place(grouper, topic(1)).story
    first = grouper.place(mention(text, near(topic(1)))).story
    if what == "a restart":
        blobs = [grouper.dump(story) for story in grouper.live()]
        grouper = Grouper("alba")
        grouper.restore(blobs)
    if what == "copies":
        assert {grouper.place(mention(text, near(topic(1)))).story for _ in range(30)} == {first}
    story, meaning = grouper.story(first), grouper._meaning
    weighted = {word: story.words[word] * square for word, square in grouper.lexicon.squares(story.words).items()}
    length = sqrt(grouper.lexicon.square(story.words))
    assert meaning._alike(weighted, length, meaning._row[story.id]) == pytest.approx(1.0, rel=0.25)


def test_a_withdrawn_mention_leaves_the_mean(grouper):
    first = place(grouper, topic(1))
    gone = mention("told differently again", near(topic(1)))
    placed = grouper.place(gone)
    grouper.withdraw(placed.story, placed.share, gone)
    assert grouper.story(first.story).size == 1
    assert place(grouper, topic(1)).story == first.story


def test_copies_and_reposts_leave_the_mean_as_it_is(grouper):
    text = "the front desk lost our booking twice and nobody there helped us at all"
    first = grouper.place(mention(text, near(topic(1)), id="origin"))
    before = grouper._meaning.export(first.story)
    copies = [mention(text, near(topic(1), 3.0)) for _ in range(30)]
    copies += [mention("look at this", near(topic(2)), kind="repost") for _ in range(30)]
    placed = [grouper.place(copy, related=first.story if copy.kind == "repost" else None) for copy in copies]
    assert {p.story for p in placed} == {first.story}
    assert {p.share.copied for p in placed} == {True}
    assert grouper._meaning.export(first.story) == before
    for copy, p in zip(copies, placed, strict=True):
        grouper.withdraw(p.story, p.share, copy)
    assert grouper._meaning.export(first.story) == before
    assert grouper.story(first.story).size == 1


@given(weight=st.floats(0.3, 500.0), tight=st.floats(0.3, 1.0), kin=st.floats(0.1, 0.9))
def test_the_likelihood_ratio_of_a_mention_rises_with_its_cosine(weight, tight, kin):
    slope, offset = line(weight, (weight * tight) ** 2, kin)
    assert slope > 0.0
    assert np.isfinite(offset)


@given(n=st.floats(1.0, 200.0))
def test_the_better_a_story_is_known_the_more_is_asked_of_a_mention(n):
    """Texts of a story have the cosine .4 with each other: its sum's length follows from how many they are."""

    def ratio(weight: float, cosine: float) -> float:
        square = weight + weight * (weight - 1.0) * 0.4
        slope, offset = line(weight, square, 0.4)
        return slope * sqrt(square) * cosine + offset

    assert ratio(2.0 * n, 0.2) < ratio(n, 0.2)
    assert ratio(2.0 * n, 0.9) > ratio(n, 0.9)


def test_rows_are_bounded_and_real_stories_stay():
    grouper = Grouper("alba", StorySettings(meaning=MeaningSettings(rows=50)))
    real = {place(grouper, topic(1), at=float(i)).story for i in range(4)}.pop()
    for i in range(300):
        place(grouper, topic(1000 + i), at=10.0 + i)
    assert len(grouper._meaning) <= 50
    assert place(grouper, topic(1), at=400.0).story == real


def test_a_full_grouper_of_stories_of_several_mentions_takes_new_ones():
    grouper = Grouper("alba", StorySettings(max_stories=20))
    for i in range(60):
        story = place(grouper, topic(i), at=float(i)).story
        assert story in grouper
        assert place(grouper, topic(i), at=float(i)).story == story  # no single mention is left to go first
    assert len(grouper) == 20
    assert len(grouper._meaning) <= 20


def test_the_same_order_gives_the_same_stories():
    def run() -> list[str]:
        dice = np.random.default_rng(3)
        grouper = Grouper("alba")
        out = []
        for i in range(400):
            vector = topic(int(dice.integers(8))) + 0.05 * dice.standard_normal(WIDTH)
            text = f"matter {dice.integers(30)} of day {dice.integers(9)}"
            raw = (vector / np.linalg.norm(vector)).astype("<f2").tobytes()
            placed = grouper.place(mention(text, raw, float(i), id=f"same{i}"))
            out += [f"{m.src}>{m.into}" for m in placed.merges] + [placed.story]
        return out

    assert run() == run()
