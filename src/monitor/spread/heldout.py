"""What forecasts are worth on cascades that they saw nothing of, a fifth at a time, as the benchmark's scorer reads it.

Every cascade is judged by forests, a table of errors and thresholds that come from the other four fifths alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor.spread.cascades import FORECAST_AGES
from monitor.spread.forecast import NO_RANK, PLATFORM_AGE_EDGES, PROBABILITIES, cell_of
from monitor.spread.train import FOLDS, error_tables, fold_of, importance, thresholds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.spread.cascades import Cascade
    from monitor.spread.train import Recipe, Table
    from monitor.spread.trees import Floats, Ints

LOW, MIDDLE, HIGH = (PROBABILITIES.index(q) for q in (0.1, 0.5, 0.9))

Errors = tuple[tuple[float, ...], ...]


class Trial(NamedTuple):
    """A platform's rows with what was said of each out of fold."""

    cascades: Sequence[Cascade]
    table: Table
    weights: Floats
    growth: Floats
    spread: Floats
    rank: Floats
    ranked: Floats
    """The growth that the rank rests on."""

    recipe: Recipe

    def lines(self, budget: float, line: float) -> Iterator[dict[str, Any]]:
        """Yield the scorer's line for every cascade, and its fold; `line` is in reposts."""
        folds = fold_of(self.table.cascade)
        for fold in range(FOLDS):
            others = folds != fold
            rest = self.table.take(others)
            weights = self.weights[others]
            ends = importance(rest, weights, self.recipe)
            errors = error_tables(rest, weights, self.growth[others], self.spread[others], ends, PLATFORM_AGE_EDGES)
            every = thresholds_of(rest, self.rank[others], self.ranked[others], self.recipe.slack)
            thresholds = next(each for each in every if each.budget == budget)
            rank = np.where(self.ranked >= thresholds.least_growth, self.rank, NO_RANK)
            table = self.table.take(~others)
            figures = table.cascade, table.age, table.seen
            found = judged(self.cascades, *figures, table.voices, self.growth[~others], self.spread[~others], errors)
            for row in alarmed(found, *figures, rank[~others], thresholds.at(line + 1.0)):
                yield {**row, "fold": fold}


def judged(
    cascades: Sequence[Cascade],
    of: Ints,
    age: Floats,
    seen: Floats,
    voices: Floats,
    growth: Floats,
    spread: Floats,
    errors: Errors,
) -> dict[int, dict[str, Any]]:
    """Return for each cascade the scorer's line without an alarm: final sizes forecast at four ages.

    Args:
        cascades: all of them, in the order that `of` counts in.
        of: which cascade each row is about; only cascades with rows are judged.
        age: of the cascade at each row, seconds.
        seen: voices by then, the post's author among them.
        voices: the same as a story counts them.
        growth: median log growth to come, by forests that saw nothing of the cascade.
        spread: of the log growth, likewise.
        errors: standardised errors by age and size, from other cascades.
    """
    lines: dict[int, dict[str, Any]] = {}
    for row in range(len(of)):
        number = int(of[row])
        line = lines.setdefault(
            number, {"cascade_id": cascades[number].id, "alert_time": None, "pred": {}, "lo": {}, "hi": {}}
        )
        if age[row] not in FORECAST_AGES:
            continue
        table = errors[cell_of(float(age[row]), float(voices[row]), PLATFORM_AGE_EDGES)]
        told, at = float(seen[row]) - 1.0, str(int(age[row]))
        low, middle, high = (
            float(voices[row] * np.exp(max(growth[row] + spread[row] * table[q], 0.0))) - 1.0
            for q in (LOW, MIDDLE, HIGH)
        )
        line["pred"][at] = max(told, round(middle, 1))
        line["lo"][at] = max(told, round(low, 1))
        line["hi"][at] = max(line["lo"][at], round(high, 1))
    return lines


def alarmed(
    lines: dict[int, dict[str, Any]], of: Ints, age: Floats, seen: Floats, rank: Floats, threshold: float
) -> Iterator[dict[str, Any]]:
    """Yield the lines with the age of the first alarm: the rank above the threshold, and somebody has answered."""
    first: dict[int, int] = {}
    for row in np.flatnonzero((rank > threshold) & (seen > 1.0)).tolist():
        number = int(of[row])
        first[number] = min(first.get(number, 1 << 30), int(age[row]))
    for number, line in lines.items():
        yield {**line, "alert_time": first.get(number)}
