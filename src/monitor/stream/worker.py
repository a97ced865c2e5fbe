"""Starting and stopping the scoring and the watching worker: settings in, a process that ends cleanly out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import structlog

from monitor import __version__
from monitor.brand import BrandMatcher
from monitor.brand.any import AnyBrand
from monitor.clock import WallClock
from monitor.config import Escalation, Reloader, escalation_of, follow
from monitor.engine import EngineSettings
from monitor.engine.changes import Act, Crossing, Merge
from monitor.sentiment import CachedScorer
from monitor.sentiment.drift import Drift
from monitor.sentiment.polyglot import PolyglotScorer
from monitor.sentiment.shadow import ShadowedScorer
from monitor.store import Store, WatchStore
from monitor.stream.embedded import is_embedded
from monitor.stream.identity import UNREACHABLE
from monitor.stream.model import scorer_of
from monitor.stream.rounds import ScoreEvents
from monitor.stream.score import ScoreSettings, ScoreWorker
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from monitor.stream.watch import Watcher, WatchEvents, WatchSettings
from monitor.telemetry import run_worker
from monitor.telemetry.spans import Spans, spans_of
from monitor.telemetry.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from monitor.config import Settings
    from monitor.engine import Changes
    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer
    from monitor.stream.identity import TopicIdentity
    from monitor.telemetry import Health, Worker
    from monitor.telemetry.metrics import ScoreMetrics, WatchMetrics

_log = structlog.get_logger("monitor.worker")

BROKER_PAUSE_S = 2.0
STORE_PATIENCE_S = 60.0


def run_score(settings: Settings) -> None:
    """Run a scoring worker until SIGTERM or SIGINT: `monitor score`."""
    _run("score", partial(score, settings), settings, settings.http.score_port)


def run_watch(settings: Settings) -> None:
    """Run a watching worker until SIGTERM or SIGINT: `monitor watch`.

    A lost partition or a store that stays away ends the process with an error: whoever runs it starts it again, and it
    goes on from the stored offset.
    """
    _run("watch", partial(watch, settings), settings, settings.http.watch_port)


def _run(name: str, main: Callable[[Worker], Awaitable[None]], settings: Settings, port: int | None) -> None:
    run_worker(
        name,
        main,
        host=settings.http.host,
        port=port,
        stuck_after_s=settings.http.stuck_after_s,
        log_format=settings.log.format,
        log_level=settings.log.level,
        version=__version__,
    )


async def score(settings: Settings, worker: Worker) -> None:
    """Score until `worker.stop`."""
    health = worker.health
    health.need("model", "topics", "assigned")
    standing = escalation_of(settings)
    reloader, tree = Reloader(settings, standing), standing.tree
    matcher = BrandMatcher(tree) if settings.brands is not None else AnyBrand()
    scorer = await asyncio.to_thread(scorer_of, settings, worker.metrics.score)
    worker.metrics.score.loaded.labels(scorer.name, scorer.runtime).set(1)
    health.ready("model")
    topics = await _topics(settings, worker)
    if topics is None:
        return
    health.ready("topics")
    names = settings.kafka.topics
    mentions = topics[names.mentions]
    live = settings.time.mode == "live"
    spans = spans_of(settings.tracing, "score", __version__)
    scoring = ScoreWorker(
        ScoreSettings(
            client=client_options(settings.kafka, name="monitor-score"),
            mentions=names.mentions,
            readings=names.readings,
            dead=names.dead,
            group=settings.kafka.score_group,
            mentions_topic_id=mentions.topic_id,
            mentions_partitions=mentions.partitions,
            readings_partitions=topics[names.readings].partitions,
            live=live,
            from_now=live and settings.watch.first_start == "now",
            session_timeout_ms=settings.kafka.session_timeout_ms,
            leaves=not is_embedded(mentions.cluster),
        ),
        scorer,
        matcher,
        WallClock(),
        ThreadPoolExecutor(max_workers=getattr(scorer, "at_once", 1), thread_name_prefix="read"),
        _ScoreTelemetry(worker.metrics.score, health, scorer, names.mentions, spans),
    )
    worker.metrics.reading.partitions.labels(names.mentions).set(mentions.partitions)
    worker.metrics.score.round_limit.set(scoring.settings.round_size)
    _log.info("score_started", model=scorer.name, runtime=scorer.runtime, brands=str(settings.brands or "any"))

    async def adopt(found: Escalation) -> None:
        if settings.brands is not None:
            scoring.matcher = BrandMatcher(found.tree)

    following = asyncio.create_task(follow(reloader, worker.stop, adopt, worker.metrics.reloads))
    try:
        await scoring.run(worker.stop)
    finally:
        following.cancel()
        await asyncio.to_thread(spans.close)


async def watch(settings: Settings, worker: Worker) -> None:
    """Watch until `worker.stop`."""
    health = worker.health
    health.need("store", "topics", "assigned")
    standing = escalation_of(settings)
    reloader = Reloader(settings, standing)
    store = Store(settings.store.url)
    try:
        await store.retry(store.migrate, patience_s=STORE_PATIENCE_S)
        health.ready("store")
        topics = await _topics(settings, worker)
        if topics is None:
            return
        health.ready("topics")
        readings = topics[settings.kafka.topics.readings]
        spans = spans_of(settings.tracing, "watch", __version__)
        watcher = Watcher(
            WatchSettings(
                client=client_options(settings.kafka, name="monitor-watch"),
                readings=readings.topic,
                group=settings.kafka.watch_group,
                session_timeout_s=settings.kafka.session_timeout_ms / 1000,
                fill=settings.time.mode == "live" and settings.watch.first_start == "fill",
                data_dir=Path(gettempdir()) / "monitor-watch",
                engine=EngineSettings(
                    readings_partitions=readings.partitions,
                    mode=settings.time.mode,
                    id_retention_s=settings.store.id_retention_hours * 3600,
                    behind_after_s=settings.watch.behind_after_s,
                ),
            ),
            readings,
            store,
            WatchStore(store, standing.directory),
            standing.tree,
            standing.rules,
            WallClock(),
            _WatchTelemetry(
                worker.metrics.watch, health, readings.topic, live=settings.time.mode == "live", spans=spans
            ),
        )
        worker.metrics.reading.partitions.labels(readings.topic).set(readings.partitions)
        _log.info("watch_started", partitions=readings.partitions, rules=standing.rules.version)

        async def adopt(found: Escalation) -> None:
            await watcher.adopt(found.tree, found.rules, found.directory)

        following = asyncio.create_task(follow(reloader, worker.stop, adopt, worker.metrics.reloads))
        try:
            await watcher.run(worker.stop)
        finally:
            following.cancel()
            await asyncio.to_thread(spans.close)
    finally:
        store.close()


async def _topics(settings: Settings, worker: Worker) -> dict[str, TopicIdentity] | None:
    """Make or verify the topics, waiting for a broker that is away; None if told to stop meanwhile."""
    client = client_options(settings.kafka, name="monitor-start")
    while not worker.stop.is_set():
        try:
            return await ensure_topics(client, topic_plans(settings.kafka), create=settings.kafka.create_topics)
        except (*UNREACHABLE, OSError) as error:
            _log.warning("broker_away", error=type(error).__name__, again_in_s=BROKER_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(worker.stop.wait(), BROKER_PAUSE_S)
    return None


class _ScoreTelemetry(ScoreEvents):
    def __init__(
        self, metrics: ScoreMetrics, health: Health, scorer: Scorer, topic: str, spans: Spans | None = None
    ) -> None:
        self._spans = spans or Spans()
        self._metrics = metrics
        self._health = health
        self._cache = scorer
        while isinstance(self._cache, ShadowedScorer | PolyglotScorer):
            self._cache = self._cache.inner
        self._drift = Drift()
        self._topic = topic
        self._owned: set[int] = set()
        self._newest: dict[str, float] = {}
        self._hits = self._misses = 0

    def taken(self, outcome: str, n: int, source: str = "") -> None:
        if n:
            self._metrics.mentions.labels(outcome, self._metrics.source(source)).inc(n)

    def several(self, n: int) -> None:
        self._metrics.several.inc(n)

    def dead(self, reason: str) -> None:
        self._metrics.dead.labels(self._metrics.reason(reason)).inc()

    def round(self, *, mentions: int, model_s: float, total_s: float, traces: Sequence[str] = ()) -> None:
        self._metrics.rounds.observe(total_s)
        if mentions:
            self._spans.tell("score", total_s, links=traces, mentions=mentions, model_s=round(model_s, 6))
        if mentions:
            self._metrics.round_size.observe(mentions)
            self._metrics.model.observe(model_s)
        if isinstance(self._cache, CachedScorer):
            hits, misses = self._cache.hits, self._cache.misses
            self._metrics.cache.labels("hit").inc(hits - self._hits)
            self._metrics.cache.labels("miss").inc(misses - self._misses)
            self._hits, self._misses = hits, misses

    def read(self, readings: Sequence[Reading]) -> None:
        self._drift.see(readings)
        if self._drift.unread is not None:
            self._metrics.unread.set(self._drift.unread)
        if self._drift.confidence is not None:
            self._metrics.confidence.set(self._drift.confidence)
        for name, share in self._drift.shares.items():
            self._metrics.shares.labels(name).set(share)

    def lag(self, partition: int, records: int, seconds: float) -> None:
        if partition in self._owned:
            self._metrics.reading.lag.labels(self._topic, str(partition)).set(records)
            self._metrics.lag_seconds.labels(str(partition)).set(seconds)

    def said(self, moods: Mapping[tuple[str, str], int], causes: Mapping[str, int]) -> None:
        for (umbrella, mood), n in moods.items():
            self._metrics.brand_mentions.labels(self._metrics.brand(umbrella), mood).inc(n)
        for cause, n in causes.items():
            self._metrics.complaints.labels(self._metrics.cause(cause)).inc(n)

    def arrived(self, seconds: Sequence[float], newest: Mapping[str, float]) -> None:
        self._metrics.read_seconds.observe(seconds)
        for source, at in newest.items():
            label = self._metrics.source(source)
            self._newest[label] = max(at, self._newest.get(label, 0.0))
            self._metrics.last_mention.labels(label).set(self._newest[label])

    def progress(self) -> None:
        self._health.beat("score")

    def assigned(self, partitions: Sequence[int]) -> None:
        for gone in self._owned.difference(partitions):  # what another worker owns must not be told here for ever
            self._metrics.reading.lag.remove(self._topic, str(gone))
            self._metrics.lag_seconds.remove(str(gone))
        self._owned = set(partitions)
        self._metrics.reading.owned.labels(self._topic).set(len(partitions))
        self._health.ready("assigned")
        _log.info("assigned", worker="score", partitions=len(partitions))

    def retry(self, what: str) -> None:
        self._metrics.retries.labels(self._metrics.what(what)).inc()
        self._health.beat("score")  # what it waits for is outside: starting it again would not help
        _log.warning("retry", worker="score", what=what)


class _WatchTelemetry(WatchEvents):
    def __init__(
        self, metrics: WatchMetrics, health: Health, topic: str, *, live: bool, spans: Spans | None = None
    ) -> None:
        self._live = live
        self._spans = spans or Spans()
        self._topic = topic
        self._owned: set[int] = set()
        self._down: dict[int, dict[str, float]] = {}  # by partition, the umbrellas that are down and for how long
        self._metrics = metrics
        self._health = health

    def committed(self, partition: int, changes: Changes, *, store_s: float, engine_s: float, clock: float) -> None:
        metrics = self._metrics
        metrics.batches.inc()
        if changes.account:
            mentions = sum(changes.account.values())
            self._spans.tell("watch", engine_s + store_s, links=changes.traces, partition=partition, mentions=mentions)
        metrics.engine.observe(engine_s)
        metrics.store.observe(store_s)
        for outcome, n in changes.account.items():
            metrics.mentions.labels(metrics.account(outcome)).inc(n)
        if clock and self._live:  # a replay's past is no lag
            metrics.event_lag.labels(str(partition)).set(max(0.0, time.time() - clock))
        metrics.behind.labels(str(partition)).set(float(changes.behind))
        self._tell_down(partition, {umbrella: max(0.0, clock - since) for umbrella, since in changes.down.items()})
        for rule, n in changes.rule_errors.items():
            metrics.rule_errors.labels(metrics.rule(rule)).inc(n)
        for shadow in changes.shadows:
            metrics.shadows.labels(shadow.decision.action, shadow.decision.severity).inc()
        for event in changes.events:
            if isinstance(event, Act):
                decision = event.decision
                metrics.decisions.labels(decision.action, decision.severity, event.view.kind).inc()
                traced = {} if event.trace is None else {"trace_id": trace_id(event.trace)}
                _log.info(
                    "decision",
                    action=decision.action,
                    severity=decision.severity,
                    rule=decision.rule,
                    rules=decision.rules,
                    story=event.view.story,
                    brand=event.view.brand,
                    voices=event.view.voices,
                    reason=decision.reason,
                    **traced,
                )
            elif isinstance(event, Crossing):
                metrics.crossings.inc()
            elif isinstance(event, Merge):
                metrics.merges.inc()

    def _tell_down(self, partition: int, down: dict[str, float], *, lost: bool = False) -> None:
        before = self._down.pop(partition, {})
        if not before and not down:
            return
        if down:
            self._down[partition] = down
        for umbrella in down.keys() - before.keys():
            _log.warning("input_down", umbrella=umbrella, silent_s=round(down[umbrella]))
        for umbrella in before.keys() - down.keys() if not lost else ():
            _log.info("input_heard_again", umbrella=umbrella, silent_s=round(before[umbrella]))
        told: dict[str, float] = {}
        for silent in self._down.values():
            for umbrella, seconds in silent.items():
                label = self._metrics.brand(umbrella)
                told[label] = max(seconds, told.get(label, 0.0))
        for gone in {self._metrics.brand(umbrella) for umbrella in before} - told.keys():
            self._metrics.down.remove(gone)
        for label, seconds in told.items():
            self._metrics.down.labels(label).set(seconds)

    def skipped(self, partition: int) -> None:  # noqa: ARG002 -- the event's interface
        self._metrics.skipped.inc()
        self._health.beat("watch")

    def poison(self, partition: int) -> None:
        self._metrics.poison.inc()
        _log.error("reading_unreadable", partition=partition)

    def stories(self, live: int) -> None:
        self._metrics.stories.set(live)

    def lag(self, partition: int, records: int) -> None:
        if partition in self._owned:
            self._metrics.reading.lag.labels(self._topic, str(partition)).set(records)

    def assigned(self, partitions: Sequence[int], stories: int) -> None:
        for gone in self._owned.difference(partitions):  # what another worker owns must not be told here for ever
            self._metrics.reading.lag.remove(self._topic, str(gone))
            self._metrics.event_lag.remove(str(gone))
            self._metrics.behind.remove(str(gone))
            self._tell_down(gone, {}, lost=True)
        self._owned = set(partitions)
        self._metrics.reading.owned.labels(self._topic).set(len(partitions))
        self._metrics.stories.set(stories)
        self._health.ready("assigned")
        _log.info("assigned", worker="watch", partitions=len(partitions), stories=stories)

    def retry(self) -> None:
        self._metrics.store_retries.inc()
        self._health.beat("watch")
        _log.warning("retry", worker="watch", what="store")

    def progress(self) -> None:
        self._health.beat("watch")

    def idle(self) -> None:
        self._health.idle("watch")
