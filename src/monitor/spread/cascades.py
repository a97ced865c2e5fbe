"""Cascades: read them, replay them through `StorySpread`, and write what the benchmark's scorer reads."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from monitor.spread.assess import StorySpread
from monitor.spread.signs import Signs, signs
from monitor.spread.types import ViralLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from monitor.spread.forecast import Forecaster

WEEK = 7 * 86400.0
HORIZON = 2 * 86400.0
"""Alarms are raised within two days of a story's start."""

FORECAST_AGES = (600, 1800, 3600, 14400)


def _schedule() -> tuple[int, ...]:
    """Each minute for twenty minutes, then steps of 8 % of the age, on whole minutes."""
    ages, age = [60 * i for i in range(1, 21)], 1200.0
    while age < HORIZON:
        age *= 1.08
        ages.append(60 * round(age / 60))
    return tuple(sorted({a for a in ages if a <= HORIZON} | set(FORECAST_AGES)))


SCHEDULE = _schedule()
"""Ages (seconds) at which a cascade is judged."""


class Cascade(Struct, frozen=True):
    """One post and its reposts. `times` are seconds since the post, sorted; `start` is seconds since the epoch."""

    id: str
    start: float
    root_followers: int | None
    times: tuple[float, ...]
    followers: tuple[int | None, ...] | None = None


def read_cascades(path: Path) -> Iterator[Cascade]:
    """Read JSON lines, plain or .gz, in any of the three forms that the public sets come in.

    Raises:
        ValueError: a line is no cascade; says which.
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _cascade(json.loads(line))
            except (KeyError, TypeError, ValueError) as bad:
                raise ValueError(f"{path.name}, line {number}: no cascade: {bad!r}") from bad


def _cascade(row: dict[str, Any]) -> Cascade:
    start = row.get("t0")
    start = float(start) if isinstance(start, int | float) else 0.0
    root: int | None = row.get("root_followers")
    followers: list[int | None] | None = row.get("f")
    if "events" in row:
        times = [float(t) for t, _ in row["events"]]
        followers = [f for _, f in row["events"]]
    else:
        times = [float(t) for t in row["t" if "t" in row else "times"]]
    if "t" not in row and times and times[0] == 0.0:  # the post itself stands among the events
        root, times = (followers[0] if followers else None), times[1:]
        followers = followers[1:] if followers else None
    inside = sum(t <= WEEK for t in times)
    return Cascade(str(row["id"]), start, root, tuple(times[:inside]), tuple(followers[:inside]) if followers else None)


def replay(cascade: Cascade, ages: Iterable[int] = SCHEDULE) -> Iterator[tuple[int, int, Signs]]:
    """Tell a cascade to a `StorySpread` in time order; yield (age, reposts seen, signs) at each of the `ages`."""
    story = StorySpread()
    story.observe(cascade.start, 0, cascade.root_followers, "post", None)
    told = 0
    for age in ages:
        while told < len(cascade.times) and cascade.times[told] <= age:
            followers = cascade.followers[told] if cascade.followers else None
            story.observe(cascade.start + cascade.times[told], told + 1, followers, "repost", None)
            told += 1
        yield age, told, signs(story, cascade.start + age)


def judge(cascade: Cascade, forecaster: Forecaster, budget: float, line: float) -> dict[str, Any]:
    """Replay one cascade and return the scorer's line: when it was alarmed, and what was forecast.

    The scorer counts reposts without the post; the forecast counts the post's author as a voice too.
    """
    viral = ViralLine(line + 1.0)
    thresholds = forecaster.at_budget(budget)
    threshold = thresholds.at(line + 1.0)
    out: dict[str, Any] = {"cascade_id": cascade.id, "alert_time": None, "predicted_size": None}
    pred, low, high = {}, {}, {}
    for age, told, seen in replay(cascade):
        if out["alert_time"] is None and told and forecaster.rank(seen, thresholds.least_growth) > threshold:
            out["alert_time"] = age
            out["predicted_size"] = round(forecaster.predict(seen, viral).q50 - 1.0)
        if age in FORECAST_AGES:
            forecast = forecaster.predict(seen, viral)
            pred[str(age)] = max(float(told), round(forecast.q50 - 1.0, 1))
            low[str(age)] = max(float(told), round(forecast.q10 - 1.0, 1))
            high[str(age)] = max(low[str(age)], round(forecast.q90 - 1.0, 1))
    return {**out, "pred": pred, "lo": low, "hi": high}
