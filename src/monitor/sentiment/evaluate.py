"""`monitor model evaluate`: how right, fair and calibrated a scorer's readings are, on the public parts of each set."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct

from monitor.sentiment.metrics import (
    auc,
    calibration_error,
    calibration_floor,
    confusion,
    macro_f1,
    macro_recall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer

LABELS: Final = ("negative", "neutral", "positive")
EASY: Final = {"random_tweet", "random_reply"}


class Figure(Struct, frozen=True):
    """One figure of the table: on which set, what it measures, its value; `floor`: what chance alone would show."""

    data: str
    measure: str
    value: float
    rows: int
    floor: float | None = None


def objects(data: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of one gzipped JSON-lines file below `data`."""
    with gzip.open(data / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


class _Set(Struct, frozen=True):
    name: str
    file: str
    keep: Callable[[dict[str, Any]], bool]


_TWEETEVAL: Final = "tweeteval_sentiment/sentiment.jsonl.gz"
_SENTIMENT: Final = (
    _Set("SemEval 2016 dev (TweetEval dev)", _TWEETEVAL, lambda row: row["split"] == "dev"),
    _Set("SemEval 2015 test, 2014 sarcasm", _TWEETEVAL, lambda row: row["split"] == "test_public"),
    _Set(
        "XLM-T English dev",
        "xlmt_multilingual/sentiment.jsonl.gz",
        lambda row: row["split"] == "dev" and row["lang"] == "english",
    ),
    _Set("Apple 2014", "brand_apple2014/apple.jsonl.gz", lambda row: row["split"] == "test_public"),
    _Set("Sanders 2011", "brand_sanders2011/sanders.jsonl.gz", lambda row: row["split"] == "test_public"),
    _Set("SXSW 2011", "brand_sxsw2011/brands.jsonl.gz", lambda row: row["split"] == "test_public"),
)


def shares(readings: list[Reading]) -> NDArray[np.float64]:
    """Return (n, 3) probabilities; what was not read counts as surely neutral: leaving texts unread earns nothing."""
    return np.array(
        [
            (one.sentiment.negative, one.sentiment.neutral, one.sentiment.positive)
            if one.sentiment
            else (0.0, 1.0, 0.0)
            for one in readings
        ]
    )


def _sentiment_figures(name: str, found: NDArray[np.float64], truth: NDArray[np.int64]) -> Iterator[Figure]:
    said = found.argmax(axis=1)
    table = confusion(truth, said, 3)
    sure, rows = found.max(axis=1), len(truth)
    yield Figure(name, "macro-recall", macro_recall(table), rows)
    yield Figure(name, "macro-F1", macro_f1(table), rows)
    yield Figure(name, "calibration error", calibration_error(sure, said == truth), rows, calibration_floor(sure))


def sentiment(scorer: Scorer, data: Path) -> Iterator[Figure]:
    """Yield the figures of the sets with three classes that the packaged weights' training sets also come from."""
    for one in _SENTIMENT:
        rows = [row for row in objects(data, one.file) if one.keep(row) and row["sentiment"] in LABELS]
        truth = np.array([LABELS.index(row["sentiment"]) for row in rows])
        yield from _sentiment_figures(one.name, shares(scorer.read([row["text"] for row in rows])), truth)


def airlines(scorer: Scorer, data: Path) -> Iterator[Figure]:
    """Yield the figures of the airline stream, brand by brand: nothing of it is trained on, so all of it is asked."""
    by_brand: dict[str, list[dict[str, Any]]] = {}
    for row in objects(data, "airline_stream/stream.jsonl.gz"):
        by_brand.setdefault(row["brand"], []).append(row)
    for brand, rows in sorted(by_brand.items()):
        readings = scorer.read([row["text"] for row in rows])
        truth = np.array([LABELS.index(row["label"]["sentiment"]) for row in rows])
        yield from _sentiment_figures(brand, shares(readings), truth)
        risk = np.array([one.complaint or 0.0 for one in readings])
        yield Figure(brand, "complaint: AUC against negative", auc(truth == 0, risk), len(rows))


def complaints(scorer: Scorer, data: Path) -> Iterator[Figure]:
    """Yield the figures of the complaint set's public test, with and without its easy rows."""
    rows = [row for row in objects(data, "complaints_acl19/complaints.jsonl.gz") if row["split"] == "test_public"]
    risk = np.array([one.complaint or 0.0 for one in scorer.read([row["text"] for row in rows])])
    truth = np.array([row["complaint"] for row in rows])
    hard = np.array([row["domain"] not in EASY for row in rows])
    for name, part in (("complaints", np.ones(len(rows), bool)), ("complaints, hard rows only", hard)):
        said = (risk[part] >= 0.5).astype(int)  # noqa: PLR2004 -- the measure's threshold
        yield Figure(name, "macro-F1 at .5", macro_f1(confusion(truth[part], said, 2)), int(part.sum()))
        yield Figure(name, "AUC", auc(truth[part], risk[part]), int(part.sum()))
    sure = np.maximum(risk, 1 - risk)
    right = (risk >= 0.5) == (truth == 1)  # noqa: PLR2004 -- the same
    yield Figure("complaints", "calibration error", calibration_error(sure, right), len(rows), calibration_floor(sure))


def irony(scorer: Scorer, data: Path) -> Iterator[Figure]:
    """Yield how often ironic tweets are read as positive, beside plain ones: irony is a known weakness."""
    rows = [row for row in objects(data, "tweeteval_aux/irony.jsonl.gz") if row["split"] == "test_public"]
    said = shares(scorer.read([row["text"] for row in rows])).argmax(axis=1)
    glad = said == LABELS.index("positive")
    for label in ("irony", "non_irony"):
        part = np.array([row["label"] == label for row in rows])
        yield Figure(
            f"irony set, {label}", "share read as positive", round(float(glad[part].mean()), 4), int(part.sum())
        )


CAUSES: Final = {
    "Late Flight": "late_flight",
    "Cancelled Flight": "cancelled_flight",
    "Lost Luggage": "lost_luggage",
    "Damaged Luggage": "damaged_luggage",
    "Bad Flight": "bad_flight",
    "Flight Booking Problems": "booking_problem",
    "Customer Service Issue": "customer_service",
    "Flight Attendant Complaints": "attendant",
    "longlines": "long_lines",
}
"""The airline set's causes, but for "Can't Tell", as the ids of the travel tree."""


def causes(scorer: Scorer, data: Path) -> Iterator[Figure]:
    """Yield how often the cause is right on the airline set: by forced choice, how often it dares, how right then."""
    rows = [row for row in objects(data, "airline_stream/stream.jsonl.gz") if row["label"]["cause"] in CAUSES]
    told = [one.cause for one in scorer.read([row["text"] for row in rows])]
    right = np.array(
        [
            cause is not None and cause.best == CAUSES[row["label"]["cause"]]
            for cause, row in zip(told, rows, strict=True)
        ]
    )
    dared = np.array([cause is not None and cause.id == cause.best for cause in told])
    name = "airline causes"
    yield Figure(name, "accuracy, forced choice", round(float(right.mean()), 4), len(rows))
    yield Figure(name, "share that is named", round(float(dared.mean()), 4), len(rows))
    if dared.any():
        yield Figure(name, "accuracy where named", round(float(right[dared].mean()), 4), int(dared.sum()))


PARTS: Final = (sentiment, airlines, complaints, causes, irony)


def evaluate(scorer: Scorer, data: Path) -> Iterator[Figure]:
    """Yield every figure that the sets below `data` allow, set by set."""
    for part in PARTS:
        yield from part(scorer, data)
