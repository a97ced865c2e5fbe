"""The forecast: a learned layer over the point process, as Mishra, Rizoiu and Xie (2016) recommend.

One forest gives the median of the log growth still to come, a second one its spread; a table of standardised errors,
measured out of fold, turns both into calibrated quantiles (split conformal prediction with normalised scores, Lei et
al. 2018). A small linear rank on top orders stories for an alarm at a budget of false ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cache
from importlib.resources import files
from math import exp, log, log1p
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from monitor.spread.trees import Floats, Forest, Packed, pack, unpack
from monitor.spread.types import Forecast, ViralLine

if TYPE_CHECKING:
    from monitor.spread.signs import Signs

TAIL = 0.242
"""The exponent of the memory kernel's tail (Zhao et al. 2015), which shapes when the rest arrives."""

NEVER = 1e-6
"""Below this probability of crossing, no time until the crossing is given."""

MOST = 1e9
"""No forecast goes beyond this many voices."""

PROBABILITIES = (
    0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999,
)  # fmt: skip
"""Where the table of standardised errors is kept."""

AGE_EDGES = (900.0, 7200.0)
SIZE_EDGES = (1.5, 3.5, 10.0, 30.0, 100.0, 300.0)
"""Ages (seconds) and sizes (voices) that have tables of their own."""

PLATFORM_AGE_EDGES = (900.0, 2400.0, 7200.0)
"""The ages of a platform's forecaster: half an hour and an hour apart."""

NARROW, WIDE = 0.02, 3.0
"""Bounds of the spread of the log growth."""


DOUBT = 1.0
"""How much of its spread is taken off a story's rank."""

NO_RANK = -9.0
"""Below every rank: the rank of a story that has too much of its growth behind it."""


def rank_of(size: Floats | float, growth: Floats | float, spread: Floats | float, rate: Floats | float) -> Any:
    """Join the parts of a rank: logs of size and growth, the spread of the growth, and the weighted rate."""
    return size + growth - DOUBT * spread + rate


def cell_of(age: float, voices: float, ages: tuple[float, ...]) -> int:
    """Return which table of errors is for a story of this age and size; `ages` is where the tables' ages end."""
    return bisect_left(ages, age) * (len(SIZE_EDGES) + 1) + bisect_left(SIZE_EDGES, voices)


class Thresholds(msgspec.Struct, frozen=True):
    """From which rank on to raise an alarm at a budget of false ones, for lines on a grid; between them by log.

    `least_growth` is the log growth that must still be forecast: less of it is ranked by nothing.
    """

    budget: float
    lines: tuple[float, ...]
    ranks: tuple[float, ...]
    least_growth: float = 0.0

    def at(self, line: float) -> float:
        """Return the threshold for `line` (voices); beyond the grid it moves with the log of the line, as ranks do."""
        inside = min(max(line, self.lines[0]), self.lines[-1])
        return float(np.interp(log(inside), [log(x) for x in self.lines], self.ranks)) + log(line / inside)


class Saved(msgspec.Struct, frozen=True):
    """A model as it is written."""

    growth: Packed
    spread: Packed
    errors: tuple[tuple[float, ...], ...]
    ages: tuple[float, ...]
    rate_weight: float = 0.0
    thresholds: tuple[Thresholds, ...] = ()
    ranking: Packed | None = None


