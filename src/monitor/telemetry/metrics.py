"""The numbers for Prometheus: seconds and bytes, `_total` for what only grows, never a handle, story or id in a label.

Each worker shows only what it does: `Metrics.score`, `.watch` and `.pages` come into being when they are first used.
Labels whose values come from outside go through `Bounded`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from monitor.telemetry.bulk import BulkHistogram
from monitor.telemetry.labels import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from monitor.telemetry.health import Health

SOURCES = (
    *("twitter", "bluesky", "mastodon", "reddit", "facebook", "instagram", "threads", "tiktok", "youtube", "linkedin"),
    *("blog", "news", "forum", "review", "survey", "phone", "email", "chat", "store", "ticket", "sms"),
)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
LEAD_SECONDS = (0.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 259200.0)
READ_IN_TIME_S = 5.0
"""A mention is read in time if it is in `readings` so long after its append to `mentions`."""
PAGE_IN_TIME_S = 30.0
"""A page is in time if a receiver took it so long after it was decided."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """One worker's numbers on a registry of their own, so that a test or the demo can have several."""

    def __init__(self, *, version: str = "", process: bool = True) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self.build = Gauge(
            "monitor_build_info", "Always 1; the version is in the label.", ["version"], registry=self.registry
        )
        self.build.labels(version).set(1)

    def watch_health(self, health: Health) -> None:
        """Show how long ago each stage moved."""
        self.registry.register(_Ages(health.ages))

    @cached_property
    def reading(self) -> ReadingMetrics:
        """The numbers of whoever reads a topic."""
        return ReadingMetrics(self.registry)

    @cached_property
    def reloads(self) -> ReloadMetrics:
        """Changes of the files of rules, rota and brands."""
        return ReloadMetrics(self.registry)

    @cached_property
    def score(self) -> ScoreMetrics:
        """The scoring worker's numbers."""
        return ScoreMetrics(self.registry, self.reading)

    @cached_property
    def watch(self) -> WatchMetrics:
        """The watching worker's numbers."""
        return WatchMetrics(self.registry, self.reading)

    @cached_property
    def pages(self) -> PageMetrics:
        """The dispatching worker's numbers."""
        return PageMetrics(self.registry)


class ReloadMetrics:
    """What became of changes of the files of rules, rota and brands."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.changes = Counter(
            "monitor_reloads_total",
            "Changes of the files of rules, rota and brands, by what became of them (loaded, refused).",
            ["outcome"],
            registry=registry,
        )
        self.standing = Gauge(
            "monitor_reload_refused",
            "1 while the files as they are now are refused, and what was there before goes on to count.",
            registry=registry,
        )

    def count(self, *, loaded: bool) -> None:
        """Count a change."""
        self.changes.labels("loaded" if loaded else "refused").inc()
        self.standing.set(0 if loaded else 1)


class ReadingMetrics:
    """How a worker reads its topic."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "monitor_kafka_lag_records",
            "Records not read yet, by topic and partition, of the partitions that this worker owns.",
            ["topic", "partition"],
            registry=registry,
        )
        self.partitions = Gauge("monitor_kafka_partitions", "Partitions of the topic.", ["topic"], registry=registry)
        self.owned = Gauge(
            "monitor_kafka_partitions_owned", "Partitions that this worker owns.", ["topic"], registry=registry
        )


