from __future__ import annotations

import gzip
import json
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.spread import train
from monitor.spread.cascades import Cascade
from monitor.spread.cli import OTHERS, PLATFORMS, app
from monitor.spread.forecast import read_models


def write_cascades(folder, name, n, seed):
    rng = np.random.default_rng(seed)
    with gzip.open(folder / f"{name}.jsonl.gz", "wt") as out:
        for i in range(n):
            times = np.sort(rng.exponential(2000.0, int(rng.pareto(1.0) * 4) + 1)).round(1).tolist()
            out.write(
                json.dumps({"id": f"{name}{i}", "t0": 1.4e9 + 777.0 * i, "root_followers": 10 * i, "t": times}) + "\n"
            )


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Small sets of every name that training wants, and forests small enough to be grown in a moment."""
    for forests in (train.FORESTS, train.RANKINGS, train.SPREADS):
        monkeypatch.setitem(forests, "trees", 4)
    monkeypatch.setattr(train, "SILENT", 10)
    for seed, name in enumerate((*PLATFORMS, *OTHERS)):
        write_cascades(tmp_path, name, 30 if name in PLATFORMS else 6, seed)
    return tmp_path


def run(data, out, *more):
    said = CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(out), *more])
    assert said.exit_code == 0, said.output
    return out.read_bytes()


def test_training_makes_the_same_file_from_the_same_data(data):
    first = run(data, data / "one.msgpack", "--check", str(data / "held"))
    assert run(data, data / "two.msgpack") == first
    assert sorted(read_models(first)) == ["general", "twitter", "weibo"]
    for platform in PLATFORMS:
        for budget in train.BUDGETS:
            rows = [json.loads(line) for line in (data / "held" / f"{platform}-{budget}.jsonl").open()]
            assert sorted(row["cascade_id"] for row in rows) == sorted(f"{platform}{i}" for i in range(30))
            assert {row["fold"] for row in rows} == set(range(train.FOLDS))
            for row in rows:
                assert all(row["lo"][age] <= row["pred"][age] <= row["hi"][age] for age in row["pred"])


def test_one_forecaster_is_trained_anew_and_the_others_are_kept(data):
    out = data / "models.msgpack"
    whole = read_models(run(data, out))
    again = read_models(run(data, out, "--only", "weibo"))
    assert again["twitter"].thresholds == whole["twitter"].thresholds
    assert again["weibo"].thresholds == whole["weibo"].thresholds


def test_data_that_lack_a_set_are_refused_by_name(data):
    (data / "weibo.jsonl.gz").unlink()
    said = CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(data / "x")])
    assert said.exit_code != 0
    assert "weibo.jsonl.gz" in said.output


def some_rows(n=400, ages=(600.0, 3600.0)):
    rng = np.random.default_rng(5)
    final = 10.0 + rng.pareto(1.0, n) * 40.0
    cascade = np.repeat(np.arange(n), len(ages))
    age = np.tile(ages, n)
    share = np.where(age == ages[0], rng.uniform(0.1, 1.0, 2 * n), 0.95)
    seen = np.maximum(final[cascade] * share, 2.0)
    return train.Table(
        cascade, age, seen, np.maximum(final[cascade], seen), np.zeros((2 * n, 1)), np.zeros(2 * n), seen
    )


def test_large_cascades_count_more_for_the_ends_of_an_interval_than_for_its_middle():
    table = some_rows()
    n = len(table.age)
    growth, spread, even = np.zeros(n), np.ones(n), np.ones(n)
    ends = np.exp(0.3 * table.growth)
    plain = train.error_tables(table, even, growth, spread)
    tilted = train.error_tables(table, even, growth, spread, ends)
    whole = train.error_tables(table, ends, growth, spread)
    middle, low = train.PROBABILITIES.index(0.5), train.PROBABILITIES.index(0.1)
    assert all(t[middle] == p[middle] for t, p in zip(tilted, plain, strict=True))
    assert all(t[low] == w[low] for t, w in zip(tilted, whole, strict=True))
    assert any(t[low] > p[low] for t, p in zip(tilted, plain, strict=True))
    assert all(a <= b for row in tilted for a, b in pairwise(row))


def test_errors_of_the_smallest_and_the_largest_cascades_weigh_more_towards_the_ends_of_an_interval():
    table = some_rows()
    even = np.ones(len(table.age))
    recipe = train.Recipe(rate_weight=0.0, calm=False, importance=0.0, extremes=0.5)
    by_size = train.importance(table, even, recipe)[np.argsort(table.final, kind="stable")]
    small, middle, large = by_size[0], by_size[len(by_size) // 2], by_size[-1]
    assert middle == pytest.approx(1.0, abs=0.01)
    assert small == pytest.approx(large, rel=0.01)
    assert large == pytest.approx(np.exp(0.5), rel=0.01)
    plain = train.Recipe(rate_weight=0.0, calm=False, importance=0.3, extremes=0.0)
    assert train.importance(table, 2.0 * even, plain) == pytest.approx(2.0 * table.final**0.3)


def test_what_is_nearly_grown_uses_up_no_false_alarms_of_the_larger_budget():
    table = some_rows()
    rank = np.log(table.final)
    nearly = table.growth < train.LEAST_GROWTH[0.05]
    assert nearly.any()
    assert not nearly.all()
    tight, wide = train.thresholds_of(table, rank, table.growth, 1.0)
    assert (tight.least_growth, wide.least_growth) == (0.0, pytest.approx(0.405, abs=0.001))
    line = wide.lines[5]
    for thresholds, out in ((tight, np.zeros(len(rank), dtype=bool)), (wide, nearly)):
        alarmed = np.unique(table.cascade[(rank > thresholds.at(line)) & ~out & (table.final < line)])
        below = len(np.unique(table.cascade[table.final < line]))
        assert len(alarmed) == pytest.approx(thresholds.budget * below, abs=2)


def test_a_table_holds_what_a_story_counts_beside_what_was_told():
    times = tuple(float(t) for t in range(1, 2001))
    table = train.tabulate([Cascade("c", 1.4e9, None, times)], (60, 600, 3600))
    assert table.told.tolist() == [60.0, 600.0, 2000.0]
    assert table.voices[0] == 61.0
    assert table.voices == pytest.approx(table.seen, rel=0.03)
    assert table.voices[2] != table.seen[2]
    assert table.rest == pytest.approx(table.growth, abs=0.03)
