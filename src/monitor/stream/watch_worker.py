"""Starting and stopping the watching worker: settings in, a process that ends cleanly out."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import structlog

from monitor import __version__
from monitor.clock import WallClock
from monitor.config import Escalation, Reloader, escalation_of, follow
from monitor.engine import EngineSettings
from monitor.engine.changes import Act, Crossing, Merge
from monitor.store import Store, WatchStore
from monitor.stream.topics import client_options
from monitor.stream.watch import Watcher, WatchEvents, WatchSettings
from monitor.stream.worker import run_framed, topics_of
from monitor.telemetry.spans import Spans, spans_of
from monitor.telemetry.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config import Settings
    from monitor.engine import Changes
    from monitor.telemetry import Health, Worker
    from monitor.telemetry.metrics import WatchMetrics

_log = structlog.get_logger("monitor.worker")

STORE_PATIENCE_S = 60.0


def run(settings: Settings) -> None:
    """Run a watching worker until SIGTERM or SIGINT: `monitor watch`.

    A lost partition or a store that stays away ends the process with an error: whoever runs it starts it again, and it
    goes on from the stored offset.
    """
    run_framed("watch", partial(watch, settings), settings, settings.http.watch_port)


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
        topics = await topics_of(settings, worker)
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
