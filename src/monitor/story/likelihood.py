"""The log-likelihood ratios by which stories are told apart, and what they are reckoned from.

Mentions lie about their story, and stories about the stream's mean, as normal distributions (probabilistic linear
discriminant analysis: Ioffe 2006; Prince and Elder 2007). `kin` is the part of an embedding's variance that is its
story's. All ratios are those of one dimension.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]

HALF = np.dtype("<f2")
SORTED = 4
"""Up to so many times as many as are wanted, sorting all of them is as quick as picking first."""


@lru_cache(maxsize=512)  # as many as are read ahead of placing
def unit(vector: bytes) -> Vector | None:
    """Return an embedding (float16 bytes) with length 1, not to be written to; None if it has no length."""
    if len(vector) % 2:
        return None
    raw: Vector = np.frombuffer(vector, HALF).astype(np.float32)
    length = sqrt(raw.dot(raw))
    if not 0.0 < length < inf:
        return None
    raw /= length
    raw.setflags(write=False)
    return raw


def largest(values: Vector, k: int) -> NDArray[np.intp]:
    """Return the places of the `k` largest, the largest first, of equal ones the one that stands first."""
    if len(values) <= SORTED * k:
        places: NDArray[np.intp] = (-values).argsort(kind="stable")[:k]
        return places
    rest = len(values) - k
    large = (values >= np.partition(values, rest)[rest]).nonzero()[0]
    places = large.take((-values.take(large)).argsort(kind="stable"))
    return places[:k]


def line(weight: float, square: float, kin: float) -> tuple[float, float]:
    """Return (slope, offset): a mention's log-likelihood ratio a dimension is slope * (its embedding . sum) + offset.

    A story of `weight` mentions whose sum has the squared length `square` is believed to lie at `belief` times its sum,
    and a mention of it about there with the variance `together`; one of another about the origin, with variance 1.

    >>> slope, offset = line(1.0, 1.0, 0.4)
    >>> round(slope * 1.0 + offset, 2), round(slope * 0.5 + offset, 2), round(offset, 2)
    (0.37, 0.13, -0.1)
    """
    belief = kin / (weight * kin + 1.0 - kin)
    together = (1.0 - kin) * (1.0 + belief)
    offset = 0.5 * (1.0 - log(together) - (1.0 + square * belief * belief) / together)
    return belief / together, offset


def same_matter(
    weight: float, other: float, tight: float, other_tight: float, product: float, *, kin: float, known: float
) -> float:
    """Return how much likelier two stories' means are if they are about one matter than about two.

    `weight` is how many mentions a story has, `tight` the length of its mean, `product` the inner product of the two
    sums. A story is not taken to be known better than `known` mentions would tell: it has sides, and it drifts.

    >>> round(same_matter(4.0, 4.0, 0.7, 0.7, 7.0, kin=0.4, known=8.0), 2)
    0.48
    >>> round(same_matter(4.0, 4.0, 0.7, 0.7, 1.0, kin=0.4, known=8.0), 2)
    -0.17
    """
    n, other_n = weight / (1.0 + weight / known), other / (1.0 + other / known)
    belief = kin / (n * kin + 1.0 - kin)
    apart = kin + (1.0 - kin) / other_n
    together = (1.0 - kin) * (belief + 1.0 / other_n)
    length = other_tight * other_tight
    expected = n * belief
    distance = length - 2.0 * expected * product / (weight * other) + (expected * tight) ** 2
    return 0.5 * (log(apart / together) + length / apart - distance / together)
