"""Volume series: replay counts through `BrandTide`, and write where its waves begin."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

from monitor.spread.bins import BIN
from monitor.spread.tide import LATE, BrandTide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MISSING = 1.5
"""Rows are missing where the next one comes later than so many of the shortest step so far."""


def read_series(path: Path) -> list[tuple[str, float, float]]:
    """Read a CSV of `timestamp,value`; return (the time as it stands there, seconds since the epoch, value).

    Raises:
        ValueError: a row is no such row; says which.
    """
    rows = []
    with path.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                at = datetime.fromisoformat(row["timestamp"])
                at = at if at.tzinfo else at.replace(tzinfo=UTC)
                rows.append((row["timestamp"], at.timestamp(), float(row["value"])))
            except (KeyError, TypeError, ValueError) as bad:
                raise ValueError(f"{path.name}, line {number}: no timestamp and value: {bad!r}") from bad
    return rows


def waves(rows: Iterable[tuple[float, float]]) -> Iterator[bool]:
    """Say for each (time, count), in order, whether a wave begins with it; nothing later is looked at.

    The count is told at its time, and the time passes until its five minutes are judged. Where rows are missing the
    input was down, which is neither calm nor a storm; a row of nothing is calm.

    >>> calm = [(300.0 * i, 5.0 + i % 3) for i in range(288 * 8)]
    >>> storm = [(300.0 * i, 200.0) for i in range(288 * 8, 288 * 8 + 12)]
    >>> begins = list(waves(calm + storm))
    >>> sum(begins), any(begins[: len(calm)])
    (1, False)
    """
    tide = BrandTide()
    last: float | None = None
    before: float | None = None
    step = inf
    for t, count in rows:
        if before is not None and t > before:
            step = max(min(step, t - before), BIN)
            if t - before > MISSING * step:
                tide.gap((before // BIN + 1.0) * BIN, t // BIN * BIN)
        before = t if before is None else max(t, before)
        tide.count(t, max(count, 0.0))
        tide.tick((t // BIN + 1.0) * BIN + LATE)
        begins = tide.wave_since is not None and tide.wave_since != last
        last = tide.wave_since if tide.wave_since is not None else last
        yield begins


def write_alerts(source: Path, to: Path) -> int:
    """Replay the series in `source` and write `timestamp,alert` to `to`; return how many alerts there are."""
    rows = read_series(source)
    alerts = 0
    with to.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("timestamp", "alert"))
        for (stamp, _, _), begins in zip(rows, waves((t, v) for _, t, v in rows), strict=True):
            writer.writerow((stamp, int(begins)))
            alerts += begins
    return alerts
