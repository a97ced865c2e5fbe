"""The rules for Prometheus: made from their template, well formed, each with its runbook, firing when they should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY
from tests.support.programs import program

sys.path.insert(0, str(REPOSITORY / "tools"))
import rules

NAMES = [alert.name for alert in rules.ALERTS]

UP = {f'up{{job="monitor-{worker}",instance="{worker}-0"}}': "1x400" for worker in rules.WORKERS}
HEALTHY = {
    **UP,
    'monitor_progress_age_seconds{job="monitor-score",instance="score-0",stage="score"}': "0x400",
    'process_start_time_seconds{job="monitor-score",instance="score-0"}': "5x400",
    'monitor_kafka_partitions{job="monitor-watch",topic="readings"}': "8x400",
    'monitor_kafka_partitions_owned{job="monitor-watch",topic="readings",instance="w0"}': "4x400",
    'monitor_kafka_partitions_owned{job="monitor-watch",topic="readings",instance="w1"}': "4x400",
    'monitor_kafka_lag_records{job="monitor-watch",topic="readings",partition="0"}': "3x400",
    'monitor_score_lag_seconds{job="monitor-score",partition="0"}': "0.2x400",
    'monitor_event_lag_seconds{job="monitor-watch",partition="0"}': "1.5x400",
    'monitor_behind{job="monitor-watch",partition="0"}': "0x400",
    'monitor_mentions_total{job="monitor-score",outcome="read",source="blog"}': "0+600x400",
    'monitor_source_last_mention_timestamp_seconds{job="monitor-score",source="blog"}': "0+60x400",
    'monitor_read_seconds_bucket{job="monitor-score",le="5.0"}': "0+600x400",
    'monitor_read_seconds_count{job="monitor-score"}': "0+600x400",
    'monitor_page_promises_total{job="monitor-dispatch",kept="true"}': "0+1x400",
    'monitor_page_promises_total{job="monitor-dispatch",kept="false"}': "0x400",
    'monitor_outbox_late_pages{job="monitor-dispatch"}': "0x400",
    'monitor_pages_total{job="monitor-dispatch",channel="desk",outcome="accepted"}': "0+1x400",
    'monitor_pages_total{job="monitor-dispatch",channel="desk",outcome="gave_up"}': "0x400",
    'monitor_store_retries_total{job="monitor-watch"}': "0x400",
    'monitor_dispatch_errors_total{job="monitor-dispatch",error="OperationalError"}': "0x400",
    'monitor_readings_unreadable_total{job="monitor-watch"}': "0x400",
    'monitor_model_seconds_sum{job="monitor-score",instance="score-0"}': "0+20x400",
    'monitor_reload_refused{job="monitor-dispatch",instance="dispatch-0"}': "0x400",
    'monitor_reloads_total{job="monitor-dispatch",outcome="loaded"}': "0+0.1x400",
    'monitor_rule_errors_total{job="monitor-watch",rule="mine"}': "0x400",
    'monitor_incident_events_total{job="monitor-dispatch",kind="opened"}': "0+0.5x400",
    'monitor_incident_events_total{job="monitor-dispatch",kind="dismissed"}': "0+0.02x400",
    'monitor_lead_time_seconds_bucket{job="monitor-dispatch",le="900.0"}': "0+0.02x400",
    'monitor_lead_time_seconds_count{job="monitor-dispatch"}': "0+0.2x400",
}
"""What a well run shows, a sample a minute; `ax400` stays, `0+ax400` grows."""


def _named(*parts: str) -> str:
    """Return the healthy series whose name holds all of these."""
    (found,) = [name for name in HEALTHY if all(part in name for part in parts)]
    return found


READ_OK, READ_ALL = _named("read_seconds_bucket"), _named("read_seconds_count")
LATE = _named("outbox_late")
BROKEN = _named("promises", "false")
MENTIONS = _named("mentions_total")
SILENT_SINCE_2H = {MENTIONS: "0+600x60 36000x400", _named("last_mention"): "0+60x60 3600x400"}

# Name of the alert: (when it is looked at, what differs from the healthy run so that it fires, so that it does not).
CASES: dict[str, tuple[str, dict[str, str], dict[str, str] | None]] = {
    "MonitorDeadMansSwitch": ("5m", {}, None),
    "MonitorScoreDown": ("10m", {_named("up{", "score"): "1x5 0x60"}, {_named("up{", "score"): "1x9 0x60"}),
    "MonitorWatchDown": (
        "15m",
        {_named("up{", "watch"): "1x5 _x60"},
        {'up{job="monitor-watch",instance="w9"}': "1x60"},
    ),
    "MonitorDispatchDown": ("10m", {_named("up{", "dispatch"): "0x60"}, {}),
    "MonitorServeDown": ("10m", {_named("up{", "serve"): "0x60"}, {}),
    "MonitorWorkerUnreachable": (
        "10m",
        {'up{job="monitor-score",instance="score-1"}': "0x60"},
        {'up{job="other",instance="x"}': "0x60"},
    ),
    "MonitorWorkerStuck": ("10m", {_named("progress_age"): "0+60x60"}, {_named("progress_age"): "90x60"}),
    "MonitorWorkerRestarts": (
        "15m",
        {_named("process_start"): "1 2 3 4 5 6 6 6 6 6 6 6 6 6 6 6"},
        {_named("process_start"): "1 2 3 3 3 3 3 3 3 3 3 3 3 3 3 3"},
    ),
    "MonitorPartitionsUnowned": ("15m", {_named("owned", "w1"): "4x5 _x60"}, {_named("owned", "w1"): "4x12 2 4x60"}),
    "MonitorReadBudgetBurnsFast": ("2h", {READ_OK: "0+300x400"}, {READ_OK: "0+570x400"}),
    "MonitorReadBudgetBurns": ("90m", {READ_OK: "0+576x400"}, {READ_OK: "0+596x400"}),
    "MonitorPageBudgetBurnsFast": ("2h", {BROKEN: "0+0.1x400"}, {BROKEN: "0+0.001x400"}),
    "MonitorPageBudgetBurns": ("90m", {BROKEN: "0+0.005x400"}, {BROKEN: "0+0.0005x400"}),
    "MonitorPagesLate": ("10m", {LATE: "0x5 3x60"}, {LATE: "0x5 3 0x60"}),
    "MonitorPagesLost": (
        "10m",
        {_named("pages_total", "gave_up"): "0x5 1x60"},
        {'monitor_pages_total{job="monitor-dispatch",channel="desk",outcome="cancelled"}': "0+1x60"},
    ),
    "MonitorScoreBehind": ("10m", {_named("score_lag"): "0+30x60"}, {_named("score_lag"): "59x60"}),
    "MonitorWatchBehind": (
        "10m",
        {_named("lag_records"): "501x60"},
        {'monitor_kafka_lag_records{job="monitor-score",topic="mentions",partition="0"}': "100000x60"},
    ),
    "MonitorEventTimeBehind": ("10m", {_named("event_lag"): "121x60"}, {_named("event_lag"): "119x60"}),
    "MonitorDecidesNothing": ("20m", {_named("behind{"): "1x60"}, {_named("behind{"): "1x12 0 1x60"}),
    "MonitorSourceSilent": ("90m", SILENT_SINCE_2H, {_named("last_mention"): "0+60x85 5100x400"}),
    "MonitorNoMentions": ("90m", {MENTIONS: "0+600x60 36000x400"}, {MENTIONS: "0+600x85 51000x400"}),
    "MonitorUmbrellaDown": (
        "20m",
        {'monitor_umbrella_down_seconds{job="monitor-watch",brand="aurora"}': "_x5 3000+60x60"},
        {'monitor_umbrella_down_seconds{job="monitor-watch",brand="aurora"}': "_x5 3000+60x3 stale"},
    ),
    "MonitorStoreFailing": (
        "10m",
        {_named("store_retries"): "0x5 2 4 6 8 10 12 14 16"},
        {_named("store_retries"): "0x5 1x60"},
    ),
    "MonitorDeadLetters": (
        "30m",
        {'monitor_mentions_total{job="monitor-score",outcome="dead",source="other"}': "0+60x60"},
        {'monitor_mentions_total{job="monitor-score",outcome="dead",source="other"}': "0+20x60"},
    ),
    "MonitorReadingsUnreadable": ("10m", {_named("unreadable"): "0x5 1x60"}, {}),
    "MonitorModelSaturated": ("40m", {_named("model_seconds"): "0+57x60"}, {_named("model_seconds"): "0+50x60"}),
    "MonitorDispatchErrors": (
        "30m",
        {'monitor_dispatch_errors_total{job="monitor-dispatch",error="KeyError"}': "0+1x60"},
        {'monitor_dispatch_errors_total{job="monitor-dispatch",error="KeyError"}': "0x5 9x60"},
    ),
    "MonitorReloadRefused": ("15m", {_named("reload_refused"): "0x5 1x60"}, {_named("reload_refused"): "0x5 1 1 0x60"}),
    "MonitorRuleErrors": ("30m", {_named("rule_errors"): "0+1x60"}, {_named("rule_errors"): "0x5 9x60"}),
    "MonitorFalseAlarms": (
        "90m",
        {_named("incident_events", "dismissed"): "0+0.3x400"},
        {_named("incident_events", "dismissed"): "0+0.2x400"},
    ),
    "MonitorWarnsTooLate": (
        "90m",
        {_named("lead_time_seconds_bucket"): "0+0.12x400"},
        {_named("lead_time_seconds_bucket"): "0+0.08x400"},
    ),
}


def test_the_files_are_what_the_template_makes():
    yaml = YAML(typ="safe")
    for path, made in ((rules.PLAIN, rules.groups()), (rules.OPERATOR, rules.operator())):
        assert yaml.load(path) == made, f"{path.name} is not what tools/rules.py makes: run `make rules`"


def test_they_are_well_formed_at_any_scale(tmp_path):
    promtool = program("promtool", "Debian: apt install prometheus")
    for scale in (1.0, 0.01):
        path = tmp_path / f"{scale}.yaml"
        with path.open("w") as out:
            YAML().dump(rules.groups(scale=scale), out)
        done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_scaled_rules_keep_their_shape():
    first, scaled = (rules.groups(scale=scale)["groups"][1]["rules"] for scale in (1.0, 0.01))
    silent = next(number for number, rule in enumerate(first) if rule["alert"] == "MonitorSourceSilent")
    assert "20 * 21600" in first[silent]["expr"]
    assert "20 * 216 " in scaled[silent]["expr"]
    assert (first[silent]["for"], scaled[silent]["for"]) == ("1m", "600ms")
    assert [rule["annotations"] for rule in first] == [rule["annotations"] for rule in scaled]


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_has_a_runbook(name):
    page = (REPOSITORY / rules.RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    for heading in ("## What it means", "## Look", "## Do", "## It is over when"):
        assert heading in page, heading
    alert = rules.ALERTS[NAMES.index(name)]
    metrics = set(re.findall(r"monitor_[a-z_]+", alert.expr)) - {"monitor_"}
    assert not metrics or any(metric in page for metric in metrics), "it names no metric of the alert"


def test_no_runbook_is_left_over():
    pages = {path.stem for path in (REPOSITORY / rules.RUNBOOKS).glob("*.md")} - {"README"}
    assert pages == set(NAMES)


def test_each_alert_is_tried():
    assert set(CASES) == set(NAMES)


def test_they_fire_when_they_should_and_only_then(tmp_path):
    promtool = program("promtool", "Debian: apt install prometheus")
    tests = [_test("healthy", "2h", {}, 'ALERTS{alertname!="MonitorDeadMansSwitch"}', None)]
    for name, (at, firing, silent) in CASES.items():
        query = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > 0'
        tests.append(_test(f"{name} fires", at, firing, f"{query} > bool 0", 1))
        if silent is not None:
            tests.append(_test(f"{name} is silent", at, silent, query, None))
    file = tmp_path / "test.yaml"
    with file.open("w") as out:
        YAML().dump({"rule_files": [str(rules.PLAIN)], "evaluation_interval": "1m", "tests": tests}, out)
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(name: str, at: str, changed: dict[str, str], query: str, value: int | None) -> dict[str, Any]:
    series = {**HEALTHY, **changed}
    expected = [] if value is None else [{"labels": "{}", "value": value}]
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items() if values],
        "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": expected}],
    }


def test_the_configurations_are_well_formed():
    promtool, amtool = (
        program("promtool", "Debian: apt install prometheus"),
        program("amtool", "Debian: apt install prometheus-alertmanager"),
    )
    folder = Path(rules.PLAIN).parent
    for argv in (
        [promtool, "check", "config", folder / "prometheus.yaml"],
        [amtool, "check-config", folder / "alertmanager.yaml"],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