class ScoreMetrics:
    """From `mentions` to `readings`."""

    def __init__(self, registry: CollectorRegistry, reading: ReadingMetrics) -> None:
        self.mentions = Counter(
            "monitor_mentions_total",
            "Mentions taken, by what became of them (read, dead, no_brand) and by source.",
            ["outcome", "source"],
            registry=registry,
        )
        self.dead = Counter(
            "monitor_dead_total", "Records sent to the dead-letter topic, by reason.", ["reason"], registry=registry
        )
        self.several = Counter(
            "monitor_mentions_of_several_total",
            "Mentions that name brands of several umbrellas, and got one reading for all of them.",
            registry=registry,
        )
        self.rounds = Histogram(
            "monitor_score_round_seconds",
            "From the first fetch of a round until its records are acknowledged.",
            buckets=SECONDS,
            registry=registry,
        )
        self.round_size = Histogram(
            "monitor_score_round_mentions", "Mentions in a round.", buckets=SIZES, registry=registry
        )
        self.model = Histogram(
            "monitor_model_seconds",
            "Seconds that the model (or its cache) took for a round.",
            buckets=SECONDS,
            registry=registry,
        )
        self.loaded = Gauge(
            "monitor_model_info",
            "Always 1; the model's version and what runs it are in the labels.",
            ["model", "runtime"],
            registry=registry,
        )
        self.unread = Gauge(
            "monitor_reading_unread_share",
            "Share of about the last 1,000 texts that no model could read.",
            registry=registry,
        )
        self.confidence = Gauge(
            "monitor_reading_confidence",
            "Mean probability of the label given, of about the last 1,000 texts.",
            registry=registry,
        )
        self.shares = Gauge(
            "monitor_reading_share",
            "Share of about the last 1,000 texts read, by class: negative, neutral, positive; and complaint.",
            ["class"],
            registry=registry,
        )
        self.shadow = Counter(
            "monitor_shadow_texts_total", "Texts that the shadow model read along.", ["shadow"], registry=registry
        )
        self.shadow_differs = Counter(
            "monitor_shadow_differs_total",
            "Of them, those of which it says something else: label, complaint, cause, unread.",
            ["shadow", "what"],
            registry=registry,
        )
        self.shadow_gap = Counter(
            "monitor_shadow_complaint_gap_total",
            "Sum of the absolute differences of the complaint's probability.",
            ["shadow"],
            registry=registry,
        )
        self.cache = Counter(
            "monitor_cache_lookups_total", "Texts looked up in the cache of readings.", ["result"], registry=registry
        )
        self.read_seconds = BulkHistogram(
            "monitor_read_seconds",
            "Seconds from a mention's append to Kafka until its reading was acknowledged.",
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self.brand_mentions = Counter(
            "monitor_brand_mentions_total",
            "Mentions read, by umbrella brand and mood (complaint, else negative, neutral, positive, unread).",
            ["brand", "mood"],
            registry=registry,
        )
        self.complaints = Counter(
            "monitor_complaints_total", "Complaints read, by what they are about.", ["cause"], registry=registry
        )
        self.round_limit = Gauge(
            "monitor_score_round_limit_mentions", "The most mentions that a round takes.", registry=registry
        )
        self.last_mention = Gauge(
            "monitor_source_last_mention_timestamp_seconds",
            "When the newest mention of each source was appended to Kafka.",
            ["source"],
            registry=registry,
        )
        self.reading = reading
        self.lag_seconds = Gauge(
            "monitor_score_lag_seconds",
            "How long ago the next record to be read was appended.",
            ["partition"],
            registry=registry,
        )
        self.retries = Counter(
            "monitor_score_retries_total", "What was tried again, by what it was.", ["what"], registry=registry
        )
        self.source = Bounded(SOURCES, room=30)
        self.brand = Bounded(room=100)
        self.cause = Bounded(room=50)
        self.reason = Bounded(room=50)
        self.what = Bounded(room=20)


class WatchMetrics:
    """From `readings` to stories, incidents and the outbox."""

    def __init__(self, registry: CollectorRegistry, reading: ReadingMetrics) -> None:
        self.mentions = Counter(
            "monitor_watched_total",
            "Mentions accounted for in the store, by account (stored, repeated, orphan, too_old, ...).",
            ["account"],
            registry=registry,
        )
        self.batches = Counter("monitor_readings_total", "Records of `readings` committed.", registry=registry)
        self.skipped = Counter(
            "monitor_readings_skipped_total", "Records of `readings` that had been committed before.", registry=registry
        )
        self.poison = Counter(
            "monitor_readings_unreadable_total", "Records of `readings` that could not be read.", registry=registry
        )
        self.engine = Histogram(
            "monitor_engine_seconds", "Seconds to work out what a batch changes.", buckets=SECONDS, registry=registry
        )
        self.store = Histogram(
            "monitor_store_seconds", "Seconds to commit a batch's changes.", buckets=SECONDS, registry=registry
        )
        self.store_retries = Counter(
            "monitor_store_retries_total", "Transactions that the store did not take at once.", registry=registry
        )
        self.decisions = Counter(
            "monitor_decisions_total",
            "Decisions that ask for something, by action, severity and kind (story, wave).",
            ["action", "severity", "kind"],
            registry=registry,
        )
        self.reading = reading
        self.rule = Bounded()
        self.rule_errors = Counter(
            "monitor_rule_errors_total", "Conditions of rules that could not be evaluated.", ["rule"], registry=registry
        )
        self.shadows = Counter(
            "monitor_shadow_decisions_total",
            "What shadow rules would have done, by action and severity.",
            ["action", "severity"],
            registry=registry,
        )
        self.crossings = Counter("monitor_crossings_total", "Stories that crossed their viral line.", registry=registry)
        self.merges = Counter("monitor_story_merges_total", "Stories that went into another.", registry=registry)
        self.event_lag = Gauge(
            "monitor_event_lag_seconds",
            "Event time behind the wall clock, by partition of `readings`.",
            ["partition"],
            registry=registry,
        )
        self.behind = Gauge(
            "monitor_behind",
            "1 while nothing is decided because the stream is in the past.",
            ["partition"],
            registry=registry,
        )
        self.down = Gauge(
            "monitor_umbrella_down_seconds",
            "Event time since a mention of an umbrella brand whose input is held to be down; else no series.",
            ["brand"],
            registry=registry,
        )
        self.brand = Bounded(room=100)
        self.stories = Gauge("monitor_stories", "Stories held in memory.", registry=registry)
        self.account = Bounded(room=20)


class PageMetrics:
    """From the outbox to people."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.timers = Counter("monitor_timers_total", "Timers of incidents that ran out.", registry=registry)
        self.settled = Counter(
            "monitor_pages_total",
            "Pages settled, by channel and outcome (accepted, refused, gave_up, cancelled, in_doubt).",
            ["channel", "outcome"],
            registry=registry,
        )
        self.tries = Counter(
            "monitor_page_tries_total",
            "Tries to deliver, by channel and outcome.",
            ["channel", "outcome"],
            registry=registry,
        )
        self.send = Histogram(
            "monitor_page_send_seconds", "Seconds that one try took.", ["channel"], buckets=SECONDS, registry=registry
        )
        self.age = Histogram(
            "monitor_page_seconds",
            "Seconds from a page's decision until it was accepted, of pages that were to go out at once.",
            ["channel"],
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self.reasons = Counter(
            "monitor_page_reasons_total",
            "Pages settled, by the rule that asked for them, severity and outcome.",
            ["rule", "severity", "outcome"],
            registry=registry,
        )
        self.from_published = Histogram(
            "monitor_publish_to_page_seconds",
            "Seconds from the publishing of what tipped the decision until a receiver took a page that was not held.",
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self.promises = Counter(
            "monitor_page_promises_total",
            f"Pages settled that were to go out at once, by whether a receiver took them within {PAGE_IN_TIME_S:g} s.",
            ["kept"],
            registry=registry,
        )
        for kept in ("true", "false"):
            self.promises.labels(kept)
        self.late = Gauge(
            "monitor_outbox_late_pages",
            f"Pages in the outbox that were to go out at once, {PAGE_IN_TIME_S:g} s ago or earlier.",
            registry=registry,
        )
        self.incidents = Gauge(
            "monitor_incidents",
            "Incidents in the store, by severity and state.",
            ["severity", "state"],
            registry=registry,
        )
        self.incident_events = _Totals(
            "monitor_incident_events", "What happened to incidents, by kind: dismissed ones were false alarms.", "kind"
        )
        registry.register(self.incident_events)
        self.lead_time = BulkHistogram(
            "monitor_lead_time_seconds",
            "From an incident's first page to its story's crossing of the viral line, of stories that crossed it.",
            buckets=LEAD_SECONDS,
            registry=registry,
        )
        self.repeats = Counter(
            "monitor_page_repeats_total",
            "Pages sent again that may have arrived before.",
            ["channel"],
            registry=registry,
        )
        self.held = Counter(
            "monitor_pages_held_total",
            "Pages held because their recipient had had enough; they come as one later.",
            ["channel"],
            registry=registry,
        )
        self.errors = Counter(
            "monitor_dispatch_errors_total", "Errors that the dispatcher went on after.", ["error"], registry=registry
        )
        self.unsettled = Gauge("monitor_outbox_pages", "Pages in the outbox that are not settled.", registry=registry)
        self.oldest = Gauge(
            "monitor_outbox_oldest_seconds", "How long the oldest of them has waited; 0 without any.", registry=registry
        )
        self.error = Bounded(room=30)
        self.rule = Bounded(room=50)
        self.channel = Bounded(room=100)


class _Totals:
    """Counters whose totals the store remembers: `values` by the one label."""

    def __init__(self, name: str, about: str, label: str) -> None:
        self._name, self._about, self._label = name, about, label
        self.values: Mapping[str, int] = {}

    def describe(self) -> Iterable[CounterMetricFamily]:
        return [CounterMetricFamily(self._name, self._about, labels=[self._label])]

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._about, labels=[self._label])
        for name, total in self.values.items():
            family.add_metric([name], total)
        return [family]


class _Ages:
    """Computes the stages' ages when they are asked for."""

    def __init__(self, ages: Callable[[], dict[str, float]]) -> None:
        self._ages = ages

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [self._family()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = self._family()
        for stage, age in self._ages().items():
            family.add_metric([stage], age)
        return [family]

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily("monitor_progress_age_seconds", "Since each stage last moved.", labels=["stage"])
