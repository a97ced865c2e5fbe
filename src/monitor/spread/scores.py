"""How far a count or a share stands above what is ordinary, in standard deviations."""

from __future__ import annotations

from math import asinh, log, sqrt

BITS = 4096
"""Bits of one bin's map of voices."""

SHARE_DISPERSION = 0.01
"""Overdispersion of the share of complaints (beta-binomial)."""


def score(observed: float, expected: float, dispersion: float) -> float:
    """Return how far `observed` stands above `expected`, in standard deviations of a negative binomial.

    The variance-stabilising transformation (Anscombe 1948), smooth and finite whatever the counts.

    Args:
        observed: a count, not negative.
        expected: what is ordinary, not negative.
        dispersion: the variance is the mean plus this times its square.

    >>> round(score(100.0, 100.0, 0.1), 1), score(400.0, 100.0, 0.1) > 3
    (0.0, True)
    """
    above = asinh(sqrt(dispersion * (observed + 0.375))) - asinh(sqrt(dispersion * (expected + 0.375)))
    return 2.0 / sqrt(dispersion) * above


def excess_share(observed: float, total: float, share: float) -> float:
    """Return how far `observed` of `total` stands above the ordinary `share`, in standard deviations (beta-binomial).

    >>> round(excess_share(35.0, 100.0, 0.35), 1), excess_share(60.0, 100.0, 0.35) > 2.5
    (0.0, True)
    """
    ordinary = total * share
    return (observed - ordinary) / sqrt(ordinary * (1.0 - share) * (1.0 + SHARE_DISPERSION * total) + 1.0)


def voices_of(bits: int) -> float:
    """Return how many voices a bitmap stands for (linear counting; Whang et al. 1990).

    >>> round(voices_of(0b1011), 2)
    3.0
    """
    unset = BITS - bits.bit_count()
    return BITS * log(BITS / max(unset, 1))
