"""Writes the two dashboards for Grafana: `make dashboards`. A test runs every query of theirs on a real run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
WINDOW = "$__rate_interval"


class Query(NamedTuple):
    """A query and what its lines are called."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """A panel: what it shows and what to think of it. `kind`: `line`, `stack` (lines that add up) or `number`."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "line"
    span: int = 8


class Row(NamedTuple):
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


def _share(late: str, most: str) -> str:
    return f"clamp_max({late} / {most}, 10)"


WORKING: tuple[Row, ...] = (
    Row(
        "Is it working",
        (
            Panel(
                "Workers up",
                "Those that Prometheus reaches.",
                "short",
                (Query('sum by (job) (up{job=~"monitor-.+"})', "{{job}}"),),
                "number",
            ),
            Panel(
                "Read in time",
                "Mentions read within 5 s of their append to Kafka, in the last hour. Objective: 99 %.",
                "percentunit",
                (
                    Query(
                        'sum(increase(monitor_read_seconds_bucket{le="5.0"}[1h]))'
                        " / sum(increase(monitor_read_seconds_count[1h]))"
                    ),
                ),
                "number",
            ),
            Panel(
                "Pages in time",
                "Pages taken by a receiver within 30 s of their decision, in the last day. Objective: 99.9 %.",
                "percentunit",
                (
                    Query(
                        'sum(increase(monitor_page_promises_total{kept="true"}[1d]))'
                        " / (sum(increase(monitor_page_promises_total[1d])) + max(monitor_outbox_late_pages))"
                    ),
                ),
                "number",
            ),
            Panel(
                "Alerts",
                "What fires now. The dead man's switch is left out; its absence would be the news.",
                "short",
                (Query('count(ALERTS{alertstate="firing",alertname!="MonitorDeadMansSwitch"}) or vector(0)'),),
                "number",
            ),
            Panel(
                "Pages that wait too long",
                "Due, and not taken by any receiver yet.",
                "short",
                (Query("max(monitor_outbox_late_pages)"),),
                "number",
            ),
            Panel(
                "Partitions without an owner",
                "Of each topic. More than 0 for longer than a rebalance: what comes in there waits.",
                "short",
                (
                    Query(
                        "max by (topic) (monitor_kafka_partitions)"
                        " - on (topic) sum by (topic) (monitor_kafka_partitions_owned)",
                        "{{topic}}",
                    ),
                ),
                "number",
            ),
        ),
    ),
    Row(
        "Where it waits",
        (
            Panel(
                "Mentions",
                "What became of them, a second.",
                "short",
                (Query(f"sum by (outcome) (rate(monitor_mentions_total[{WINDOW}]))", "{{outcome}}"),),
                "stack",
            ),
            Panel(
                "Kafka lag",
                "Records that wait, the worst partition of each topic.",
                "short",
                (Query("max by (topic) (monitor_kafka_lag_records)", "{{topic}}"),),
            ),
            Panel(
                "Event time behind",
                "How old the present is, the worst partition. Over 300 s nothing is decided.",
                "s",
                (
                    Query("max(monitor_event_lag_seconds)", "readings"),
                    Query("max(monitor_score_lag_seconds)", "mentions"),
                    Query("300 * max(monitor_behind)", "nothing is decided"),
                ),
            ),
            Panel(
                "Brands unheard",
                "Umbrella brands of which nothing is heard, for longer than calm explains.",
                "short",
                (Query("count(monitor_umbrella_down_seconds) or vector(0)", "brands"),),
            ),
            Panel(
                "Append to reading",
                "Seconds from a mention's append to Kafka until its reading is acknowledged.",
                "s",
                tuple(
                    Query(f"histogram_quantile({q}, sum by (le) (rate(monitor_read_seconds_bucket[{WINDOW}])))", f"{q}")
                    for q in (0.5, 0.99)
                ),
            ),
            Panel(
                "Published to page",
                "Seconds from the publishing of what tipped a decision until a receiver took the page.",
                "s",
                tuple(
                    Query(
                        f"histogram_quantile({q}, sum by (le) (increase(monitor_publish_to_page_seconds_bucket[6h])))",
                        f"{q}",
                    )
                    for q in (0.5, 0.95)
                ),
            ),
            Panel(
                "Since each source spoke",
                "A source that is silent looks calm, and is not.",
                "s",
                (
                    Query(
                        "time() - max by (source) (max_over_time(monitor_source_last_mention_timestamp_seconds[1d]))",
                        "{{source}}",
                    ),
                ),
            ),
        ),
    ),
    Row(
        "How busy it is",
        (
            Panel(
                "Model",
                "The share of time in which each worker's model reads. Near 1 a peak makes it fall behind.",
                "percentunit",
                (Query(f"sum by (instance) (rate(monitor_model_seconds_sum[{WINDOW}]))", "{{instance}}"),),
            ),
            Panel(
                "Rounds",
                "How full score's rounds are. Full ones mean that it is behind.",
                "percentunit",
                (
                    Query(
                        f"sum(rate(monitor_score_round_mentions_sum[{WINDOW}]))"
                        f" / sum(rate(monitor_score_round_mentions_count[{WINDOW}]))"
                        " / max(monitor_score_round_limit_mentions)",
                        "full",
                    ),
                    Query(
                        f'sum(rate(monitor_cache_lookups_total{{result="hit"}}[{WINDOW}]))'
                        f" / sum(rate(monitor_cache_lookups_total[{WINDOW}])) or vector(0)",
                        "texts from the cache",
                    ),
                ),
            ),
            Panel(
                "Engine and store",
                "The share of time that watch works out changes, and writes them.",
                "percentunit",
                (
                    Query(f"sum by (instance) (rate(monitor_engine_seconds_sum[{WINDOW}]))", "engine {{instance}}"),
                    Query(f"sum by (instance) (rate(monitor_store_seconds_sum[{WINDOW}]))", "store {{instance}}"),
                ),
            ),
            Panel(
                "CPU",
                "Cores used.",
                "short",
                (Query(f'rate(process_cpu_seconds_total{{job=~"monitor-.+"}}[{WINDOW}])', "{{job}} {{instance}}"),),
            ),
            Panel(
                "Memory",
                "Resident.",
                "bytes",
                (Query('process_resident_memory_bytes{job=~"monitor-.+"}', "{{job}} {{instance}}"),),
            ),
            Panel(
                "Outbox",
                "Pages that are not settled.",
                "short",
                (Query("max(monitor_outbox_pages)", "pages"),),
            ),
        ),
    ),
    Row(
        "What went wrong",
        (
            Panel(
                "Tries to deliver",
                "By channel and the receiver's answer, in the last hour.",
                "short",
                (
                    Query(
                        "sum by (channel, outcome) (increase(monitor_page_tries_total[1h]))",
                        "{{channel}}: {{outcome}}",
                    ),
                ),
            ),
            Panel(
                "Tried again",
                "What score and watch had to do again: the broker, the store.",
                "short",
                (
                    Query(
                        f"sum(rate(monitor_score_retries_total[{WINDOW}])) or vector(0)",
                        "broker",
                    ),
                    Query(f"sum(rate(monitor_store_retries_total[{WINDOW}]))", "store"),
                ),
            ),
            Panel(
                "Dead letters",
                "Records that could not be read, by reason, in the last hour.",
                "short",
                (Query("sum by (reason) (increase(monitor_dead_total[1h]))", "{{reason}}"),),
                "stack",
            ),
        ),
    ),
)

