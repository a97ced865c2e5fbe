"""From what the workers tell of themselves to metrics and health."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from monitor.engine.changes import Act, Crossing, Merge
from monitor.stream.score import ScoreEvents
from monitor.stream.watch import WatchEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.engine import Changes
    from monitor.telemetry import Worker

_log = structlog.get_logger("monitor.stream")


class ScoreMeter(ScoreEvents):
    """Counts what a scoring worker does. `cache` says (hits, misses) so far, where there is a cache."""

    STAGE = "score"

    def __init__(self, worker: Worker, cache: Callable[[], tuple[int, int]] | None = None) -> None:
        self._metrics, self._health = worker.metrics.score, worker.health
        self._cache = cache
        self._looked_up = (0, 0)
        self._health.need("partitions")
        self._health.beat(self.STAGE)

    def taken(self, outcome: str, n: int, source: str = "") -> None:
        """Count mentions."""
        if n:
            self._metrics.mentions.labels(outcome, self._metrics.source(source) if source else "all").inc(n)

    def dead(self, reason: str) -> None:
        """Count a dead-lettered record."""
        self._metrics.dead.labels(self._metrics.reason(reason)).inc()

    def round(self, *, mentions: int, model_s: float, total_s: float) -> None:
        """Measure a round, and what the cache has answered since the last."""
        self._metrics.rounds.observe(total_s)
        self._metrics.round_size.observe(mentions)
        self._metrics.model.observe(model_s)
        if self._cache is not None:
            now, before = self._cache(), self._looked_up
            for result, new, old in zip(("hit", "miss"), now, before, strict=True):
                self._metrics.cache.labels(result).inc(max(0, new - old))
            self._looked_up = now

    def lag(self, partition: int, records: int, seconds: float) -> None:
        """Show how far behind a partition's end it is."""
        self._metrics.lag_records.labels(str(partition)).set(records)
        self._metrics.lag_seconds.labels(str(partition)).set(seconds)

    def progress(self) -> None:
        """Say that it is alive."""
        self._health.beat(self.STAGE)

    def assigned(self, partitions: int) -> None:
        """Show how many partitions it owns. A worker without any is ready to take over, so it is ready."""
        self._metrics.lag_records.clear()
        self._metrics.lag_seconds.clear()
        self._metrics.partitions.set(partitions)
        self._health.ready("partitions")
        _log.info("partitions_assigned", worker="score", partitions=partitions)

    def retry(self, what: str) -> None:
        """Count a retry: it is alive, and waits for what is outside."""
        self._metrics.retries.labels(self._metrics.what(what)).inc()
        self._health.beat(self.STAGE)


class WatchMeter(WatchEvents):
    """Counts what a watching worker does. `live`: event time is compared with the wall clock."""

    STAGE = "watch"

    def __init__(self, worker: Worker, *, live: bool = True) -> None:
        self._metrics, self._health = worker.metrics.watch, worker.health
        self._live = live
        self._health.need("partitions")

    def committed(self, partition: int, changes: Changes, *, store_s: float, engine_s: float, clock: float) -> None:
        """Count what a batch changed."""
        metrics = self._metrics
        for account, n in changes.account.items():
            metrics.mentions.labels(metrics.account(account)).inc(n)
        metrics.batches.inc()
        metrics.engine.observe(engine_s)
        if store_s:
            metrics.store.observe(store_s)
        if self._live:
            metrics.event_lag.labels(str(partition)).set(max(0.0, time.time() - clock))
        metrics.behind.labels(str(partition)).set(changes.behind)
        for happened in changes.events:
            match happened:
                case Act(decision=decision, view=view):
                    metrics.decisions.labels(decision.action, decision.severity, view.kind).inc()
                    _log.info(
                        "decided",
                        umbrella=view.umbrella,
                        brand=view.brand,
                        story=view.story,
                        action=decision.action,
                        severity=decision.severity,
                        rule=decision.rule,
                        reason=decision.reason,
                        size=view.size,
                        at=happened.at,
                    )
                case Merge():
                    metrics.merges.inc()
                case Crossing():
                    metrics.crossings.inc()

    def skipped(self, partition: int) -> None:  # noqa: ARG002 -- the protocol's
        """Count a record that was known."""
        self._metrics.skipped.inc()

    def poison(self, partition: int) -> None:
        """Count a record that could not be read."""
        self._metrics.poison.inc()
        _log.error("reading_unreadable", partition=partition)

    def assigned(self, partitions: Sequence[int], stories: int) -> None:
        """Show what it owns. A worker without any is ready to take over, so it is ready."""
        self._metrics.partitions.set(len(partitions))
        self._metrics.stories.set(stories)
        self._metrics.event_lag.clear()
        self._metrics.behind.clear()
        self._health.ready("partitions")
        _log.info("partitions_assigned", worker="watch", partitions=list(partitions), stories=stories)

    def retry(self) -> None:
        """Count a retry: it is alive, and waits for the store."""
        self._metrics.store_retries.inc()
        self._health.beat(self.STAGE)

    def taking(self) -> None:
        """Say that there is a record to work on: from now on progress is expected."""
        self._health.beat(self.STAGE)

    def progress(self) -> None:
        """Say that a record is done; until the next comes nothing is expected."""
        self._health.idle(self.STAGE)
