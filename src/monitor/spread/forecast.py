"""The forecast: a learned layer over the point process, as Mishra, Rizoiu and Xie (2016) recommend.

The voices still to come are log-normal; both parameters are linear in the signs of the story, fitted by ridge
regression on public cascades.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import erf, exp, log, sqrt
from statistics import NormalDist

import msgspec

from monitor.spread.signs import NAMES, Signs
from monitor.spread.types import Forecast, ViralLine

TAIL = 0.242
"""The exponent of the memory kernel's tail (Zhao et al. 2015), which shapes when the rest arrives."""

NEVER = 1e-6
"""Below this probability of crossing, no time until the crossing is given."""

MOST = 1e9
"""No forecast goes beyond this many voices."""


class Forecaster(msgspec.Struct, frozen=True):
    """The coefficients, standardised: one per name, the intercept first."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    mu: tuple[float, ...]
    log_sigma: tuple[float, ...]

    @staticmethod
    def default() -> Forecaster:
        """Return the packaged forecaster."""
        return _packaged()

    def predict(self, seen: Signs, line: ViralLine, excess: float = 1.0) -> Forecast:
        """Forecast the final number of voices, and the crossing of `line`.

        `excess` is the share of the present rate that is more than ordinary chatter: only that spreads.

        Monotone by construction: quantiles are ordered, none is below what is already seen, and `p_viral` falls with
        the line and is 1 once it is crossed.
        """
        mu, sigma = self._parameters(seen)
        mu += log(min(max(excess, 0.02), 1.0))
        n = seen.voices
        low, mid, high = (min(MOST, n + max(0.0, exp(mu + z * sigma) - 1.0)) for z in (-1.2816, 0.0, 1.2816))
        gap = line.size - n
        if gap <= 0:
            return Forecast(low, mid, high, 1.0, 0.0)
        p = 0.5 - 0.5 * erf((log(gap + 1.0) - mu) / (sigma * sqrt(2.0)))
        return Forecast(low, mid, high, p, self._minutes(seen, mu, sigma, gap, p))

    def _parameters(self, seen: Signs) -> tuple[float, float]:
        at = _positions(self.names)
        z = [max(-6.0, min(6.0, (seen.row[i] - m) / s)) for i, m, s in zip(at, self.mean, self.sd, strict=True)]
        mu = self.mu[0] + sum(a * b for a, b in zip(self.mu[1:], z, strict=True))
        spread = self.log_sigma[0] + sum(a * b for a, b in zip(self.log_sigma[1:], z, strict=True))
        return min(max(mu, -2.0), 16.0), exp(min(max(spread, -2.0), 1.0))

    def _minutes(self, seen: Signs, mu: float, sigma: float, gap: float, p: float) -> float | None:
        """Median minutes until `gap` more voices have come, given that they do come.

        The rest arrives along the kernel's tail, starting at the present rate.
        """
        if p < NEVER or seen.per_hour <= 0.0:
            return None
        rest = max(exp(min(mu - sigma * NormalDist().inv_cdf(max(p / 2.0, 1e-9)), 20.0)), gap * 1.05)
        start = rest * TAIL / seen.per_hour
        share = min(gap / rest, 1.0 - 1e-9)
        hours = start * ((1.0 - share) ** (-1.0 / TAIL) - 1.0)
        return float(min(hours, 24.0 * 365.0) * 60.0)


@cache
def _positions(names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(NAMES.index(n) for n in names)


@cache
def _packaged() -> Forecaster:
    raw = files("monitor.spread").joinpath("forecast.json").read_bytes()
    return msgspec.json.decode(raw, type=Forecaster)