SAYING: tuple[Row, ...] = (
    Row(
        "What people are saying",
        (
            Panel(
                "Complaints by brand",
                "A minute.",
                "short",
                (
                    Query(
                        f'60 * sum by (brand) (rate(monitor_brand_mentions_total{{mood="complaint"}}[{WINDOW}]))',
                        "{{brand}}",
                    ),
                ),
                "line",
                12,
            ),
            Panel(
                "Mood",
                "Mentions a minute. A complaint counts as that, whatever its tone.",
                "short",
                (Query(f"60 * sum by (mood) (rate(monitor_brand_mentions_total[{WINDOW}]))", "{{mood}}"),),
                "stack",
                12,
            ),
            Panel(
                "Why people complain",
                "Complaints in the last hour, by cause.",
                "short",
                (Query("sum by (cause) (increase(monitor_complaints_total[1h]))", "{{cause}}"),),
                "stack",
                12,
            ),
            Panel(
                "Where",
                "Mentions a minute, by source.",
                "short",
                (Query(f"60 * sum by (source) (rate(monitor_mentions_total[{WINDOW}]))", "{{source}}"),),
                "stack",
                12,
            ),
        ),
    ),
    Row(
        "Stories and incidents",
        (
            Panel(
                "Live stories",
                "Held in memory, of all sizes.",
                "short",
                (Query("sum(monitor_stories)"),),
                "number",
                4,
            ),
            Panel(
                "Open incidents",
                "By severity: what somebody still has to do something about.",
                "short",
                (
                    Query(
                        "sum by (severity) (max by (severity, state) "
                        '(monitor_incidents{state=~"open|acknowledged|answered"}))',
                        "{{severity}}",
                    ),
                ),
                "number",
                8,
            ),
            Panel(
                "What happened to incidents",
                "In the last day, by kind.",
                "short",
                (Query("max by (kind) (increase(monitor_incident_events_total[1d]))", "{{kind}}"),),
                "line",
                12,
            ),
            Panel(
                "Decisions of the rules",
                "In the last hour, by severity.",
                "short",
                (
                    Query(
                        "sum by (action, severity) (increase(monitor_decisions_total[1h]))", "{{action}} {{severity}}"
                    ),
                ),
                "stack",
                12,
            ),
            Panel(
                "Pages by rule",
                "In the last day, by the rule that asked for them and what became of them.",
                "short",
                (Query("sum by (rule, outcome) (increase(monitor_page_reasons_total[1d]))", "{{rule}}: {{outcome}}"),),
                "line",
                12,
            ),
        ),
    ),
    Row(
        "Was it in time, was it right",
        (
            Panel(
                "Lead time",
                "From the first page to the viral line, of all stories that crossed it.",
                "s",
                (
                    Query("histogram_quantile(0.5, max by (le) (monitor_lead_time_seconds_bucket))", "half of them"),
                    Query(
                        "histogram_quantile(0.1, max by (le) (monitor_lead_time_seconds_bucket))", "9 of 10 had more"
                    ),
                ),
            ),
            Panel(
                "Stories that crossed their line",
                "Since the workers started; those with an incident were paged before or after.",
                "short",
                (
                    Query("sum(monitor_crossings_total)", "crossed"),
                    Query("max(monitor_lead_time_seconds_count)", "of these with a page, ever"),
                ),
            ),
            Panel(
                "False alarms",
                "The share of all incidents that people dismissed.",
                "percentunit",
                (
                    Query(
                        '(max(monitor_incident_events_total{kind="dismissed"}) or vector(0))'
                        ' / max(monitor_incident_events_total{kind="opened"})'
                    ),
                ),
            ),
        ),
    ),
)

