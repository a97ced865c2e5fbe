"""The memory kernel: how long after a mention its readers answer, as a sum of exponentials.

A power law (Zhao et al. 2015, SEISMIC: flat for five minutes, then falling with exponent 1.242) needs every past event
at every evaluation. Written as a sum of exponentials it needs one decayed sum per time constant, so that a mention
costs the same whatever the story's age (Mishra, Rizoiu, Xie 2016; Hawkes and Oakes 1974 for the branching view).
"""

from __future__ import annotations

from math import exp

SCALES: tuple[float, ...] = (60.0, 300.0, 1200.0, 3600.0, 14400.0, 86400.0)
"""Time constants in seconds, of the decayed counts and of the kernel alike."""

MASSES: tuple[float, ...] = (0.10, 0.27, 0.22, 0.17, 0.13, 0.11)
"""The share of a mention's answers that each exponential carries; they sum to 1."""


def unspent(exposures: tuple[float, ...]) -> float:
    """Return the exposure whose answers are still to come.

    Args:
        exposures: one sum of exposures per scale, each decayed with that scale.

    >>> unspent((1.0,) * 6)  # a mention of exposure 1, just now
    1.0
    >>> round(unspent(tuple(exp(-3600 / s) for s in SCALES)), 2)  # an hour later
    0.28
    """
    return sum(m * e for m, e in zip(MASSES, exposures, strict=True))


def intensity(exposures: tuple[float, ...]) -> float:
    """Return the rate (a second) of answers that the exposures cause now, at a reproduction number of one.

    >>> fresh, old = (1.0,) * 6, tuple(exp(-3600 / s) for s in SCALES)  # a mention just now, and one an hour ago
    >>> round(60 * intensity(fresh), 3), round(60 * intensity(old), 4)  # answers a minute
    (0.168, 0.0021)
    """
    return sum(m / s * e for m, s, e in zip(MASSES, SCALES, exposures, strict=True))


def caused(exposures: tuple[float, ...], scale: int) -> float:
    """Return the answers that a reproduction number of one would have caused, decayed with scale number `scale`.

    It is the integral of `intensity` over the past, weighted by exp(-age / tau): the denominator of a maximum
    likelihood infectiousness with an exponential window in the place of SEISMIC's triangle. For two exponentials the
    convolution is in closed form; where both time constants are the same, its limit is taken from the neighbours.

    >>> old = tuple(exp(-3600 / s) for s in SCALES)  # a mention of exposure 1, an hour ago
    >>> round(caused(old, 5), 1), round(caused(old, 0), 3)  # 1 - unspent, for what a day remembers; of the last minute
    (0.7, 0.002)
    """
    tau = SCALES[scale]
    total = 0.0
    for j, (mass, theta) in enumerate(zip(MASSES, SCALES, strict=True)):
        if j == scale:
            around = [k for k in (j - 1, j + 1) if 0 <= k < len(SCALES)]
            total += (
                mass * sum(_pair(exposures[scale], exposures[k], tau, SCALES[k], theta) for k in around) / len(around)
            )
        else:
            total += mass * _pair(exposures[scale], exposures[j], tau, theta, theta)
    return max(total, 0.0)


def _pair(slow: float, fast: float, tau: float, theta: float, unit: float) -> float:
    """Integrate exp(-(t-s)/tau) * exp(-s/theta) / unit over s, given both decayed sums."""
    return (slow - fast) / (unit * (1.0 / theta - 1.0 / tau))


def decays(seconds: float) -> tuple[float, ...]:
    """Return exp(-seconds / scale) for every scale; `seconds` is not negative."""
    return tuple(exp(-seconds / s) for s in SCALES)
