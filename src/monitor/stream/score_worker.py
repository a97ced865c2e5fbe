"""Starting and stopping the scoring worker: settings in, a process that ends cleanly out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import structlog

from monitor import __version__
from monitor.brand import BrandMatcher
from monitor.brand.any import AnyBrand
from monitor.clock import WallClock
from monitor.config import Escalation, Reloader, escalation_of, follow
from monitor.sentiment import CachedScorer
from monitor.sentiment.drift import Drift
from monitor.sentiment.polyglot import PolyglotScorer
from monitor.sentiment.shadow import ShadowedScorer
from monitor.stream.embedded import is_embedded
from monitor.stream.model import scorer_of
from monitor.stream.rounds import ScoreEvents
from monitor.stream.score import ScoreSettings, ScoreWorker
from monitor.stream.topics import client_options
from monitor.stream.worker import run_framed, topics_of
from monitor.telemetry.spans import Spans, spans_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.config import Settings
    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer
    from monitor.telemetry import Health, Worker
    from monitor.telemetry.metrics import ScoreMetrics

_log = structlog.get_logger("monitor.worker")


def run(settings: Settings) -> None:
    """Run a scoring worker until SIGTERM or SIGINT: `monitor score`."""
    run_framed("score", partial(score, settings), settings, settings.http.score_port)


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
    topics = await topics_of(settings, worker)
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
