from __future__ import annotations

import gzip
import json
import os
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.spread import StorySpread, ViralLine
from monitor.spread.cascades import Cascade, judge, read_cascades, replay
from monitor.spread.forecast import NO_RANK, Forecaster, packaged, read_models, write_models
from monitor.spread.growth import Growth, age_of, arrived
from monitor.spread.signs import NAMES, signs
from monitor.spread.trees import grow, pack, unpack

SHARED = Path(os.environ.get("MONITOR_SHARED", "../shared"))
START = 1_700_000_000.0 // 604_800 * 604_800

times = st.lists(st.floats(0, 40 * 86400.0), min_size=1, max_size=200)


@settings(deadline=None, max_examples=50)
@given(times, st.randoms(use_true_random=False))
def test_the_growth_curve_loses_nobody_and_takes_any_order(found, rng):
    growth, shuffled = Growth(), Growth()
    for t in found:
        growth.add(START + t, 1.0)
    for t in rng.sample(found, len(found)):
        shuffled.add(START + t, 1.0)
    now = START + max(found) + 60.0
    ages, voices = growth.curve(now)
    assert sum(growth.cells.values()) == pytest.approx(len(found))
    assert sum(shuffled.cells.values()) == pytest.approx(len(found))
    assert voices[-1] == pytest.approx(len(found))
    assert all(a >= b for a, b in pairwise(ages))
    for age in (60.0, 3600.0, 86400.0):
        exact = sum(START + t <= now - age for t in found)
        low = sum(START + t <= now - age * 1.4 - 90.0 for t in found)
        high = sum(START + t <= now - age * 0.6 + 90.0 for t in found)
        assert low - 1e-6 <= arrived(ages, voices, age) <= high + 1e-6, exact
    assert all(0.0 <= age_of(ages, voices, q) <= 1.5 * (now - START) + 60.0 for q in (0.25, 0.5, 0.9))


def test_the_growth_curve_stays_small():
    growth = Growth()
    for minute in range(30 * 1440):
        growth.add(START + 60.0 * minute, 1.0)
    assert len(growth.cells) < 120


def test_a_forest_learns_an_interaction_and_survives_being_written():
    rng = np.random.default_rng(1)
    rows = rng.random((3000, 4))
    target = np.where(rows[:, 0] > 0.5, np.where(rows[:, 1] > 0.5, 5.0, 2.0), -1.0)
    forest = grow(rows, target, np.ones(3000), trees=120, depth=3, rate=0.2, calm=5.0, part=1.0)
    assert np.median(np.abs(forest.read_all(rows) - target)) < 0.3
    again = unpack(pack(forest))
    assert again.read(rows[0]) == pytest.approx(forest.read(rows[0]), abs=1e-4)
    assert forest.read_all(rows[:5]) == pytest.approx([forest.read(r) for r in rows[:5]])


@pytest.mark.parametrize("platform", ["general", "twitter", "weibo"])
def test_the_packaged_forecasters_survive_being_written(platform):
    model = packaged(platform)
    again = read_models(write_models({platform: model}))[platform]
    story = StorySpread()
    for i in range(30):
        story.observe(START + 20.0 * i, i, None, "repost", None)
    seen = signs(story, START + 700.0)
    assert again.predict(seen, ViralLine(200.0)) == model.predict(seen, ViralLine(200.0))
    assert all(isfinite(x) for x in seen.row)
    assert len(seen.row) == len(NAMES)


def test_what_is_no_file_of_forecasters_is_refused():
    with pytest.raises(ValueError, match="monitor spread train"):
        read_models(b"junk")
    with pytest.raises(KeyError, match="no forecaster"):
        packaged("myspace")
    with pytest.raises(KeyError, match="budget"):
        packaged("twitter").at_budget(0.5)


def test_thresholds_rise_with_the_line_and_fall_with_the_budget():
    model = packaged("twitter")
    for budget in (0.01, 0.05):
        ranks = [model.at_budget(budget).at(line) for line in (300.0, 600.0, 1286.0, 2000.0)]
        assert all(a <= b for a, b in pairwise(ranks))
    assert model.at_budget(0.01).at(1286.0) >= model.at_budget(0.05).at(1286.0)


def test_a_story_with_too_little_growth_to_come_ranks_below_all():
    model = packaged("twitter")
    young, old = (seen for _, _, seen in replay(cascade(), (300, 172_800)))
    assert model.rank(young, 0.4) == model.rank(young) > NO_RANK
    assert model.rank(old) > model.rank(old, 0.4) == NO_RANK


def cascade(n=900, scale=900.0, cut=None):
    rng = np.random.default_rng(4)
    found = sorted(float(x) for x in scale * rng.pareto(1.0, n) if x * scale < 600_000)
    if cut is not None:
        found = [t for t in found if t <= cut]
    return Cascade("c", START, 500, tuple(found))


@pytest.mark.parametrize("cut", [900.0, 3600.0, 20_000.0])
def test_a_cascade_cut_in_the_middle_gives_the_same_until_the_cut(cut):
    model = packaged("twitter")
    whole, begun = judge(cascade(), model, 0.05, 700.0), judge(cascade(cut=cut), model, 0.05, 700.0)
    for age in whole["pred"]:
        if float(age) <= cut:
            assert [begun[k][age] for k in ("pred", "lo", "hi")] == [whole[k][age] for k in ("pred", "lo", "hi")]
    if whole["alert_time"] is not None and whole["alert_time"] <= cut:
        assert begun["alert_time"] == whole["alert_time"]


def test_forecasts_close_in_on_the_final_size():
    final = len(cascade().times) + 1
    errors = [
        abs(packaged("twitter").predict(s, ViralLine(500.0)).q50 - final) / final for _, _, s in replay(cascade())
    ]
    assert np.mean(errors[-10:]) < np.mean(errors[:10])


def test_every_form_of_cascade_is_read(tmp_path):
    rows = [
        {"id": "a", "t0": 5, "root_followers": 3, "t": [1, 2, 700_000]},
        {"id": "b", "events": [[0, 10], [4, 20], [9, None]]},
        {"id": "c", "times": [0, 3.5]},
    ]
    path = tmp_path / "x.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    a, b, c = read_cascades(path)
    assert (a.times, a.root_followers, a.start) == ((1.0, 2.0), 3, 5.0)
    assert (b.times, b.followers, b.root_followers) == ((4.0, 9.0), (20, None), 10)
    assert c.times == (3.5,)
    path.write_bytes(gzip.compress(b'{"id": "a", "t": [1]}\n{"id": 1}\n'))
    with pytest.raises(ValueError, match="line 2"):
        list(read_cascades(path))


@pytest.mark.shared
def test_most_finals_lie_inside_the_interval():
    data = SHARED / "bench/spread/public/cascades/twitter.jsonl.gz"
    if not data.exists():
        pytest.skip("MONITOR_SHARED has no cascades")
    model: Forecaster = packaged("twitter")
    inside = []
    for number, one in enumerate(read_cascades(data)):
        if number % 12 == 0:
            row = judge(one, model, 0.01, 1285.0)
            inside += [row["lo"][a] <= len(one.times) <= row["hi"][a] for a in row["pred"]]
    assert 0.7 < np.mean(inside) < 0.95
