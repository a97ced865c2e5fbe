"""Train the forecasters on public cascades; numpy alone, about six minutes of one core.

Each platform that has a benchmark gets a forecaster of its own, with thresholds for alarms calibrated out of fold. The
general one is for stories of any source. Popular cascades are over-represented in every public set, so its rows are
weighted back to a population in which stories twice as large are half as frequent (and a little less).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log, log1p
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, structs

from monitor.spread.cascades import FORECAST_AGES, SCHEDULE, Cascade, replay
from monitor.spread.forecast import (
    AGE_EDGES,
    NARROW,
    NO_RANK,
    PLATFORM_AGE_EDGES,
    PROBABILITIES,
    SIZE_EDGES,
    WIDE,
    Forecaster,
    Thresholds,
    cell_of,
    rank_of,
)
from monitor.spread.signs import NAMES
from monitor.spread.trees import Floats, Forest, Ints, grow

FOLDS = 5
BUDGETS = (0.01, 0.05)
LEAST_GROWTH = {0.01: 0.0, 0.05: log(1.5)}
"""By budget: the growth that must still be forecast for an alarm. Where many are allowed, those late in a story's life
are the ones not worth having: half as many again must be to come. At a tight budget they are the surest, and still come
hours before the line."""

SLACK = 1.1
"""Of a budget: forests of all five fifths raise fewer false alarms than those of four that thresholds come from, where
a calmer forest ranks."""

TIGHT = 0.9
"""Where none does they raise more."""

LINE_SHARES = (0.5, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985)
"""Lines that thresholds are calibrated for, as quantiles of the final size."""

TAIL_EXPONENT = 1.1
"""The assumed population: the share of stories of at least x voices falls like x^-1.1."""

GENERAL_PART = 0.25
PART = 0.4
"""Of a platform's rows, as many are fitted to (neighbouring moments of a cascade say nearly the same)."""

OLD = 14400.0
"""Moments older than this (seconds) weigh half: a story is to be found while it is young. In the table of errors they
weigh the less the older they are, for the oldest moments are many and hardly anything is left to forecast."""

GENERAL_AGES = (60, 120, 180, 300, 480, 600, 900, 1200, *[a for a in SCHEDULE if a > 1200][::4])  # noqa: PLR2004

SILENT = 120
"""Stories that nobody answered, made up: the public sets have none."""

CLOCK = ("hour_sin", "hour_cos")
FORESTS = {"trees": 150, "depth": 5, "rate": 0.08}
RANKINGS = {"trees": 120, "depth": 5, "rate": 0.1, "calm": 400.0}
SPREADS = {"trees": 60, "depth": 4, "rate": 0.08}

if TYPE_CHECKING:
    from numpy.typing import NDArray

Say = Callable[[str], None]


class Recipe(Struct, frozen=True, kw_only=True):
    """What is particular to a platform's forecaster.

    Attributes:
        rate_weight: how much of the hourly rate the rank takes in.
        calm: whether a calmer forest of its own ranks.
        importance: a cascade's error weighs with this power of its final size towards the ends of an interval, so that
            it does not fail just the large ones.
        extremes: how much more, as a log, errors of the smallest and the largest cascades weigh there than those of
            the middle, where next to none fails.
    """

    rate_weight: float
    calm: bool
    importance: float
    extremes: float

    @property
    def slack(self) -> float:
        """How much of a budget of false alarms thresholds use up, out of fold."""
        return SLACK if self.calm else TIGHT


class Table(Struct, frozen=True):
    """One row per cascade and age.

    Attributes:
        cascade: which cascade.
        age: in seconds.
        seen: voices by then, the post's author among them.
        final: voices finally, likewise.
        rows: the signs.
        rate: the log of the hourly count.
        voices: voices by then as a story counts them: an estimate once they are many.
    """

    cascade: Ints
    age: Floats
    seen: Floats
    final: Floats
    rows: Floats
    rate: Floats
    voices: Floats

    @property
    def told(self) -> Floats:
        """Reposts by then."""
        return np.asarray(self.seen - 1.0)

    @property
    def rest(self) -> Floats:
        """The log growth still to come from what is counted: what a forecast errs by is measured against this."""
        return np.asarray(np.log(self.final / self.voices))

    @property
    def growth(self) -> Floats:
        """The log growth still to come."""
        return np.asarray(np.log(self.final / self.seen))

    def take(self, keep: NDArray[np.bool_]) -> Table:
        """Return some of the rows."""
        return Table(*(getattr(self, name)[keep] for name in self.__struct_fields__))


def tabulate(cascades: Iterable[Cascade], ages: Sequence[int] = SCHEDULE) -> Table:
    """Replay the cascades and read their signs at `ages`."""
    found: list[tuple[float, ...]] = []
    rows: list[tuple[float, ...]] = []
    for number, cascade in enumerate(cascades):
        for age, told, seen in replay(cascade, ages):
            size = told + 1.0, len(cascade.times) + 1.0
            found.append((number, age, *size, log1p(seen.counts[3]), max(seen.voices, 1.0)))
            rows.append(seen.row)
    columns = np.array(found).T
    return Table(
        columns[0].astype(np.int64), columns[1], columns[2], columns[3], np.array(rows), columns[4], columns[5]
    )


