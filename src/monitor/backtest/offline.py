"""Mentions in, pages out, in one process and in the stream's own time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from sqlalchemy import select

from monitor.clock import WallClock
from monitor.engine import EngineSettings, PartitionEngine, decode_batch
from monitor.engine.batching import Batcher, Read, with_reading
from monitor.incident import Incident
from monitor.mention.decode import Dead, decode
from monitor.sentiment.reading import Origin
from monitor.source.ticks import Ticker
from monitor.store import Account, PartitionState, Store, WatchStore, read_account
from monitor.store.tables import incident, outbox, story
from monitor.store.writer import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.brand.any import AnyBrand
    from monitor.brand.match import BrandMatcher
    from monitor.brand.tree import BrandTree
    from monitor.clock import Clock
    from monitor.escalation.rules import RuleSet
    from monitor.incident import Routes
    from monitor.sentiment.scorer import Scorer

TOPIC = "offline"
SETTLE_S = 600.0
"""Event time that passes after the last mention, so that what holds is decided."""


class OfflinePage(Struct, frozen=True):
    """A page that would have gone out. `lead_s` is None while the story has not crossed its line."""

    key: str
    incident: str
    story: str
    brand: str
    kind: str
    severity: str
    purpose: str
    recipient: str
    channel: str
    headline: str
    reason: str
    decided_at: float
    crossed_at: float | None

    @property
    def lead_s(self) -> float | None:
        """Seconds from the page to the crossing of the viral line."""
        return None if self.crossed_at is None else self.crossed_at - self.decided_at


class OfflineResult(Struct, frozen=True):
    """What a run came to."""

    published: int
    account: Account
    pages: list[OfflinePage]
    incidents: list[Incident]


class Offline:
    """Runs a stream of raw mentions through everything but Kafka and the channels.

    Args:
        tree: the brands.
        matcher: of the same tree.
        scorer: reads the texts.
        rules: what to page about.
        routes: whom.
        store_url: where to keep the state; in memory by default.
        batch: records taken at once.
        clock: what is later than this cannot have been observed yet, as live; the wall clock by default.
    """

    def __init__(
        self,
        *,
        tree: BrandTree,
        matcher: BrandMatcher | AnyBrand,
        scorer: Scorer,
        rules: RuleSet,
        routes: Routes,
        store_url: str = "sqlite://",
        batch: int = 256,
        clock: Clock | None = None,
        id_retention_s: float = 48 * 3600.0,
    ) -> None:
        self.store = Store(store_url)
        self.store.migrate()
        self._now = (clock or WallClock()).now()
        self._watch = WatchStore(self.store, routes)
        settings = EngineSettings(readings_partitions=1, mode="replay", id_retention_s=id_retention_s)
        self._engine = PartitionEngine(0, settings, tree, rules)
        self._state = PartitionState(TOPIC, 0, "offline", "offline", 1, 0)
        self._watch.begin(self._state)
        self._matcher = matcher
        self._scorer = scorer
        self._batch = batch
        self._offset = 0
        self._published = 0
        self._ticker = Ticker()

    def run(self, raws: Iterable[bytes]) -> OfflineResult:
        """Run the stream to its end and let ten minutes pass after it."""
        pending: list[Read | Origin | float] = []
        now = 0.0
        for raw in raws:
            self._published += 1
            origin = Origin(0, self._offset, self._now)
            self._offset += 1
            mention = decode(raw, record_time=self._now)
            if isinstance(mention, Dead):
                pending.append(origin)
            else:
                if mention.observed_at is None or abs(mention.observed_at.timestamp() - self._now) < TO_THE_DOT_S:
                    mention = msgspec.structs.replace(mention, observed_at=mention.published_at)
                observed = (mention.observed_at or mention.published_at).timestamp()
                now = max(now, observed)
                pending.extend(self._ticker.until(now))
                pending.append(Read(mention, self._matcher.match(mention), self._matcher.is_own(mention), None, origin))
            if len(pending) >= self._batch:
                self._flush(pending)
        self._flush(pending)
        self._flush(list(self._ticker.until(now + SETTLE_S)))
        return self.result()

    def result(self) -> OfflineResult:
        """Return what the run has come to so far."""
        with self.store.engine.connect() as connection:
            incidents = [
                unpack(row.body) for row in connection.execute(select(incident).order_by(incident.c.opened_at))
            ]
            by_id = {found.id: found for found in incidents}
            crossed = {
                (row.umbrella, row.story): row.crossed_at
                for row in connection.execute(select(story.c.umbrella, story.c.story, story.c.crossed_at))
            }
            pages = []
            for row in connection.execute(select(outbox).order_by(outbox.c.decided_at, outbox.c.number)):
                about = by_id[row.incident]
                pages.append(
                    OfflinePage(
                        row.key,
                        about.id,
                        about.story,
                        about.brand,
                        about.kind,
                        row.severity,
                        row.purpose,
                        row.recipient,
                        row.channel,
                        row.facts.get("headline", ""),
                        row.facts.get("reason", ""),
                        row.decided_at,
                        about.crossed_at or crossed.get((about.umbrella, about.story)),
                    )
                )
            account = read_account(connection)
        return OfflineResult(self._published, account, pages, incidents)

    def _flush(self, pending: list[Read | Origin | float]) -> None:
        reads = [item for item in pending if isinstance(item, Read) and item.mention.text]
        readings = self._scorer.read([item.mention.text for item in reads], [item.mention.lang for item in reads])
        read = {item.origin.offset: reading for item, reading in zip(reads, readings, strict=True)}
        batcher = Batcher(TOPIC, 1, 1)
        for item in pending:
            if isinstance(item, float):
                batcher.tick(0, item)
            elif isinstance(item, Origin):
                batcher.add_dead(item)
            else:
                reading = read.get(item.origin.offset)
                batcher.add(item if reading is None else with_reading(item, reading))
        pending.clear()
        for _, values in batcher.flush():
            for value in values:
                self._commit(value)

    def _commit(self, value: bytes) -> None:
        batch = decode_batch(value)
        seen, loose = self._watch.known(PartitionEngine.wants(batch))
        changes = self._engine.apply([batch], seen, loose)
        state = self._state
        self.store.transact(lambda connection: self._watch.commit(connection, state, changes, state.next_offset + 1))
        self._state = PartitionState(TOPIC, 0, "offline", "offline", 1, state.next_offset + 1)


TO_THE_DOT_S = 1e-5
"""`decode` fills in an absent `observed_at` with the record's time: whoever has that to the dot had none."""
