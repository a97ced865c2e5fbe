from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.spread import train
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