def fold_of(cascades: Ints, seed: int = 0) -> Ints:
    """Return the fold (a fifth of the cascades) that each row belongs to."""
    shuffled = np.random.default_rng(seed).permutation(int(cascades.max()) + 1)
    return np.asarray(np.argsort(shuffled)[cascades] % FOLDS)


def fit_pair(table: Table, weights: Floats, columns: Ints, seed: int = 5) -> tuple[Forest, Forest]:
    """Fit the median growth, and the spread around it."""
    growth = grow(table.rows, table.growth, weights, signs=columns, seed=seed, **FORESTS)  # type: ignore[arg-type]
    errors = np.log(np.abs(table.growth - growth.read_all(table.rows)) + NARROW)
    spread = grow(table.rows, errors, weights, signs=columns, seed=seed + 1, **SPREADS)  # type: ignore[arg-type]
    return growth, spread


def fit_ranking(table: Table, weights: Floats, columns: Ints) -> Forest:
    """Fit the calmer forest that alarms are ranked by."""
    return grow(table.rows, table.growth, weights, signs=columns, seed=7, **RANKINGS)  # type: ignore[arg-type]


def out_of_fold(
    table: Table, weights: Floats, columns: Ints, say: Say, *, ranked: bool = False, part: float = PART
) -> tuple[Floats, Floats, Floats]:
    """Return growth, spread and calmer growth for every row, each by forests that saw nothing of its cascade."""
    folds = fold_of(table.cascade)
    growth, spread, calmer = np.zeros(len(folds)), np.zeros(len(folds)), np.zeros(len(folds))
    rng = np.random.default_rng(1)
    for fold in range(FOLDS):
        fit = (folds != fold) & (rng.random(len(folds)) < part)
        pair = fit_pair(table.take(fit), weights[fit], columns)
        left = folds == fold
        growth[left] = np.clip(pair[0].read_all(table.rows[left]), 0.0, 20.0)
        spread[left] = np.clip(np.exp(pair[1].read_all(table.rows[left])), NARROW, WIDE)
        if ranked:
            ranking = fit_ranking(table.take(fit), weights[fit], columns)
            calmer[left] = np.clip(ranking.read_all(table.rows[left]), 0.0, 20.0)
        say(f"  fold {fold + 1} of {FOLDS}")
    return growth, spread, calmer


def error_tables(
    table: Table,
    weights: Floats,
    growth: Floats,
    spread: Floats,
    ends: Floats | None = None,
    ages: tuple[float, ...] = AGE_EDGES,
) -> tuple[tuple[float, ...], ...]:
    """Return the weighted quantiles of the standardised errors, by age and size; thin cells lean on all rows.

    Args:
        table: the rows.
        weights: how much each counts towards the median.
        growth: forecast of each row out of fold.
        spread: of it, likewise.
        ends: how much each row counts outside an 80 % interval, and the more the nearer to it; `weights` by default.
        ages: where the tables' ages end.
    """
    errors = (table.rest - growth) / spread
    cells = np.array([cell_of(a, n, ages) for a, n in zip(table.age, table.voices, strict=True)])
    ends = weights if ends is None else ends
    overall = _quantiles(errors, weights, ends)
    tables = []
    for cell in range((len(ages) + 1) * (len(SIZE_EDGES) + 1)):
        inside = cells == cell
        cascades = len(np.unique(table.cascade[inside]))
        own = _quantiles(errors[inside], weights[inside], ends[inside]) if cascades else overall
        share = cascades / (cascades + 50.0)
        tables.append(tuple(np.round(share * own + (1.0 - share) * overall, 5).tolist()))
    return tuple(tables)


def _quantiles(values: Floats, weights: Floats, ends: Floats) -> Floats:
    order = np.argsort(values)
    middle, end = (
        np.interp(PROBABILITIES, np.cumsum(some[order]) / some.sum(), values[order]) for some in (weights, ends)
    )
    share = np.minimum(np.abs(np.array(PROBABILITIES) - 0.5) / 0.4, 1.0)
    return np.asarray(np.maximum.accumulate((1.0 - share) * middle + share * end))


def thresholds_of(table: Table, rank: Floats, growth: Floats, slack: float) -> tuple[Thresholds, ...]:
    """Return for each budget the rank that so many of the stories below each line ever exceed."""
    final = np.zeros(int(table.cascade.max()) + 1)
    final[table.cascade] = table.final
    present = final > 0  # the others are in no row
    lines = np.unique(np.round(np.quantile(final[present], LINE_SHARES)))
    found = []
    for budget in BUDGETS:
        counts = (table.told > 0) & (growth >= LEAST_GROWTH[budget])
        highest = np.full(len(final), NO_RANK)
        np.maximum.at(highest, table.cascade[counts], rank[counts])
        ranks = []
        for line in lines:
            below = np.sort(highest[present & (final < line)])[::-1]
            at = (
                slack * budget * len(below)
            )  # between the two neighbours, so that a new set meets the budget on average
            ranks.append(float(np.interp(at, np.arange(len(below)), below)))
        rising = tuple(np.maximum.accumulate(ranks).tolist())
        found.append(Thresholds(budget, tuple(lines.tolist()), rising, LEAST_GROWTH[budget]))
    return tuple(found)


