"""One partition of `readings`: orders the items, keeps the clock, counts each mention once, and hands over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from monitor.engine.changes import Changes, LooseRow, SeenRow
from monitor.engine.records import Marker, ReadingBatch, Tick, id_key, partition_of
from monitor.engine.umbrella import Amendment, UmbrellaEngine, UmbrellaSettings
from monitor.sentiment.reading import ReadMention
from monitor.story import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.brand.tree import BrandTree
    from monitor.engine.changes import StoryRow, TideRow
    from monitor.escalation.rules import RuleSet

Mode = Literal["live", "replay"]


class EngineSettings(Struct, frozen=True):
    """How a partition is watched. Seconds throughout.

    `id_retention_s`: ids are remembered that long; what was published before that is counted `too_old`.
    `behind_after_s`: over this lag of event time behind the wall clock nothing is decided; under half of it decisions
    begin again. `mode` `replay` has no wall clock to lag behind.
    """

    readings_partitions: int
    mode: Mode = "live"
    id_retention_s: float = 48 * 3600.0
    behind_after_s: float = 300.0
    umbrella: UmbrellaSettings = UmbrellaSettings()


class Marks(Struct):
    """How far the partition is: kept in the store beside the offset.

    `watermarks`: per `mentions` topic and partition the highest offset taken in, so that what a scoring worker sends
    twice is dropped. `ticks`: per partition of `mentions` how far it has been read, in event time. `filling`: what
    is in the topic before the first head of the stream fills the baselines, and nobody is paged about it.
    """

    topic_id: str = ""
    watermarks: dict[int, int] = msgspec.field(default_factory=dict)
    ticks: dict[int, float] = msgspec.field(default_factory=dict)
    clock: float = 0.0
    behind_since: float | None = None
    purged_at: float = 0.0
    filling: bool = False


class PartitionEngine:
    """The umbrellas of one partition. Not thread-safe; one owner at a time."""

    def __init__(self, partition: int, settings: EngineSettings, tree: BrandTree, rules: RuleSet) -> None:
        self.partition = partition
        self.settings = settings
        self.marks = Marks()
        self._tree = tree
        self._rules = rules
        self._umbrellas: dict[str, UmbrellaEngine] = {}

    @staticmethod
    def first_marks(*, filling: bool) -> bytes:
        """Return the marks of a partition that was never read."""
        return msgspec.msgpack.encode(Marks(filling=filling))

    def restore(self, marks: bytes, stories: Iterable[StoryRow], tides: Iterable[TideRow]) -> None:
        """Take up the state that the store kept for this partition."""
        if marks:
            self.marks = msgspec.msgpack.decode(marks, type=Marks)
        by_umbrella: dict[str, tuple[list[StoryRow], list[TideRow]]] = {}
        for story in stories:
            by_umbrella.setdefault(story.umbrella, ([], []))[0].append(story)
        for tide in tides:
            by_umbrella.setdefault(tide.umbrella, ([], []))[1].append(tide)
        for umbrella, (story_rows, tide_rows) in by_umbrella.items():
            self._umbrella(umbrella).restore(story_rows, tide_rows, self.marks.clock)

    def set_rules(self, rules: RuleSet) -> None:
        """Judge by these rules from now on."""
        self._rules = rules
        for umbrella in self._umbrellas.values():
            umbrella.set_rules(rules)

    def set_tree(self, tree: BrandTree) -> None:
        """Judge by this brand tree from now on."""
        self._tree = tree
        for umbrella in self._umbrellas.values():
            umbrella.set_tree(tree)

    @property
    def behind(self) -> bool:
        """True while nothing is decided because the stream is too far in the past."""
        return self.marks.behind_since is not None

    @property
    def live_stories(self) -> int:
        """How many stories are held in memory."""
        return sum(umbrella.live_stories for umbrella in self._umbrellas.values())

    @staticmethod
    def wants(*batches: ReadingBatch) -> set[bytes]:
        """Return the id keys whose rows `apply` needs: the mentions' own, their parents', their targets'."""
        keys: set[bytes] = set()
        for batch in batches:
            for item in batch.items:
                if isinstance(item, (Marker, Tick)):
                    continue
                keys.add(id_key(item.source, item.id))
                for other in (item.in_reply_to, item.repost_of, item.target):
                    if other:
                        keys.add(id_key(item.source, other))
        return keys

    def apply(
        self,
        batches: Sequence[ReadingBatch],
        seen: Mapping[bytes, Sequence[SeenRow]],
        loose: set[bytes],
        wall: float | None = None,
    ) -> Changes:
        """Take in the batches of records that follow each other: what comes out is the same however they are cut.

        Args:
            batches: the records' items, in order.
            seen: the rows of the keys that `wants` named, of any umbrella.
            loose: those of the keys that are already counted as loose.
            wall: the wall clock, to know whether the stream is behind it; None in a replay.

        Returns:
            All that the transaction has to write.
        """
        changes = Changes(self.partition)
        known = {key: {row.umbrella: row for row in rows} for key, rows in seen.items()}
        for batch in batches:
            self._take_in(batch, known, loose, wall, changes)
        for umbrella in self._umbrellas.values():
            umbrella.collect(changes)
        changes.clock = self.marks.clock
        changes.behind = self.behind
        if self.marks.clock - self.marks.purged_at > self.settings.id_retention_s / 48:
            self.marks.purged_at = self.marks.clock
            changes.purge_before = self.marks.clock - self.settings.id_retention_s - 3600.0
        changes.marks = msgspec.msgpack.encode(self.marks)
        return changes

    def _take_in(
        self,
        batch: ReadingBatch,
        known: dict[bytes, dict[str, SeenRow]],
        loose: set[bytes],
        wall: float | None,
        changes: Changes,
    ) -> None:
        if batch.topic_id != self.marks.topic_id:
            # `mentions` was made anew: its offsets start again, so the old watermarks mean nothing.
            self.marks.topic_id = batch.topic_id
            self.marks.watermarks = {}
            self.marks.ticks = {}
        read_ahead(
            (item.text, item.reading.vector if item.reading else None)
            for item in batch.items
            if isinstance(item, ReadMention)
        )
        watermarks = self.marks.watermarks
        floor = dict(watermarks)  # several items of one record may share an origin: compare with the record's start
        for item in batch.items:
            if isinstance(item, Tick):
                self._tick(item, batch.partitions, wall, changes)
                continue
            origin = item.origin
            if origin.offset <= floor.get(origin.partition, -1):
                continue  # a scoring worker's repeat: counted when it first came
            watermarks[origin.partition] = max(origin.offset, watermarks.get(origin.partition, -1))
            if wall is not None and wall - origin.appended_at > self.settings.behind_after_s:
                self._fall_behind(origin.appended_at)
            if isinstance(item, Marker):
                changes.account[item.outcome] += 1
            else:
                self._mention(item, known, loose, changes)

    def _umbrella(self, name: str) -> UmbrellaEngine:
        umbrella = self._umbrellas.get(name)
        if umbrella is None:
            umbrella = UmbrellaEngine(name, self.settings.umbrella, self._tree, self._rules)
            self._umbrellas[name] = umbrella
        return umbrella

    @property
    def _waiting_room(self) -> str:
        """The name that stands for an umbrella where the target's umbrella is not known yet."""
        return f"?{self.partition}"

    def _owns(self, umbrella: str) -> bool:
        return partition_of(umbrella, self.settings.readings_partitions) == self.partition

    def _mention(
        self, m: ReadMention, known: dict[bytes, dict[str, SeenRow]], loose: set[bytes], changes: Changes
    ) -> None:
        outcome = self._place(m, known, loose, changes)
        if m.counted and outcome is not None:
            changes.account[outcome] += 1

    def _place(
        self, m: ReadMention, known: dict[bytes, dict[str, SeenRow]], loose: set[bytes], changes: Changes
    ) -> str | None:
        """Return the outcome to count, or None where a loose row counts by itself."""
        if m.published_at < self.marks.clock - self.settings.id_retention_s:
            return "too_old"
        key = id_key(m.source, m.id)
        if m.kind in {"edit", "delete"} and m.target:
            target = id_key(m.source, m.target)
            return self._amend(m, key, target, known, loose, changes)
        rows = known.setdefault(key, {})
        if m.umbrella:
            row = rows.get(m.umbrella)
            if row is not None and row.state == "stored":
                return "repeated"
            self._join(m, key, m.umbrella, known, changes)
            return "stored"
        return self._refer(m, key, known, loose, changes)

    def _refer(
        self,
        m: ReadMention,
        key: bytes,
        known: dict[bytes, dict[str, SeenRow]],
        loose: set[bytes],
        changes: Changes,
    ) -> str | None:
        """A reply or repost that names no brand joins the stories that it refers to; it was sent to every partition."""
        parents = [id_key(m.source, other) for other in (m.in_reply_to, m.repost_of) if other]
        rows = [(u, row) for parent in parents for u, row in known.get(parent, {}).items()]
        for umbrella in sorted({u for u, row in rows if row.state == "stored" and self._owns(u)}):
            row = known.setdefault(key, {}).get(umbrella)
            if row is None or row.state != "stored":
                self._join(m, key, umbrella, known, changes)
        if not m.counted:
            return None
        if key in loose:
            return "repeated"
        loose.add(key)
        changes.loose[key] = LooseRow(key, "reference", key, m.published_at)
        return None

    def _join(
        self, m: ReadMention, key: bytes, umbrella: str, known: dict[bytes, dict[str, SeenRow]], changes: Changes
    ) -> None:
        engine = self._umbrella(umbrella)
        related: str | None = None
        for other in (m.in_reply_to, m.repost_of):
            row = known.get(id_key(m.source, other), {}).get(umbrella) if other else None
            if row is not None and row.story is not None:
                related = row.story
                break
        awaited = known.get(key, {}).get(self._waiting_room)
        row = engine.take(m, key, related, behind=self.behind, changes=changes)
        if awaited is not None:
            row = engine.amend(row, _amendment(awaited), m.observed_at, changes)
        known.setdefault(key, {})[umbrella] = row
        changes.seen[key, umbrella] = row

    def _amend(
        self,
        m: ReadMention,
        key: bytes,
        target: bytes,
        known: dict[bytes, dict[str, SeenRow]],
        loose: set[bytes],
        changes: Changes,
    ) -> str | None:
        """An edit or delete, sent to every partition: changes its target, or waits for it in this partition."""
        rows = known.setdefault(target, {})
        room = self._waiting_room
        amendment = UmbrellaEngine.amendment(m)
        mine = sorted(u for u, row in rows.items() if row.state == "stored" and self._owns(u))
        for umbrella in mine:
            row = self._umbrella(umbrella).amend(rows[umbrella], amendment, m.observed_at, changes)
            rows[umbrella] = row
            changes.seen[target, umbrella] = row
        old = rows.get(room)
        if not mine and (old is None or _amendment(old).version < amendment.version):
            asked = msgspec.msgpack.encode(amendment)
            rows[room] = SeenRow(target, room, "awaited", m.published_at, None, m.revision, asked)
            changes.seen[target, room] = rows[room]
        if not m.counted:
            return None
        if key in loose:
            return "repeated"
        loose.add(key)
        changes.loose[key] = LooseRow(key, "tombstone", target, m.published_at)
        return None

    def _tick(self, tick: Tick, partitions: int, wall: float | None, changes: Changes) -> None:
        marks = self.marks
        marks.ticks[tick.partition] = max(tick.at, marks.ticks.get(tick.partition, 0.0))
        if len(marks.ticks) < partitions:
            return
        clock = min(marks.ticks.values())
        if clock <= marks.clock:
            return
        caught_up_since: float | None = None
        if wall is not None:
            lag = wall - clock
            if lag > self.settings.behind_after_s:
                self._fall_behind(clock)
            elif marks.behind_since is not None and lag < self.settings.behind_after_s / 2:
                caught_up_since, marks.behind_since = marks.behind_since, None
        marks.clock = clock
        hush = marks.filling and not self.behind
        marks.filling = marks.filling and self.behind
        for umbrella in self._umbrellas.values():
            umbrella.tick(clock, behind=self.behind, caught_up_since=caught_up_since, changes=changes, hush=hush)

    def _fall_behind(self, at: float) -> None:
        """Decide nothing any more: since the last tick, or since `at` where there was none."""
        if self.marks.behind_since is None:
            self.marks.behind_since = min(self.marks.clock or at, at)


def _amendment(row: SeenRow) -> Amendment:
    return msgspec.msgpack.decode(row.share or b"", type=Amendment)
