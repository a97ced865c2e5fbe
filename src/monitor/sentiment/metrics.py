"""How good readings are, in numpy alone: macro-F1, macro-recall, AUC, calibration error and its sampling floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 10


def confusion(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return counts (classes, classes): rows are the truth."""
    table: NDArray[np.int64] = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, said), 1)
    return table


def macro_f1(table: NDArray[np.int64]) -> float:
    """Return the mean F1 over the classes that occur in the truth or were said.

    >>> macro_f1(np.array([[8, 2], [1, 9]]))
    0.8496
    """
    hits = np.diag(table).astype(float)
    both = table.sum(0) + table.sum(1)
    seen = both > 0
    return round(float((2 * hits[seen] / both[seen]).mean()), 4)


def macro_recall(table: NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur in the truth.

    >>> macro_recall(np.array([[8, 2], [1, 9]]))
    0.85
    """
    seen = table.sum(1) > 0
    return round(float((np.diag(table)[seen] / table.sum(1)[seen]).mean()), 4)


def auc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative (ties count half).

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    positive = truth.astype(bool)
    many, few = int(positive.sum()), int((~positive).sum())
    if not many or not few:
        return float("nan")
    return round(float((ranks[positive].sum() - many * (many + 1) / 2) / (many * few)), 4)


def calibration_error(sure: NDArray[Any], right: NDArray[Any], bins: int = BINS) -> float:
    """Return the expected calibration error (Guo et al. 2017): mean gap of confidence and accuracy over equal bins.

    Args:
        sure: the confidence of each answer, 0 to 1.
        right: whether it was right.
        bins: of equal width.

    >>> calibration_error(np.array([0.9] * 10), np.array([1] * 9 + [0]))
    0.0
    """
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights=sure, minlength=bins) - np.bincount(place, weights=right, minlength=bins)
    return round(float(np.abs(gap).sum() / max(len(sure), 1)), 4)


def calibration_floor(sure: NDArray[Any], bins: int = BINS, rounds: int = 200, seed: int = 0) -> float:
    """Return the calibration error that perfectly calibrated answers would show by chance, on this many rows.

    >>> 0.01 < calibration_floor(np.full(620, 0.7)) < 0.02
    True
    """
    dice = np.random.default_rng(seed)
    found = [calibration_error(sure, dice.random(len(sure)) < sure, bins) for _ in range(rounds)]
    return round(float(np.mean(found)), 4)