DASHBOARDS = {"working": ("Is it working", WORKING), "saying": ("What people are saying", SAYING)}


def queries() -> list[tuple[str, str, str]]:
    """Return every query as (dashboard, panel, expression)."""
    return [
        (name, panel.title, query.expr)
        for name, (_, rows) in DASHBOARDS.items()
        for row in rows
        for panel in row.panels
        for query in panel.queries
    ]


def made(name: str) -> str:
    """Return a dashboard as Grafana reads it."""
    title, rows = DASHBOARDS[name]
    board = (
        dashboard.Dashboard(f"Mention Monitor: {title}")
        .uid(f"mention-monitor-{name}")
        .tags(["mention-monitor"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .readonly()
    )
    for row in rows:
        board = board.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            board = board.with_panel(_panel(panel))
    return str(JSONEncoder(sort_keys=True, indent=2).encode(board.build())) + "\n"


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    built: stat.Panel | timeseries.Panel
    if panel.kind == "number":
        built = stat.Panel()
    else:
        built = timeseries.Panel().fill_opacity(30 if panel.kind == "stack" else 5).show_points("never")
        if panel.kind == "stack":
            built = built.stacking(_stacked())
    built = built.title(panel.title).description(panel.about).unit(panel.unit).datasource(SOURCE)
    built = built.span(panel.span).height(5 if panel.kind == "number" else 8)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number))
        target = target.instant() if panel.kind == "number" else target.range()
        built = built.with_target(target.legend_format(query.legend) if query.legend else target)
    return built


def _stacked() -> object:
    from grafana_foundation_sdk.builders.common import StackingConfig as Builder  # noqa: PLC0415

    return Builder().mode(StackingMode.NORMAL)


def main() -> None:
    """Write them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(made(name))
        sys.stdout.write(f"{name}.json\n")


if __name__ == "__main__":
    main()
