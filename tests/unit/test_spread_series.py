from __future__ import annotations

import csv
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.spread import BrandTide
from monitor.spread.cli import bench
from monitor.spread.novelty import ON, PER_DAY, Novelty
from monitor.spread.series import read_series, waves, write_alerts

SHARED = Path(os.environ.get("MONITOR_SHARED", "../shared"))
START = 1_700_000_000.0 // 604_800 * 604_800


def series(days=9, storms=()):
    rng = random.Random(3)
    rows = []
    for i in range(288 * days):
        daily = 12.0 if 96 <= i % 288 < 264 else 3.0
        burst = 30.0 if i % 288 == 150 + i // 288 else 0.0  # an ordinary burst on every day
        rows.append([START + 300.0 * i, float(int(rng.gauss(daily, daily**0.5) + burst))])
    for at in storms:
        for k in range(24):
            rows[at + k][1] += 150.0
    return [(t, max(v, 0.0)) for t, v in rows]


def test_ordinary_daily_bursts_are_nothing_new():
    assert sum(waves(series())) == 0


def test_a_storm_is_found_at_once_and_is_one_wave():
    begins = list(waves(series(storms=(288 * 7 + 100,))))
    assert sum(begins) == 1
    assert 0 <= begins.index(True) - (288 * 7 + 100) <= 3


def test_a_series_cut_in_the_middle_gives_the_same_until_the_cut():
    rows = series(storms=(288 * 5 + 50, 288 * 7 + 100))
    whole = list(waves(rows))
    for cut in (288 * 5 + 51, 288 * 6, 288 * 7 + 101):
        assert list(waves(rows[:cut])) == whole[:cut]


def test_weeks_of_nothing_and_a_spike_of_a_million():
    rows = [(START + 300.0 * i, 0.0) for i in range(288 * 15)]
    rows[288 * 14] = (rows[288 * 14][0], 1e6)
    begins = list(waves(rows))
    assert [i for i, b in enumerate(begins) if b] == [288 * 14]


def test_a_shift_of_whole_weeks_changes_nothing():
    rows = series(storms=(288 * 7 + 100,))
    later = [(t + 604_800.0 * 52, v) for t, v in rows]
    assert list(waves(rows)) == list(waves(later))


def without(rows, first, last):
    return [*rows[:first], *rows[last:]]


@pytest.mark.parametrize("hours", [1, 12, 60])
@pytest.mark.parametrize("start", [288 * 6, 288 * 6 + 130])
def test_missing_rows_are_neither_calm_nor_a_storm(hours, start):
    rows = without(series(days=11), start, start + 12 * hours)
    assert sum(waves(rows)) == 0


@pytest.mark.parametrize("hours", [1, 12, 60])
def test_a_storm_on_both_sides_of_missing_rows_is_one_wave(hours):
    storms = (288 * 7 + 100, 288 * 7 + 112 + 12 * hours)
    rows = without(series(days=11, storms=storms), 288 * 7 + 112, 288 * 7 + 112 + 12 * hours)
    begins = list(waves(rows))
    assert sum(begins) == 1
    assert 0 <= begins.index(True) - storms[0] <= 3


def test_rows_of_nothing_are_calm_where_missing_ones_are_not():
    storms = (288 * 7 + 100, 288 * 7 + 112 + 12 * 24)
    silent = [(t, 0.0 if storms[0] + 12 <= i < storms[1] else v) for i, (t, v) in enumerate(series(11, storms))]
    assert sum(waves(silent)) == 2


def test_missing_rows_teach_nothing():
    whole, down, silent = BrandTide(), BrandTide(), BrandTide()
    first, last = START + 3 * 86_400.0, START + 5 * 86_400.0
    down.gap(first, last)
    for t, count in series(days=8):
        whole.count(t, count)
        silent.count(t, 0.0 if first <= t < last else count)
        if not first <= t < last:
            down.count(t, count)
    at = START + 8 * 86_400.0 + 12 * 3600.0
    expected = [tide.assess(at).expected for tide in (silent, down, whole)]
    assert expected[0] < 0.95 * expected[2]
    assert expected[1] == pytest.approx(expected[2], rel=0.05)


def test_a_series_with_missing_rows_cut_in_the_middle_gives_the_same_until_the_cut():
    rows = without(series(storms=(288 * 5 + 50, 288 * 7 + 100)), 288 * 6, 288 * 6 + 40)
    whole = list(waves(rows))
    for cut in (288 * 6 - 1, 288 * 6, 288 * 6 + 1, 288 * 7 + 80):
        assert list(waves(rows[:cut])) == whole[:cut]


def test_two_scales_must_agree():
    novelty = Novelty()
    for at in range(6 * PER_DAY):
        novelty.step(at, 4.0 + at % 3, 5.0, 0.1)
    assert novelty.step(6 * PER_DAY, 5.0, 5.0, 0.1) < ON
    assert novelty.step(6 * PER_DAY + 1, 500.0, 5.0, 0.1) > ON


def test_files_are_read_and_written_row_by_row(tmp_path):
    source = tmp_path / "Twitter_volume_X.csv"
    began = datetime(2015, 2, 26, 21, 42, 53, tzinfo=UTC)
    with source.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("timestamp", "value"))
        for i in range(50):
            writer.writerow(((began + timedelta(minutes=5 * i)).strftime("%Y-%m-%d %H:%M:%S"), i % 7))
    result = CliRunner().invoke(bench, ["nab", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    with (tmp_path / "out" / source.name).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [r["timestamp"] for r in rows] == [r[0] for r in read_series(source)]
    assert {r["alert"] for r in rows} == {"0"}
    source.write_text("timestamp,value\n2015-02-26 21:42:53,x\n")
    with pytest.raises(ValueError, match="line 2"):
        write_alerts(source, tmp_path / "y.csv")


def test_a_brand_that_had_many_waves_of_late_needs_more_for_the_next():
    calm = BrandTide()
    for t, count in series(days=8):
        calm.count(t, count)
        calm.tick(t + 360.0)
    end = START + 8 * 86_400.0

    def least_burst(waves_before):
        for burst in range(20, 400, 2):
            tide = BrandTide.load(calm.dump())
            tide.waves = [(at, at + 3600.0) for at in waves_before]
            tide.count(end, float(burst))
            tide.tick(end + 360.0)
            if tide.wave_since is not None:
                return burst
        return 400

    fresh = least_burst([])
    assert least_burst([end - day * 86_400.0 for day in (2, 4)]) == fresh
    assert fresh < least_burst([end - day * 86_400.0 for day in (2, 3, 4, 5, 6, 7)]) < 400
    assert least_burst([end - day * 86_400.0 for day in (29, 30, 31, 32, 33, 34)]) == fresh
