"""The dashboards for Grafana: what the code makes, of metrics that there are."""

from __future__ import annotations

import json
import re
import sys

import pytest

from monitor.telemetry.metrics import Metrics
from tests.conftest import REPOSITORY

pytest.importorskip("grafana_foundation_sdk", reason="the dashboards' builder is not installed")
sys.path.insert(0, str(REPOSITORY / "tools"))
import dashboards
import rules


@pytest.mark.parametrize("name", sorted(dashboards.DASHBOARDS))
def test_the_files_are_what_the_code_makes(name):
    path = dashboards.FOLDER / f"{name}.json"
    assert path.read_text() == dashboards.made(name), "run `make dashboards`"
    panels = json.loads(path.read_text())["panels"]
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


def _known() -> set[str]:
    metrics = Metrics()
    for part in ("score", "watch", "pages", "reloads"):
        getattr(metrics, part)
    names = {"monitor_progress_age_seconds"}
    for family in metrics.registry.collect():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names.update(family.name + ending for ending in endings)
    return names


def test_they_and_the_rules_speak_of_metrics_that_there_are():
    exprs = [expr for _, _, expr in dashboards.queries()]
    exprs += [expr for _, expr in rules.RECORDS] + [alert.expr for alert in rules.ALERTS]
    used = {name for expr in exprs for name in re.findall(r"\bmonitor_[a-z_]+", expr)}
    assert used - _known() == set()
