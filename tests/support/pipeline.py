"""Batching, engines and store without Kafka: as many partitions as a test wants, and a wall clock."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs
from sqlalchemy import event, select

from monitor.brand import BrandMatcher, BrandTree
from monitor.brand.tree import ViralLine
from monitor.clock import VirtualClock
from monitor.engine import EngineSettings, PartitionEngine, decode_batch
from monitor.engine.batching import Batcher, Read, with_reading
from monitor.escalation.rules import default_rules
from monitor.mention import Author, Mention, encode
from monitor.mention.decode import Dead, decode
from monitor.oncall.directory import Directory, Recipient, Route
from monitor.sentiment.reading import Origin
from monitor.sentiment.stub import StubScorer
from monitor.source.ticks import Ticker
from monitor.store import PartitionState, Store, WatchStore, read_account
from monitor.store.tables import incident, metadata, outbox, partition_state, seen, story
from monitor.store.writer import unpack
from tests.support.stores import passing_url

if TYPE_CHECKING:
    from collections.abc import Iterable

T0 = 1_780_000_000.0
"""When the tests' streams begin; seconds since the epoch."""

NAMES = ("Aurora Hotels", "Blue Finch Air", "Calder Rail", "Dune Resorts")
"""Umbrellas that the tests speak of; their ids are the slugs."""

LINE = 80.0
"""The viral line of each."""

ANGRY = "the worst: {brand} lost my bag, nobody would answer, no refund, rude and useless. {more}"


def say(number: Any, text: str = "", at: float = 0.0, *, author: str | None = None, **more: Any) -> bytes:
    """Return a mention as bytes; `at` counts from T0."""
    followers = more.pop("followers", 300)
    moment = datetime.fromtimestamp(T0 + at, UTC)
    who = Author(id=author, handle=author, followers=followers) if author else None
    fields = {"id": str(number), "source": "twitter", "published_at": moment, "observed_at": moment, "author": who}
    return encode(Mention(**{**fields, "text": text, **more}))


def on_call(*names: str) -> Directory:
    """Return a directory in which these people are paged for everything, notices included."""
    return Directory.of(
        [Recipient(name=name, channels=("webhook",)) for name in names],
        [Route(recipient=name, severity="notify") for name in names],
    )


def brands(names: Iterable[str] = NAMES, line: float = LINE) -> BrandTree:
    """Return these umbrellas with a viral line, so that no history is needed."""
    nodes = BrandTree.from_names(names).nodes
    return BrandTree([structs.replace(node, viral_line=ViralLine(line)) for node in nodes])


