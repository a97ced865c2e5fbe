"""What the workers show: bounded under any stream, without the series of what they do not own any more."""

from __future__ import annotations

import random
import string
from types import SimpleNamespace

import pytest

from monitor.engine import Changes
from monitor.page.types import Page
from monitor.page.worker import PageMeter
from monitor.stream.score_worker import _ScoreTelemetry
from monitor.stream.watch_worker import _WatchTelemetry
from monitor.telemetry.health import Health
from monitor.telemetry.metrics import Metrics

KEPT = ("true", "false")
MOST_SERIES = 6000
"""Of all workers together, histograms' buckets included, after 3,000 different hostile values for every label; most of
them are by channel, and channels come from the configuration."""


def _series(metrics: Metrics) -> int:
    return sum(len(family.samples) for family in metrics.registry.collect())


def _junk(dice: random.Random) -> str:
    return "".join(dice.choices(string.printable + "\u202e\0é", k=dice.randrange(0, 90)))


def _page(**fields) -> Page:
    base = {
        **{name: name for name in ("key", "incident", "umbrella", "brand", "recipient", "channel")},
        "severity": "page",
        "purpose": "first",
        "sequence": 1,
        "decided_at": 990.0,
        "created_at": 1000.0,
        "facts": {"incident": {"rule": "fast"}},
    }
    return Page(**{**base, **fields})


def test_no_stream_makes_series_without_end():
    metrics, dice = Metrics(version="1"), random.Random(4)
    metrics.watch_health(Health())
    score = _ScoreTelemetry(metrics.score, Health(), SimpleNamespace(), "mentions")
    watch = _WatchTelemetry(metrics.watch, Health(), "readings", live=True)
    pages = PageMeter(metrics.pages)
    score.assigned(range(8))
    watch.assigned(range(8), 3)
    changes = SimpleNamespace(account={}, behind=False, down={}, events=[], shadows=[], rule_errors={}, traces=[])
    for _ in range(3_000):
        junk = _junk(dice)
        score.taken("read", 1, junk)
        score.dead(junk)
        score.arrived([0.1], {junk: 5.0})
        score.retry(junk)
        score.said({(junk, "complaint"): 1}, {junk: 1})
        changes.account = {junk: 1}
        changes.rule_errors = {junk: 1}
        changes.down |= {junk: 4.0}
        watch.committed(1, changes, store_s=0.1, engine_s=0.1, clock=5.0)
        pages.on_error(junk)
        pages.on_delivery(junk, "accepted", 0.1)
        pages.on_settled(junk, "accepted")
        pages.on_page(_page(facts={"incident": {"rule": junk}}), "accepted", 1001.0)
    for partition in range(10_000):
        score.lag(partition, 1, 1.0)
        watch.lag(partition, 1)
    several = _series(metrics)
    assert several < MOST_SERIES
    for _ in range(2_000):
        score.taken("read", 1, _junk(dice))
    assert _series(metrics) == several


def test_a_lost_partition_is_not_shown_any_more():
    metrics = Metrics()
    score = _ScoreTelemetry(metrics.score, Health(), SimpleNamespace(), "mentions")
    score.assigned([0, 1])
    for partition in (0, 1):
        score.lag(partition, 7, 1.0)
    score.assigned([1])
    score.lag(0, 9, 2.0)  # said in the moment of the rebalance

    def lag(partition):
        return metrics.registry.get_sample_value(
            "monitor_kafka_lag_records", {"topic": "mentions", "partition": partition}
        )

    assert (lag("0"), lag("1")) == (None, 7.0)


def test_an_umbrella_is_down_until_it_is_heard_or_its_partition_lost():
    metrics = Metrics()
    watch = _WatchTelemetry(metrics.watch, Health(), "readings", live=True)
    watch.assigned([0, 1], 0)

    def told(partition, at, **since):
        watch.committed(partition, Changes(partition, down=since), store_s=0.1, engine_s=0.1, clock=at)
        return shown()

    def shown():
        value = metrics.registry.get_sample_value
        return [value("monitor_umbrella_down_seconds", {"brand": brand}) for brand in ("aurora", "breva", "corva")]

    assert shown() == [None, None, None]
    assert told(0, 5000.0, aurora=2000.0) == [3000.0, None, None]
    assert told(1, 5000.0, breva=1000.0) == [3000.0, 4000.0, None]
    assert told(0, 5600.0, aurora=2000.0, corva=5000.0) == [3600.0, 4000.0, 600.0]
    assert told(0, 6000.0, corva=5000.0) == [None, 4000.0, 1000.0]
    watch.assigned([0], 0)
    assert shown() == [None, None, 1000.0]
    watch.assigned([], 0)
    assert shown() == [None, None, None]


def test_a_source_keeps_its_newest_mention():
    metrics = Metrics()
    score = _ScoreTelemetry(metrics.score, Health(), SimpleNamespace(), "mentions")
    score.arrived([0.2, 9.0], {"twitter": 50.0})
    score.arrived([0.2], {"twitter": 40.0, "blog": 7.0})
    value = metrics.registry.get_sample_value
    assert value("monitor_source_last_mention_timestamp_seconds", {"source": "twitter"}) == 50.0
    assert value("monitor_read_seconds_bucket", {"le": "5.0"}) == 2.0
    assert value("monitor_read_seconds_count") == 3.0


@pytest.mark.parametrize(
    ("status", "now", "purpose", "kept", "broken"),
    [
        ("accepted", 1029.0, "first", 1.0, 0.0),
        ("accepted", 1031.0, "first", 0.0, 1.0),
        ("gave_up", 1029.0, "first", 0.0, 1.0),
        ("cancelled", 1029.0, "first", 0.0, 0.0),
    ],
)
def test_a_promise_is_kept_within_30_seconds(status, now, purpose, kept, broken):
    metrics = Metrics()
    PageMeter(metrics.pages).on_page(_page(purpose=purpose), status, now)
    value = metrics.registry.get_sample_value
    assert value("monitor_page_seconds_count", {"channel": "channel"}) == (1.0 if status == "accepted" else None)
    assert value("monitor_page_promises_total", {"kept": "true"}) == kept
    assert value("monitor_page_promises_total", {"kept": "false"}) == broken
    assert value("monitor_page_reasons_total", {"rule": "fast", "severity": "page", "outcome": status}) == 1.0


@pytest.mark.parametrize(
    ("purpose", "facts"), [("backlog", {}), ("digest", {}), ("notice", {"held_until": "2030-03-17T07:00:00Z"})]
)
def test_what_was_not_to_go_out_at_once_promises_nothing(purpose, facts):
    metrics = Metrics()
    PageMeter(metrics.pages).on_page(_page(purpose=purpose, facts=facts), "accepted", 30_000.0)
    shown = {name: metrics.registry.get_sample_value(name) for name in ("monitor_publish_to_page_seconds_count",)}
    shown |= {kept: metrics.registry.get_sample_value("monitor_page_promises_total", {"kept": kept}) for kept in KEPT}
    assert set(shown.values()) == {0.0}
    assert metrics.registry.get_sample_value("monitor_page_seconds_count", {"channel": "channel"}) is None


def test_seconds_from_published_are_told_where_both_clocks_are_one():
    for live, count in ((True, 1.0), (False, 0.0)):
        metrics = Metrics()
        PageMeter(metrics.pages, live=live).on_page(_page(), "accepted", 1005.0)
        assert metrics.registry.get_sample_value("monitor_publish_to_page_seconds_count") == count
