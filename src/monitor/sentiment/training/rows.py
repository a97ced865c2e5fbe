"""The labelled sets as rows of one multi-task training set.

Only sets whose terms allow shipped weights are read here (the data's README, last column); the others measure only.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SENTIMENT: Final = ("negative", "neutral", "positive")
EMOTIONS: Final = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
FEEL: Final = {
    "negative": {
        "anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief",
        "nervousness", "remorse", "sadness",
    },
    "positive": {
        "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "joy", "love", "optimism",
        "pride", "relief",
    },
    "neutral": {"neutral"},
}  # fmt: skip
AUX: Final = {
    "emotion": ("anger", "joy", "optimism", "sadness"),
    "irony": ("non_irony", "irony"),
    "offensive": ("not_offensive", "offensive"),
    "hate": ("not_hate", "hate"),
}


class Head(NamedTuple):
    """One task: its classes, and whether they exclude each other (softmax) or not (one sigmoid each)."""

    classes: int
    exclusive: bool


HEADS: Final = {
    "sentiment": Head(3, exclusive=True),
    "complaint": Head(1, exclusive=False),
    "feelings": Head(len(EMOTIONS), exclusive=False),
    **{task: Head(len(classes), exclusive=True) for task, classes in AUX.items()},
}
"""Every head that is trained; only the first two are shipped."""


class Soft(NamedTuple):
    """What a teacher says of a text, as logits; `place`: the line of the table of what the teacher saw, or -1."""

    sentiment: tuple[float, float, float]
    complaint: float
    place: int = -1


class Row(NamedTuple):
    """One text with the labels it has: per head its class (exclusive heads) or its classes (the others).

    `weight` is how much its sentiment counts, for some sets label it more loosely than others; `soft` is what a teacher
    says of it.
    """

    text: str
    labels: dict[str, tuple[int, ...]]
    source: str
    weight: float = 1.0
    soft: Soft | None = None


SHARE: Final = MappingProxyType(
    {
        "goemotions": 0.3,
        "offensive": 0.4,
        "hate": 0.25,
        "irony": 0.7,
        "complaints": 4.0,
    }
)
"""How often a set's rows are seen in one epoch, where not once; a share is another sample in each epoch."""
TAUGHT_SHARE: Final = MappingProxyType(
    {
        "tweeteval": 0.6,
        "sxsw": 0.7,
        "goemotions": 0.1,
        "offensive": 0.4,
        "hate": 0.15,
        "irony": 0.6,
        "emotion": 0.6,
        "complaints": 3.0,
        "written": 1.5,
    }
)
"""The same where a teacher helps."""
TOLD_SHARE: Final = MappingProxyType(
    {
        "complaints": 3.0,
        "written": 1.5,
    }
)
"""The same in the third training, of the rows that are drawn for it."""


def load(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of one gzipped JSON-lines file below the data folder."""
    with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _goemotions(folder: Path, split: str) -> Iterator[Row]:
    for item in load(folder, "goemotions/goemotions.jsonl.gz"):
        if item["split"] != split:
            continue
        emotions = set(item["emotions"])
        labels = {"feelings": tuple(index for index, name in enumerate(EMOTIONS) if name in emotions)}
        sides = [side for side, names in FEEL.items() if emotions <= names]
        if len(sides) == 1:
            labels["sentiment"] = (SENTIMENT.index(sides[0]),)
        yield Row(item["text"], labels, "goemotions", 0.4)


def _sentiment(folder: Path, name: str, split: str, source: str, weight: float = 1.0) -> Iterator[Row]:
    for item in load(folder, name):
        known = item["split"] == split and item["sentiment"] in SENTIMENT
        if known and item.get("lang", "english") == "english":
            yield Row(item["text"], {"sentiment": (SENTIMENT.index(item["sentiment"]),)}, source, weight)


def rows(folder: Path, split: str) -> list[Row]:
    """Return the rows of one split ("train" or "dev") of every set that may train shipped weights."""
    out = list(_sentiment(folder, "tweeteval_sentiment/sentiment.jsonl.gz", split, "tweeteval"))
    out += _sentiment(folder, "xlmt_multilingual/sentiment.jsonl.gz", split, "xlmt")
    out += _sentiment(folder, "brand_apple2014/apple.jsonl.gz", split, "apple")
    out += _sentiment(folder, "brand_sanders2011/sanders.jsonl.gz", split, "sanders")
    out += _sentiment(folder, "brand_sxsw2011/brands.jsonl.gz", split, "sxsw", 0.7)
    out += _sentiment(folder, "reviews_uci/reviews.jsonl.gz", split, "reviews", 0.5)
    out += _goemotions(folder, split)
    for item in load(folder, "complaints_acl19/complaints.jsonl.gz"):
        if item["split"] == split:
            out.append(Row(item["text"], {"complaint": (0,) if item["complaint"] else ()}, "complaints"))
    for task, classes in AUX.items():
        out += (
            Row(item["text"], {task: (classes.index(item["label"]),)}, task)
            for item in load(folder, f"tweeteval_aux/{task}.jsonl.gz")
            if item["split"] == split
        )
    return out


WRITTEN: Final = Path(__file__).with_name("written.txt")
"""Posts about companies, written for this project: `- c|text` (negative, a complaint), `0 n|text`, `+ n|text`."""
WRITTEN_WEIGHT: Final = 1.5
"""How much a written post's sentiment counts."""
UNSURE: Final = "0 c"
"""A complaint said to be neutral: a crowd may well call it negative, so only the complaint is learnt from it."""
HELD_OUT: Final = 10
"""Every so manieth written post is held out."""


def written(split: str, path: Path = WRITTEN) -> list[Row]:
    """Return the posts of one split ("train" or "dev") that were written for training."""
    out: list[Row] = []
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        marks, text = line.split("|", 1)
        side, complaint = marks.split()
        if (place % HELD_OUT == HELD_OUT - 1) == (split == "dev"):
            labels: dict[str, tuple[int, ...]] = {"sentiment": ("-0+".index(side),), "complaint": ()}
            if complaint == "c":
                labels["complaint"] = (0,)
            out.append(Row(text, labels, "written", 0.0 if marks == UNSURE else WRITTEN_WEIGHT))
    return out


def epoch(pool: list[Row], seed: int, shares: Mapping[str, float] = SHARE) -> list[Row]:
    """Return what one epoch sees of `pool`: each set as often as `shares` says, in an order made from `seed`."""
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    out: list[Row] = []
    by_source: dict[str, list[Row]] = {}
    for row in pool:
        by_source.setdefault(row.source, []).append(row)
    for source, mine in by_source.items():
        whole, part = divmod(shares.get(source, 1.0), 1.0)
        out += mine * int(whole) + dice.sample(mine, round(part * len(mine)))
    dice.shuffle(out)
    return out