class Pipeline:
    """Everything between the topic of mentions and the outbox. `readings` and `mentions` are numbers of partitions."""

    def __init__(
        self,
        *,
        readings: int = 1,
        mentions: int = 1,
        tree: BrandTree | None = None,
        routes: Directory | None = None,
        url: str = "",
        mode: str = "replay",
        size: int = 256,
        **settings: Any,
    ) -> None:
        self.tree = tree or brands()
        self.matcher = BrandMatcher(self.tree)
        self.store = Store(url or passing_url())
        if self.store.is_sqlite:  # nobody pulls the plug on a test

            @event.listens_for(self.store.engine, "connect")
            def _fast(connection: Any, _: Any) -> None:
                connection.execute("PRAGMA synchronous=OFF")

        metadata.create_all(self.store.engine)
        self.clock = VirtualClock(T0)
        self.watch = WatchStore(self.store, routes or on_call("ana"), self.clock)
        self.settings = EngineSettings(readings_partitions=readings, mode=mode, **settings)
        self.rules = default_rules()
        self.topic_id = "t1"
        self.mentions, self.size = mentions, size
        self.offsets = Counter()
        self.published = 0
        self.wall: float | None = None
        self.states = [PartitionState("readings", p, "c", "r", readings, 0) for p in range(readings)]
        for state in self.states:
            self.watch.begin(state)
        self.engines = [self._engine(p) for p in range(readings)]
        self.values: list[tuple[int, bytes]] = []
        """Every record of `readings` so far."""

    def _engine(self, partition: int) -> PartitionEngine:
        return PartitionEngine(partition, self.settings, self.tree, self.rules)

    def restart(self) -> None:
        """Throw the engines away and take up what the store has, as another worker would."""
        for partition in range(len(self.engines)):
            self.states[partition] = self.watch.state("readings", partition)
            self.engines[partition] = self._engine(partition)
            self.engines[partition].restore(self.states[partition].marks, *self.watch.load(partition))

    def feed(self, *raws: bytes | float, partition: int = 0, appended: float | None = None) -> None:
        """Publish mentions to a partition of `mentions`, and let them through; a number is a tick, counted from T0."""
        for start in range(0, len(raws), self.size):
            batcher = Batcher(self.topic_id, self.mentions, len(self.engines))
            for raw in raws[start : start + self.size]:
                if isinstance(raw, float):
                    batcher.tick(partition, T0 + raw)
                else:
                    self._read(batcher, raw, partition, appended)
            for target, values in batcher.flush():
                for value in values:
                    self.take(target, value)

    def _read(self, batcher: Batcher, raw: bytes, partition: int, appended: float | None) -> None:
        self.published += 1
        origin = Origin(partition, self.offsets[partition], 4e9 if appended is None else appended)
        self.offsets[partition] += 1
        mention = decode(raw, record_time=4e9)
        if isinstance(mention, Dead):
            batcher.add_dead(origin)
            return
        if mention.observed_at.timestamp() >= 4e9:
            mention = structs.replace(mention, observed_at=mention.published_at)
        read = Read(mention, self.matcher.match(mention), self.matcher.is_own(mention), None, origin)
        if mention.text:
            read = with_reading(read, StubScorer().read([mention.text])[0])
        batcher.add(read)

    def take(self, partition: int, value: bytes) -> Any:
        """Let one record of `readings` through; returns the changes."""
        return self.take_together(partition, [value])

    def take_together(self, partition: int, values: list[bytes]) -> Any:
        """Let records of `readings` that follow each other through in one transaction; returns the changes."""
        self.values += [(partition, value) for value in values]
        self.clock.set(self.wall or 0.0)
        batches = [decode_batch(value) for value in values]
        found, loose = self.watch.known(PartitionEngine.wants(*batches))
        changes = self.engines[partition].apply(batches, found, loose, self.wall)
        state = self.states[partition]
        after = state.next_offset + len(values)
        self.store.transact(lambda connection: self.watch.commit(connection, state, changes, after))
        self.states[partition] = structs.replace(state, next_offset=after)
        return changes

    def tick(self, at: float, *partitions: int) -> None:
        """Let time pass to `at` on these partitions of `mentions` (all by default)."""
        batcher = Batcher(self.topic_id, self.mentions, len(self.engines))
        for partition in partitions or range(self.mentions):
            batcher.tick(partition, T0 + at)
        for target, values in batcher.flush():
            for value in values:
                self.take(target, value)

    # -- what came of it

    def account(self) -> dict[str, int]:
        """Return what is not 0 in the account."""
        with self.store.engine.connect() as connection:
            return {name: n for name, n in structs.asdict(read_account(connection)).items() if n}

    def stories(self) -> dict[str, Any]:
        """Return the live stories by id, as the engines hold them."""
        return {
            name: umbrella.state.grouper.story(name)
            for engine in self.engines
            for umbrella in engine._umbrellas.values()
            for name in umbrella.state.spreads
            if name in umbrella.state.grouper
        }

    def the_story(self) -> Any:
        (one,) = self.stories().values()
        return one

    def spread(self, name: str) -> Any:
        """Return a story's spread."""
        return next(
            u.state.spreads[name] for e in self.engines for u in e._umbrellas.values() if name in u.state.spreads
        )

    def rows(self, table: Any, *order: Any) -> list[Any]:
        """Return a table's rows."""
        with self.store.engine.connect() as connection:
            return list(connection.execute(select(table).order_by(*order)))

    def incidents(self) -> list[Any]:
        return [unpack(row.body) for row in self.rows(incident, incident.c.opened_at, incident.c.id)]

    def pages(self) -> list[Any]:
        return self.rows(outbox, outbox.c.number)

    def seen(self) -> list[Any]:
        return self.rows(seen, seen.c.umbrella, seen.c.key)

    def story_rows(self) -> dict[str, Any]:
        return {row.story: row for row in self.rows(story)}

    def clocks(self) -> list[float]:
        """Return every partition's clock as stored, counted from T0."""
        return [row.clock - T0 for row in self.rows(partition_state, partition_state.c.partition)]


def outcry(
    brand: str, start: float, *, people: int = 120, hours: float = 1.0, tag: str = "", words: str = ""
) -> list[bytes]:
    """Return a complaint of `brand` that many people repeat, faster and faster: posts and reposts, in order."""
    name = f"{brand}-{tag}-{start:.0f}"
    text = words or ANGRY.format(brand=brand, more=f"Story {tag or brand} of the broken suitcase at gate nine.")
    out = [say(f"{name}-0", text, start, author=f"{name}-first", followers=20_000)]
    for number in range(1, people):
        at = start + hours * 3600 * (number / people) ** 0.5
        shape = {"kind": "repost", "repost_of": f"{name}-0"} if number % 2 else {}
        out.append(say(f"{name}-{number}", text, at, author=f"{name}-{number}", followers=50 + number, **shape))
    return out


def chatter(brand: str, start: float, end: float, every: float, seed: int = 0) -> list[bytes]:
    """Return what people say of `brand` on any day: no two about the same."""
    rng = random.Random(f"{brand}{seed}")
    out = []
    for number, step in enumerate(range(int(start), int(end), int(every))):
        words = " ".join(
            "".join(rng.choice(("ka", "lo", "mi", "ru", "te", "so", "va")) for _ in range(3)) for _ in range(8)
        )
        mood = rng.choice(("", "", "lovely", "thanks", "late", "rude"))
        out.append(
            say(
                f"{brand}-chat{seed}-{number}",
                f"{brand} {words} {mood}",
                step + rng.uniform(0, every),
                author=f"{brand}{rng.randrange(500)}",
            )
        )
    return out


def in_time(raws: Iterable[bytes]) -> list[bytes]:
    """Return mentions in the order in which they were published."""
    return sorted(raws, key=lambda raw: _decoder.decode(raw).published_at)


def with_ticks(raws: Iterable[bytes], settle: float = 0.0) -> list[bytes | float]:
    """Return mentions, in order, with the ticks of a replay, and of `settle` seconds after the last."""
    ticker, now, out = Ticker(), T0, []
    for raw in raws:
        now = max(now, _decoder.decode(raw).published_at.timestamp())
        out += [at - T0 for at in ticker.until(now)]
        out.append(raw)
    return [*out, *[at - T0 for at in ticker.until(now + settle)]]


_decoder = msgspec.json.Decoder(Mention)
