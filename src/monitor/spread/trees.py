"""Boosted oblivious trees, grown and read with numpy alone.

Every level of a tree asks one question, so that a tree is a table of 2^depth leaves and the whole forest is read with
three array operations (Prokhorenkova et al. 2018, CatBoost; boosting after Friedman 2001). The loss is absolute, so the
forest's value is a conditional median.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BINS = 48
DEEPEST = 8
"""Questions a tree at most: a row's answers are read as one byte."""

_TREES = np.arange(1024)


class Forest(msgspec.Struct, frozen=True):
    """`base` plus one leaf of every tree.

    Attributes:
        features: which sign each level asks for, (trees, depth).
        cuts: above which value the answer is yes, (trees, depth).
        leaves: the answers' values, (trees, 2^depth).

    >>> import numpy as np
    >>> x = np.linspace(0, 1, 400).reshape(-1, 1)
    >>> forest = grow(x, np.where(x[:, 0] > 0.5, 3.0, 1.0), np.ones(400), trees=40, depth=2, rate=0.2)
    >>> round(forest.read(x[0])), round(forest.read(x[-1]))
    (1, 3)
    """

    base: float
    features: Ints
    cuts: Floats
    leaves: Floats

    def read(self, row: Floats) -> float:
        """Return the value for one row of signs."""
        yes = row.take(self.features) > self.cuts
        at = np.packbits(yes, axis=1, bitorder="little")[:, 0]
        return float(self.base + self.leaves[_TREES[: len(at)], at].sum())

    def read_all(self, rows: Floats) -> Floats:
        """Return the value for each row of (rows, signs)."""
        out = np.full(len(rows), self.base)
        weight = 1 << np.arange(self.features.shape[1])
        for features, cuts, leaves in zip(self.features, self.cuts, self.leaves, strict=True):
            out += leaves[(rows[:, features] > cuts) @ weight]
        return out


class Packed(msgspec.Struct, frozen=True):
    """A forest as it is written: single precision, row by row."""

    base: float
    depth: int
    features: bytes
    cuts: bytes
    leaves: bytes


def pack(forest: Forest) -> Packed:
    """Write a forest."""
    return Packed(
        forest.base, forest.features.shape[1], forest.features.astype("<u1").tobytes(),
        forest.cuts.astype("<f4").tobytes(), forest.leaves.astype("<f4").tobytes(),
    )  # fmt: skip


def unpack(packed: Packed) -> Forest:
    """Read what `pack` wrote."""
    depth = packed.depth
    return Forest(
        packed.base,
        np.frombuffer(packed.features, "<u1").astype(np.int64).reshape(-1, depth),
        np.frombuffer(packed.cuts, "<f4").astype(np.float64).reshape(-1, depth),
        np.frombuffer(packed.leaves, "<f4").astype(np.float64).reshape(-1, 1 << depth),
    )


def grow(
    rows: Floats,
    target: Floats,
    weights: Floats,
    *,
    trees: int = 150,
    depth: int = 5,
    rate: float = 0.08,
    part: float = 0.5,
    calm: float = 100.0,
    seed: int = 5,
    signs: Ints | None = None,
) -> Forest:
    """Fit a forest to the conditional median of `target`.

    Args:
        rows: (rows, signs), finite.
        target: one number a row.
        weights: how much each row counts.
        trees: how many to grow.
        depth: questions a tree.
        rate: the share of each tree that is kept.
        part: the share of rows and of signs that each tree looks at.
        calm: weight by which a leaf is drawn to zero.
        seed: of the choice of rows.
        signs: which columns may be asked for; all by default.
    """
    rng = np.random.default_rng(seed)
    columns = np.arange(rows.shape[1]) if signs is None else signs
    edges = [np.unique(np.quantile(rows[:, j], np.linspace(0, 1, BINS + 1)[1:-1])) for j in range(rows.shape[1])]
    binned = np.stack([np.searchsorted(e, rows[:, j], side="left") for j, e in enumerate(edges)]).astype(np.int64)
    base = weighted_median(target, weights)
    current = np.full(len(target), base)
    features = np.zeros((trees, depth), dtype=np.int64)
    cuts = np.zeros((trees, depth))
    leaves = np.zeros((trees, 1 << depth))
    for tree in range(trees):
        some = rng.random(len(target)) < part
        at = np.zeros(len(target), dtype=np.int64)
        rest = target - current
        pull = np.clip(rest / (np.median(np.abs(rest)) + 1e-9), -1.0, 1.0) * weights
        asked = rng.permutation(columns)[: max(1, int(part * len(columns)))]
        for level in range(depth):
            j, b = _question(binned[:, some], pull[some], weights[some], at[some], level, asked, calm)
            b = min(b, len(edges[j]) - 1)
            features[tree, level], cuts[tree, level] = j, edges[j][b] if len(edges[j]) else np.inf
            at |= (binned[j] > b).astype(np.int64) << level
        leaves[tree] = _leaves(rest[some], weights[some], at[some], depth, calm) * rate
        current += leaves[tree][at]
    return Forest(float(base), features, cuts, leaves)


def _question(
    binned: Ints, pull: Floats, weights: Floats, at: Ints, level: int, asked: Ints, calm: float
) -> tuple[int, int]:
    """Find the sign and bin whose split of every leaf explains most of the pull."""
    best, answer = -1.0, (int(asked[0]), 0)
    size = (1 << level) * BINS
    for j in asked:
        cell = at * BINS + binned[j]
        g = np.bincount(cell, pull, size).reshape(-1, BINS).cumsum(axis=1)
        w = np.bincount(cell, weights, size).reshape(-1, BINS).cumsum(axis=1)
        right_g, right_w = g[:, -1:] - g, w[:, -1:] - w
        gain = (g**2 / (w + calm) + right_g**2 / (right_w + calm)).sum(axis=0)[:-1]
        b = int(np.argmax(gain))
        if gain[b] > best:
            best, answer = float(gain[b]), (int(j), b)
    return answer


def _leaves(rest: Floats, weights: Floats, at: Ints, depth: int, calm: float) -> Floats:
    """The weighted median of what is left to explain in each leaf, drawn to zero where there is little."""
    out = np.zeros(1 << depth)
    order = np.lexsort((rest, at))
    rest, weights, at = rest[order], weights[order], at[order]
    starts = np.searchsorted(at, np.arange((1 << depth) + 1))
    for leaf, (a, b) in enumerate(pairwise(starts)):
        if b > a:
            total = np.cumsum(weights[a:b])
            middle = rest[a + min(int(np.searchsorted(total, total[-1] / 2.0)), b - a - 1)]
            out[leaf] = middle * total[-1] / (total[-1] + calm)
    return out


def weighted_median(values: Floats, weights: Floats) -> float:
    """Return the value that half the weight lies below."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, total[-1] / 2.0)), len(values) - 1)])
