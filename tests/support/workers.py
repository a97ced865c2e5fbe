"""The workers on a real broker, with topics and groups of the test's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.brand import BrandMatcher
from monitor.clock import WallClock
from monitor.config import KafkaSettings, TopicNames
from monitor.engine import EngineSettings
from monitor.escalation.rules import default_rules
from monitor.sentiment.stub import StubScorer
from monitor.store import WatchStore
from monitor.stream.embedded import is_embedded
from monitor.stream.score import ScoreSettings, ScoreWorker
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from monitor.stream.watch import Watcher, WatchSettings
from tests.support.pipeline import brands, on_call

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.store import Store
    from monitor.stream.identity import TopicIdentity


@dataclass(frozen=True)
class Topics:
    """The topics of one test, and how to reach them."""

    prefix: str
    client: dict[str, Any]
    mentions: TopicIdentity
    readings: TopicIdentity
    dead: str

    @classmethod
    async def of(cls, broker: Any, prefix: str, *, mentions: int = 1, readings: int = 2) -> Topics:
        """Make them; `mentions` and `readings` are numbers of partitions."""
        ends = {name: f"{prefix}-{name[0]}" for name in ("mentions", "readings", "dead", "incidents")}
        kafka = KafkaSettings(
            bootstrap=broker.bootstrap,
            topics=TopicNames(**ends),
            mentions_partitions=mentions,
            readings_partitions=readings,
        )
        client = client_options(kafka)
        made = await ensure_topics(client, topic_plans(kafka))
        return cls(prefix, client, made[ends["mentions"]], made[ends["readings"]], ends["dead"])

    def scorer(self, model: Any = None, **settings: Any) -> ScoreWorker:
        """Return a scoring worker, with the stub model unless told otherwise."""
        asked = ScoreSettings(
            client=self.client,
            mentions=self.mentions.topic,
            readings=self.readings.topic,
            dead=self.dead,
            group=f"{self.prefix}-s",
            mentions_topic_id=self.mentions.topic_id,
            mentions_partitions=self.mentions.partitions,
            readings_partitions=self.readings.partitions,
            **{"leaves": not is_embedded(self.mentions.cluster), **settings},
        )
        model = model or StubScorer()
        readers = ThreadPoolExecutor(getattr(model, "at_once", 1))
        return ScoreWorker(asked, model, BrandMatcher(brands()), WallClock(), readers)

    def watcher(
        self,
        store: Store,
        folder: Path,
        *,
        mode: str = "live",
        events: Any = None,
        kind: type[Watcher] = Watcher,
        **settings: Any,
    ) -> Any:
        """Return a watching worker that pages ana."""
        asked = WatchSettings(
            readings=self.readings.topic,
            group=f"{self.prefix}-w",
            data_dir=folder / "faust",
            engine=EngineSettings(readings_partitions=self.readings.partitions, mode=mode),
            **{"client": self.client, **settings},
        )
        watch_store = WatchStore(store, on_call("ana"))
        return kind(asked, self.readings, store, watch_store, brands(), default_rules(), WallClock(), events)
