"""Writes the rules for Prometheus, all forms of them from one template: `make rules`.

`deploy/prometheus/monitor.rules.yaml` is for Prometheus itself, `k8s/base/prometheus-rules.yaml` the same for its
operator. In an expression `[[5m]]` is a duration and `[[=5m]]` the same as a number of seconds: tests write the same
rules with all of them scaled down (`--scale`), so that what takes hours takes seconds.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ROOT / "deploy" / "prometheus" / "monitor.rules.yaml"
OPERATOR = ROOT / "k8s" / "base" / "prometheus-rules.yaml"
RUNBOOKS = "docs/runbooks"
HEAD = "# Made by `make rules` from tools/rules.py.\n"

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WORKERS = ("score", "watch", "dispatch", "serve")
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

READ_TARGET, PAGE_TARGET = 0.99, 0.999
"""The share of mentions read within 5 s of their append; of pages taken within 30 s of their decision."""

FAST = (("14.4", "1h", "5m"), ("6", "6h", "30m"))
SLOW = (("3", "1d", "2h"), ("1", "3d", "6h"))
"""Burn rate, long and short window: 2 % of 30 days' budget in an hour, 5 % in six, 10 % in a day or three
(Beyer et al., The Site Reliability Workbook, 2018, chapter 5)."""


class Alert(NamedTuple):
    """An alert; `wait`: for how long it must hold. `page` wakes somebody, `ticket` waits for the morning."""

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    description: str


def _burns(record: str, target: float, pairs: tuple[tuple[str, str, str], ...]) -> str:
    budget = f"{1 - target:.4g}"
    return "\nor\n".join(
        f"(monitor:{record}:ratio{long} > {factor} * {budget} and monitor:{record}:ratio{short} > {factor} * {budget})"
        for factor, long, short in pairs
    )


def _down(worker: str, what: str) -> Alert:
    return Alert(
        f"Monitor{worker.capitalize()}Down",
        f'absent(up{{job="monitor-{worker}"}} == 1)',
        "1m",
        "page",
        f"No {worker} worker answers",
        f"Prometheus reaches no {worker} worker. {what}",
    )


_READ_LATE = """\
1 - sum(rate(monitor_read_seconds_bucket{le="5.0"}WINDOW)) / sum(rate(monitor_read_seconds_countWINDOW))"""
_PAGE_LATE = """\
(sum(increase(monitor_page_promises_total{kept="false"}WINDOW)) + max(monitor_outbox_late_pages))
  / (sum(increase(monitor_page_promises_totalWINDOW)) + max(monitor_outbox_late_pages))"""

RECORDS: list[tuple[str, str]] = [
    ("monitor:mentions:rate5m", "sum by (outcome) (rate(monitor_mentions_total[[[5m]]]))"),
    ("monitor:source_mentions:increase6h", "sum by (source) (increase(monitor_mentions_total[[[6h]]]))"),
    (
        "monitor:source_last_mention:timestamp_seconds",
        "max by (source) (max_over_time(monitor_source_last_mention_timestamp_seconds[[[1d]]]))",
    ),
    ("monitor:kafka_lag:records", "max by (job, topic, partition) (monitor_kafka_lag_records)"),
    *((f"monitor:read_late:ratio{window}", _READ_LATE.replace("WINDOW", f"[[[{window}]]]")) for window in WINDOWS),
    *((f"monitor:page_late:ratio{window}", _PAGE_LATE.replace("WINDOW", f"[[[{window}]]]")) for window in WINDOWS),
]

ALERTS: list[Alert] = [
    Alert(
        "MonitorDeadMansSwitch",
        "vector(1)",
        "0s",
        "none",
        "Prometheus and Alertmanager work",
        "Always fires. Whoever gets it raises the alarm when it stops coming.",
    ),
    _down("score", "Mentions wait in Kafka unread; nobody is paged about anything new."),
    _down("watch", "Nothing is grouped, judged or decided; nobody is paged about anything new."),
    _down("dispatch", "Pages that were decided wait in the outbox and reach nobody."),
    _down("serve", "People get pages, but their links do not work: nobody can acknowledge or answer."),
    Alert(
        "MonitorWorkerUnreachable",
        'up{job=~"monitor-.+"} == 0',
        "5m",
        "ticket",
        "{{ $labels.instance }} of {{ $labels.job }} is not reached",
        "One worker of several does not answer Prometheus. The others do its work if they can.",
    ),
    Alert(
        "MonitorWorkerStuck",
        'monitor_progress_age_seconds{job=~"monitor-.+"} > 120',
        "1m",
        "page",
        "{{ $labels.instance }} of {{ $labels.job }} makes no progress",
        "Its stage {{ $labels.stage }} has work and has not moved for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "MonitorWorkerRestarts",
        'changes(process_start_time_seconds{job=~"monitor-.+"}[[[15m]]]) > 3',
        "0s",
        "ticket",
        "{{ $labels.instance }} of {{ $labels.job }} starts again and again",
        "{{ $value }} starts in 15 minutes. A worker ends by itself when going on would be wrong; its log says why.",
    ),
    Alert(
        "MonitorPartitionsUnowned",
        "max by (topic) (monitor_kafka_partitions) - on (topic) sum by (topic) (monitor_kafka_partitions_owned) > 0",
        "2m",
        "page",
        "{{ $value }} partitions of {{ $labels.topic }} are read by nobody",
        "The workers that are there own fewer partitions than the topic has. What comes into the others waits.",
    ),
    Alert(
        "MonitorReadBudgetBurnsFast",
        _burns("read_late", READ_TARGET, FAST),
        "2m",
        "page",
        "Mentions are read too late",
        "{{ $value | humanizePercentage }} of the mentions were read later than 5 s after their append to Kafka "
        "(objective: 1 %). At this rate the month's budget is gone within days.",
    ),
    Alert(
        "MonitorReadBudgetBurns",
        _burns("read_late", READ_TARGET, SLOW),
        "15m",
        "ticket",
        "Mentions are read too late now and then",
        "{{ $value | humanizePercentage }} of the mentions were read later than 5 s after their append to Kafka "
        "(objective: 1 %).",
    ),
    Alert(
        "MonitorPageBudgetBurnsFast",
        _burns("page_late", PAGE_TARGET, FAST),
        "2m",
        "page",
        "Pages reach their receivers too late",
        "{{ $value | humanizePercentage }} of the pages were not taken by a receiver within 30 s of their decision "
        "(objective: 0.1 %).",
    ),
    Alert(
        "MonitorPageBudgetBurns",
        _burns("page_late", PAGE_TARGET, SLOW),
        "15m",
        "ticket",
        "Pages reach their receivers too late now and then",
        "{{ $value | humanizePercentage }} of the pages were not taken by a receiver within 30 s of their decision "
        "(objective: 0.1 %).",
    ),
    Alert(
        "MonitorPagesLate",
        "max(monitor_outbox_late_pages) > 0",
        "1m",
        "page",
        "{{ $value }} pages wait although they are due",
        "A receiver does not take them, or nobody sends them. People who should know do not know yet.",
    ),
    Alert(
        "MonitorPagesLost",
        'sum by (channel, outcome) (increase(monitor_pages_total{outcome=~"gave_up|refused|in_doubt"}[[[15m]]])) > 0',
        "0s",
        "page",
        "Pages over {{ $labels.channel }} ended as {{ $labels.outcome }}",
        "Whoever they were for has not been told, or it is not known. Nothing sends them again.",
    ),
    Alert(
        "MonitorScoreBehind",
        "max by (partition) (monitor_score_lag_seconds) > 60",
        "5m",
        "page",
        "Partition {{ $labels.partition }} of the mentions is read too slowly",
        "The next mention to be read was appended {{ $value | humanizeDuration }} ago.",
    ),
    Alert(
        "MonitorWatchBehind",
        'monitor:kafka_lag:records{job="monitor-watch"} > 500',
        "5m",
        "page",
        "Partition {{ $labels.partition }} of the readings is watched too slowly",
        "{{ $value }} records of {{ $labels.topic }} wait.",
    ),
    Alert(
        "MonitorEventTimeBehind",
        "max by (partition) (monitor_event_lag_seconds) > 120",
        "5m",
        "page",
        "Partition {{ $labels.partition }} lives in the past",
        "Its event time is {{ $value | humanizeDuration }} behind the wall clock: pages come that much later.",
    ),
    Alert(
        "MonitorDecidesNothing",
        "max by (partition) (monitor_behind) == 1",
        "10m",
        "page",
        "Partition {{ $labels.partition }} decides nothing",
        "It is so far behind that nothing is decided on the past. It pages again once it has caught up.",
    ),
    Alert(
        "MonitorSourceSilent",
        "(time() - monitor:source_last_mention:timestamp_seconds\n"
        "  > clamp_min(20 * [[=6h]] / (max_over_time(monitor:source_mentions:increase6h[[[1d]]]) > 20), [[=10m]]))\n"
        "unless sum by (source) (increase(monitor_mentions_total[[[1h]]] offset [[7d]])) == 0",
        "1m",
        "page",
        "{{ $labels.source }} is silent",
        "No mention from {{ $labels.source }} for {{ $value | humanizeDuration }}, more than 20 times its usual pause. "
        "That is no calm: what people say there is not seen.",
    ),
    Alert(
        "MonitorNoMentions",
        "sum(increase(monitor_mentions_total[[[10m]]])) == 0 and sum(increase(monitor_mentions_total[[[1d]]])) > 100",
        "5m",
        "page",
        "No mentions at all",
        "Nothing was read from any source for 15 minutes. Either nobody publishes any more, or nothing is read.",
    ),
    Alert(
        "MonitorUmbrellaDown",
        "max by (brand) (monitor_umbrella_down_seconds) > 0",
        "5m",
        "ticket",
        "Nothing is heard of {{ $labels.brand }}",
        "Silent for {{ $value | humanizeDuration }}, which calm does not explain. Its incidents stay open meanwhile, "
        "and what people say of it is not seen.",
    ),
    Alert(
        "MonitorStoreFailing",
        "sum by (job) (increase(monitor_store_retries_total[[[2m]]])) > 2\n"
        "or sum by (job) (\n"
        '  increase(monitor_dispatch_errors_total{error=~"OperationalError|StoreUnavailableError"}[[[2m]]])) > 2',
        "1m",
        "page",
        "The store does not take what {{ $labels.job }} writes",
        "It is locked, full or away. Nothing is lost while Kafka keeps the readings, but nobody is paged.",
    ),
    Alert(
        "MonitorDeadLetters",
        'sum(increase(monitor_mentions_total{outcome="dead"}[[[15m]]])) > 20\n'
        'and sum(increase(monitor_mentions_total{outcome="dead"}[[[15m]]]))\n'
        "  / sum(increase(monitor_mentions_total[[[15m]]])) > 0.05",
        "5m",
        "ticket",
        "Too many mentions cannot be read",
        "{{ $value }} records in 15 minutes went to the dead-letter topic.",
    ),
    Alert(
        "MonitorReadingsUnreadable",
        "sum(increase(monitor_readings_unreadable_total[[[15m]]])) > 0",
        "0s",
        "page",
        "The watching worker cannot read what the scoring worker wrote",
        "{{ $value }} records of readings were passed over, with every mention in them. Are both of one version?",
    ),
    Alert(
        "MonitorModelSaturated",
        "sum by (instance) (rate(monitor_model_seconds_sum[[[10m]]])) > 0.9",
        "15m",
        "ticket",
        "{{ $labels.instance }} reads all the time",
        "Its model was busy {{ $value | humanizePercentage }} of the time: a peak makes it fall behind.",
    ),
    Alert(
        "MonitorDispatchErrors",
        "sum by (error) (increase(monitor_dispatch_errors_total[[[15m]]])) > 10",
        "5m",
        "ticket",
        "The dispatcher goes on after errors",
        "{{ $value }} times {{ $labels.error }} in 15 minutes.",
    ),
    Alert(
        "MonitorReloadRefused",
        "max by (job) (monitor_reload_refused) > 0",
        "5m",
        "ticket",
        "{{ $labels.job }} refuses the files of rules, rota or brands",
        "The files as they stand now cannot be used, so the ones before go on to count: who changed them believes "
        "otherwise, and a worker that starts anew will not start.",
    ),
    Alert(
        "MonitorRuleErrors",
        "sum by (rule) (increase(monitor_rule_errors_total[[[15m]]])) > 10",
        "5m",
        "ticket",
        "The rule {{ $labels.rule }} cannot be evaluated",
        "{{ $value }} times in 15 minutes its condition failed, by a division by zero or a name that a story does not "
        "have. It keeps what it said before: it opens nothing new.",
    ),
    Alert(
        "MonitorFalseAlarms",
        'max(increase(monitor_incident_events_total{kind="dismissed"}[[[7d]]]))\n'
        '  / max(increase(monitor_incident_events_total{kind="opened"}[[[7d]]])) > 0.5\n'
        'and max(increase(monitor_incident_events_total{kind="opened"}[[[7d]]])) >= 10',
        "1h",
        "ticket",
        "Half of the incidents are dismissed",
        "{{ $value | humanizePercentage }} of a week's incidents were false alarms: people stop looking at pages.",
    ),
    Alert(
        "MonitorWarnsTooLate",
        'max(increase(monitor_lead_time_seconds_bucket{le="900.0"}[[[7d]]]))\n'
        "  / max(increase(monitor_lead_time_seconds_count[[[7d]]])) > 0.5\n"
        "and max(increase(monitor_lead_time_seconds_count[[[7d]]])) >= 5",
        "1h",
        "ticket",
        "Stories are viral before somebody can act",
        "{{ $value | humanizePercentage }} of a week's viral stories were paged less than 15 minutes before they "
        "crossed their line.",
    ),
]


def groups(*, scale: float = 1.0, runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """Return the rules as Prometheus reads them, with every duration times `scale` (a second at least)."""

    def scaled(text: str) -> str:
        def one(found: re.Match[str]) -> str:
            seconds = _seconds(found[2]) * scale
            if found[1]:
                return f"{seconds:g}"
            return found[2] if scale == 1 else f"{max(1000, round(seconds * 1000))}ms"

        return re.sub(r"\[\[(=?)(\d+[smhd])\]\]", one, text)

    def said(text: str) -> Any:
        return LiteralScalarString(text + "\n") if "\n" in text else text

    records = [{"record": name, "expr": said(scaled(expr))} for name, expr in RECORDS]
    alerts = [
        {
            "alert": alert.name,
            "expr": said(scaled(alert.expr)),
            "for": alert.wait if scale == 1 else f"{round(_seconds(alert.wait) * scale * 1000)}ms",
            "labels": {"severity": alert.severity, "service": "mention-monitor"},
            "annotations": {
                "summary": alert.summary,
                "description": alert.description,
                "runbook_url": f"{runbooks.rstrip('/')}/{alert.name}.md",
            },
        }
        for alert in ALERTS
    ]
    every = {} if scale == 1 else {"interval": f"{max(1000, round(15_000 * scale))}ms"}
    return {
        "groups": [
            {"name": "mention-monitor-records", **every, "rules": records},
            {"name": "mention-monitor-alerts", **every, "rules": alerts},
        ]
    }


def operator(*, runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """Return the same as the Prometheus operator reads them."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "mention-monitor"},
        "spec": groups(runbooks=runbooks),
    }


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]]


def main() -> None:
    """Write both files, or one of scaled rules to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, help="where the pages of docs/runbooks are served")
    parser.add_argument("--scale", type=float, help="print the rules with all times multiplied by this")
    options = parser.parse_args()
    yaml = YAML()
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    if options.scale is not None:
        yaml.dump(groups(scale=options.scale, runbooks=options.runbooks), sys.stdout)
        return
    for path, content in ((PLAIN, groups(runbooks=options.runbooks)), (OPERATOR, operator(runbooks=options.runbooks))):
        with path.open("w") as out:
            out.write(HEAD)
            yaml.dump(content, out)


if __name__ == "__main__":
    main()