class Forecaster:
    """Forecasts stories of one kind of platform."""

    __slots__ = ("ages", "errors", "growth", "ranking", "rate_weight", "spread", "thresholds")

    def __init__(
        self,
        growth: Forest,
        spread: Forest,
        errors: tuple[tuple[float, ...], ...],
        ages: tuple[float, ...] = AGE_EDGES,
        rate_weight: float = 0.0,
        thresholds: tuple[Thresholds, ...] = (),
        ranking: Forest | None = None,
    ) -> None:
        self.growth = growth
        self.spread = spread
        self.errors = errors
        self.ages = ages
        self.rate_weight = rate_weight
        self.thresholds = thresholds
        self.ranking = ranking or growth

    @staticmethod
    def default() -> Forecaster:
        """Return the packaged forecaster for stories of any source."""
        return packaged("general")

    def predict(self, seen: Signs, line: ViralLine, excess: float = 1.0, usual: float = 0.0) -> Forecast:
        """Forecast the final number of voices, and the crossing of `line`.

        `excess` is the share of the present rate that is more than ordinary chatter: only that spreads. `usual` of
        the voices seen are such chatter: the line is crossed by those beyond them. Monotone by construction: quantiles
        are ordered, none is below what is already seen, and `p_viral` falls with the line and with `usual`, and is 1
        once the line is crossed (split conformal prediction with normalised scores, Lei et al. 2018).

        >>> from monitor.spread.signs import signs
        >>> from monitor.spread.story import StoryState
        >>> story = StoryState()
        >>> for i in range(40):
        ...     story.observe(15.0 * i, i, 300, "repost", None)
        >>> forecast = Forecaster.default().predict(signs(story, 600.0), ViralLine(150.0))
        >>> 40.0 <= forecast.q10 < forecast.q50 < forecast.q90, 0.0 < forecast.p_viral < 1.0
        (True, True)
        >>> forecast.p_viral > Forecaster.default().predict(signs(story, 7200.0), ViralLine(150.0)).p_viral
        True
        """
        n = max(seen.voices, 1.0)
        excess = min(max(excess, 0.02), 1.0)
        mu, sigma = self.parameters(seen)
        table = self.errors[cell_of(seen.age, n, self.ages)]
        low, mid, high = (
            min(MOST, n + n * excess * (exp(min(max(mu + sigma * table[at], 0.0), 30.0)) - 1.0)) for at in _SHOWN
        )
        gap = line.size - (seen.voices - usual)
        if gap <= 0.0:
            return Forecast(low, mid, high, 1.0, 0.0)
        needed = log(1.0 + max(line.size / n - 1.0 + usual / n, 0.0) / excess)
        p = _above(table, (needed - mu) / sigma) if needed > 0.0 else 1.0
        p = min(max(p, 0.0), 0.999)
        return Forecast(low, mid, high, p, self._minutes(seen, mu, sigma, p, gap))

    def rank(self, seen: Signs, least_growth: float = 0.0) -> float:
        """Return what alarms are ordered by: a cautious log of the final size, and a little of the rate.

        The largest of many looks at a story decides about an alarm, so the forest behind it is a calmer one, and what
        is uncertain counts less. On a platform where speed shows before size does, the hourly rate counts too. A
        story that is not forecast to grow by `least_growth` more (a log) ranks below all.
        """
        row = np.array(seen.row)
        growth = max(self.ranking.read(row), 0.0)
        if growth < least_growth:
            return NO_RANK
        rate = self.rate_weight * log1p(seen.counts[3])
        return float(rank_of(log(max(seen.voices, 1.0)), growth, self._spread(row), rate))

    def at_budget(self, budget: float) -> Thresholds:
        """Return from which ranks on to raise an alarm at a budget of false ones.

        Raises:
            KeyError: no threshold was calibrated for that budget.
        """
        for thresholds in self.thresholds:
            if abs(thresholds.budget - budget) < NEVER:
                return thresholds
        known = ", ".join(str(t.budget) for t in self.thresholds) or "none"
        raise KeyError(f"no threshold for a budget of {budget}; known: {known}")

    def parameters(self, seen: Signs) -> tuple[float, float]:
        """Return the median and the spread of the log growth to come."""
        row = np.array(seen.row)
        return min(max(self.growth.read(row), 0.0), 20.0), self._spread(row)

    def _spread(self, row: Floats) -> float:
        return min(max(exp(min(max(self.spread.read(row), -8.0), 4.0)), NARROW), WIDE)

    def saved(self) -> Saved:
        """Return the model as it is written."""
        ranking = None if self.ranking is self.growth else pack(self.ranking)
        return Saved(
            pack(self.growth), pack(self.spread), self.errors, self.ages, self.rate_weight, self.thresholds, ranking
        )

    @classmethod
    def restored(cls, saved: Saved) -> Forecaster:
        """Read what `saved` returned."""
        growth, spread = unpack(saved.growth), unpack(saved.spread)
        ranking = unpack(saved.ranking) if saved.ranking else None
        return cls(growth, spread, saved.errors, saved.ages, saved.rate_weight, saved.thresholds, ranking)

    def _minutes(self, seen: Signs, mu: float, sigma: float, p: float, gap: float) -> float | None:
        """Median minutes until `gap` more voices have come, given that they do come.

        The rest arrives along the kernel's tail, starting at the present rate.
        """
        if p < NEVER or seen.per_hour <= 0.0:
            return None
        n = max(seen.voices, 1.0)
        growth = mu + sigma * _quantile(self.errors[cell_of(seen.age, n, self.ages)], 1.0 - p / 2.0)
        rest = max(n * (exp(min(max(growth, 0.0), 20.0)) - 1.0), gap * 1.05)
        share = min(gap / rest, 1.0 - 1e-9)
        hours = rest * TAIL / seen.per_hour * ((1.0 - share) ** (-1.0 / TAIL) - 1.0)
        return float(min(hours, 24.0 * 365.0) * 60.0)


_SHOWN = tuple(PROBABILITIES.index(q) for q in (0.1, 0.5, 0.9))


def _quantile(table: tuple[float, ...], q: float) -> float:
    return _between(q, PROBABILITIES, table)


def _between(x: float, known: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Return the value at `x` between those at the `known` places, which rise; beyond them the nearest one's.

    `numpy.interp` for one number, at a tenth of its cost.

    >>> _between(1.5, (1.0, 2.0), (10.0, 20.0)), _between(3.0, (1.0, 2.0), (10.0, 20.0))
    (15.0, 20.0)
    """
    at = bisect_right(known, x) - 1
    if at < 0:
        return values[0]
    if at >= len(known) - 1:
        return values[-1]
    slope = (values[at + 1] - values[at]) / (known[at + 1] - known[at])
    return slope * (x - known[at]) + values[at]


def _above(table: tuple[float, ...], z: float) -> float:
    """The probability of an error above `z`; beyond the table it fades exponentially."""
    if z > table[-1]:
        return (1.0 - PROBABILITIES[-1]) * exp(max(-(z - table[-1]) / max(table[-1] - table[-3], 0.1), -50.0))
    return 1.0 - _between(z, table, PROBABILITIES)


@cache
def packaged(platform: str) -> Forecaster:
    """Return the packaged forecaster for a platform: `general`, `twitter` or `weibo`.

    Raises:
        KeyError: there is none of that name.
    """
    models = read_models(files("monitor.spread").joinpath("forecast.msgpack").read_bytes())
    if platform not in models:
        raise KeyError(f"no forecaster for {platform}; there are {', '.join(sorted(models))}")
    return models[platform]


def read_models(raw: bytes) -> dict[str, Forecaster]:
    """Read a file of models.

    Raises:
        ValueError: it is no such file.
    """
    try:
        saved = msgspec.msgpack.decode(raw, type=dict[str, Saved])
    except msgspec.MsgspecError as bad:
        raise ValueError(f"this is no file of forecasters: {bad}; write one with `monitor spread train`") from bad
    return {name: Forecaster.restored(model) for name, model in saved.items()}


def write_models(models: dict[str, Forecaster]) -> bytes:
    """Write what `read_models` reads."""
    return msgspec.msgpack.encode({name: model.saved() for name, model in models.items()})
