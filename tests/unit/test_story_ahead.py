"""Reading ahead saves time and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.sentiment.reading import Origin, Reading, ReadMention
from monitor.story import AHEAD, Grouper, read_ahead
from monitor.story.likelihood import unit

WIDTH = 32


@pytest.fixture
def mentions() -> list[ReadMention]:
    dice = np.random.default_rng(11)
    centres = dice.standard_normal((12, WIDTH))
    found = []
    for number in range(400):
        topic = int(dice.integers(12))
        vector = centres[topic] + 0.6 * dice.standard_normal(WIDTH)
        words = " ".join(f"w{topic}{int(dice.integers(9))}" for _ in range(6))
        reading = Reading("m", None, 0.5, vector=(vector / np.linalg.norm(vector)).astype("<f2").tobytes())
        texts = (words, "", "win a free trip! follow & retweet", words.upper())
        found.append(
            ReadMention(
                "alba", ("alba",), f"m{number}", "bluesky", "post", float(number), float(number), texts[number % 4],
                Origin(0, 0, 0.0), reading if number % 5 else None,
            )
        )  # fmt: skip
    return found


@pytest.mark.parametrize("at_once", [1, 7, AHEAD])
def test_what_was_read_ahead_is_placed_no_differently(mentions, at_once):
    plain, ahead = Grouper("alba"), Grouper("alba")
    wanted = [plain.place(m) for m in mentions]
    found = []
    for first in range(0, len(mentions), at_once):
        batch = mentions[first : first + at_once]
        read_ahead((m.text, m.reading.vector if m.reading else None) for m in batch)
        found += [ahead.place(m) for m in batch]
    assert found == wanted


def test_bad_embeddings_are_passed_over():
    read_ahead([("a text", b""), ("a text", b"odd"), ("", None), ("a text", np.zeros(4, "<f2").tobytes())])
    assert unit(np.full(4, np.nan, "<f2").tobytes()) is None
    assert unit(np.zeros(4, "<f2").tobytes()) is None
    length_one = unit(np.array([3.0, 4.0], "<f2").tobytes())
    assert length_one is not None
    assert length_one.tolist() == pytest.approx([0.6, 0.8])
    with pytest.raises(ValueError, match="read-only"):
        length_one += 1.0