def train_platform(
    cascades: Sequence[Cascade], recipe: Recipe, say: Say
) -> tuple[Forecaster, tuple[Table, Floats, Floats, Floats, Floats, Floats]]:
    """Train a platform's forecaster; also return its rows and what was said of them out of fold.

    That is their weights in the table of errors, growth, spread, rank, and the growth that the rank rests on.

    Args:
        cascades: the platform's.
        recipe: what is particular to it.
        say: is told how far it is.
    """
    calm = recipe.calm
    table = tabulate(cascades)
    weights = np.where(table.age <= OLD, 1.0, 0.5)
    columns = np.arange(len(NAMES))
    growth, spread, calmer = out_of_fold(table, weights, columns, say, ranked=calm)
    ranked = calmer if calm else growth
    rank = rank_of(np.log(table.voices), ranked, spread, recipe.rate_weight * table.rate)
    thresholds = thresholds_of(table, rank, ranked, recipe.slack)
    judged = np.minimum(1.0, OLD / table.age)
    errors = error_tables(table, judged, growth, spread, importance(table, judged, recipe), PLATFORM_AGE_EDGES)
    some = np.random.default_rng(2).random(len(weights)) < PART
    pair = fit_pair(table.take(some), weights[some], columns)
    ranking = fit_ranking(table.take(some), weights[some], columns) if calm else None
    say("  all; " + _measured(table, growth))
    forecaster = Forecaster(*pair, errors, PLATFORM_AGE_EDGES, recipe.rate_weight, thresholds, ranking)
    return forecaster, (table, judged, growth, spread, rank, ranked)


def importance(table: Table, weights: Floats, recipe: Recipe) -> Floats:
    """Return how much each row's error counts in the table of errors, towards its ends.

    An interval by itself fails the largest cascades, then the smallest, and covers nearly all between them: an end
    moves to where it misses those that weigh more.
    """
    of, row = np.unique(table.cascade, return_index=True)
    final = np.sort(table.final[row])
    rank = np.searchsorted(final, table.final, "left") + np.searchsorted(final, table.final, "right")
    place = rank / len(of) - 1.0  # -1 for the smallest, 1 for the largest
    return np.asarray(weights * table.final**recipe.importance * np.exp(recipe.extremes * np.abs(place)))


def train_general(sets: Sequence[Sequence[Cascade]], say: Say) -> Forecaster:
    """Train the forecaster for stories of any source, on all sets together and on stories that nobody answered."""
    followers = np.random.default_rng(3).lognormal(5.5, 2.0, SILENT).astype(np.int64).tolist()
    silent = [Cascade(f"silent-{i}", 0.0, f if i % 2 else None, ()) for i, f in enumerate(followers)]
    table = tabulate([*silent, *(c for some in sets for c in some)], GENERAL_AGES)
    weights = population_weights(table)
    columns = np.array([i for i, name in enumerate(NAMES) if name not in CLOCK])
    growth, spread, _ = out_of_fold(table, weights, columns, say, part=GENERAL_PART)
    some = np.random.default_rng(2).random(len(weights)) < GENERAL_PART
    pair = fit_pair(table.take(some), weights[some], columns)
    say("  all")
    by_name = structs.replace(table, voices=table.seen)  # nearly all stories of that population are that small
    return Forecaster(*pair, error_tables(by_name, weights, growth, spread))


def population_weights(table: Table) -> Floats:
    """Weigh final sizes as in the assumed population, and every present size about alike."""
    final = np.minimum(np.log2(table.final), 12.0).astype(np.int64)
    present = np.minimum(np.log2(table.seen), 12.0).astype(np.int64)
    weights = np.zeros(len(final))
    for size in np.unique(final):
        for age in np.unique(table.age):
            cell = (final == size) & (table.age == age)
            if cell.any():
                weights[cell] = 2.0 ** (-TAIL_EXPONENT * size) / cell.sum()
    for size in np.unique(present):
        cell = present == size
        weights[cell] *= np.sqrt(cell.sum()) / weights[cell].sum()
    return np.asarray(weights * len(weights) / weights.sum())


def _measured(table: Table, growth: Floats) -> str:
    """Median relative error of the final size, out of fold, as the benchmark counts it."""
    parts = []
    for age in FORECAST_AGES:
        at = (table.age == age) & (table.seen > 1.0)
        forecast = table.seen[at] * np.exp(growth[at]) - 1.0
        error = np.median(np.abs(forecast - (table.final[at] - 1.0)) / (table.final[at] - 1.0))
        parts.append(f"{age} s: {error:.3f}")
    return "median error of the final size out of fold, " + ", ".join(parts)
