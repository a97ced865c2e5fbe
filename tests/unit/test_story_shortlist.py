"""The short form of the stories: who may be the likeliest."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.story.lexicon import Lexicon
from monitor.story.meaning import DIRECT, Meaning
from monitor.story.settings import MeaningSettings
from monitor.story.shortlist import OUTDATED, SHORT, Shortlist
from monitor.story.story import Story

WIDTH, STORIES = 200, 1_500


@pytest.fixture
def sums() -> np.ndarray:
    """Stories that differ in some directions more than in others, as embeddings do."""
    dice = np.random.default_rng(3)
    drawn = dice.standard_normal((STORIES, WIDTH)) * np.geomspace(1.0, 0.05, WIDTH)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_the_likeliest_is_among_those_picked(sums: np.ndarray) -> None:
    dice = np.random.default_rng(4)
    slopes = dice.uniform(0.2, 0.6, STORIES).astype(np.float32)
    offsets = dice.uniform(-0.4, -0.1, STORIES).astype(np.float32)
    shortlist = Shortlist(WIDTH, STORIES, DIRECT)
    assert shortlist.shorten(sums[0]) is None
    shortlist.turn(sums, slopes, 0)
    missed = 0
    for row in range(0, STORIES, 5):
        x = sums[row] + 0.05 * dice.standard_normal(WIDTH).astype(np.float32)
        short = shortlist.shorten(x)
        assert short is not None
        picked = shortlist.pick(short, slopes, offsets, 48)
        assert len(set(picked.tolist())) == 48
        assert (np.diff(picked) > 0).all()
        missed += int(np.argmax(sums.dot(x) * slopes + offsets)) not in picked
    assert missed <= 3


def test_inner_products_are_as_large_as_in_full(sums: np.ndarray) -> None:
    shortlist = Shortlist(WIDTH, STORIES, DIRECT)
    shortlist.turn(sums, np.ones(STORIES, np.float32), 0)
    short = np.array([shortlist.shorten(x) for x in sums[:300]])
    assert np.mean(np.einsum("ij,ij->i", short, shortlist.lines[:300])) == pytest.approx(1.0, abs=0.05)


def test_the_components_are_found_again_when_stories_or_changes_are_many(sums: np.ndarray) -> None:
    shortlist = Shortlist(WIDTH, STORIES, DIRECT)
    assert not shortlist.is_due(DIRECT, 10 * OUTDATED)
    assert shortlist.is_due(DIRECT + 1, 0)
    shortlist.turn(sums[:600], np.ones(600, np.float32), 100)
    assert not shortlist.is_due(1_200, 100 + OUTDATED)
    assert shortlist.is_due(1_201, 100)
    assert shortlist.is_due(600, 101 + OUTDATED)


def test_narrow_embeddings_lose_nothing() -> None:
    sums = np.random.default_rng(5).standard_normal((600, 8)).astype(np.float32)
    shortlist = Shortlist(8, 600, DIRECT)
    shortlist.turn(sums, np.ones(600, np.float32), 0)
    short = shortlist.shorten(sums[7])
    assert short is not None
    assert len(short) == 8 < SHORT
    assert shortlist.lines.dot(short) == pytest.approx(sums.dot(sums[7]), abs=1e-3)


def test_the_short_form_follows_every_change(sums: np.ndarray) -> None:
    """Mentions join, stories merge and leave: what is added up bit by bit is what the sums give."""
    dice = np.random.default_rng(6)
    lexicon = Lexicon()
    meaning = Meaning("u", lexicon, MeaningSettings())
    assert meaning.read("m", sums[0].astype("<f2").tobytes()) is not None
    stories = [Story(f"s{number}", "u", 0.0, lexicon) for number in range(900)]
    for number in range(4_000):
        picked = number if number < len(stories) else int(dice.integers(len(stories)))
        story, x = stories[picked], sums[picked] + 0.03 * dice.standard_normal(WIDTH).astype(np.float32)
        meaning.find(x, (), lambda _: True)
        meaning.learn(story, x, x, (), 0.3 if number % 7 == 0 else 1.0)
        if number > 2_000 and number % 50 == 0:
            src, into = stories.pop(), stories[0]
            meaning.merge(src, into)
            meaning.drop(stories.pop().id)
    components = meaning._shortlist._components
    assert components is not None
    n = len(meaning)
    wanted = meaning._sum[:n].dot(components)
    assert np.abs(meaning._shortlist.lines[:n] - wanted).max() < 1e-4
