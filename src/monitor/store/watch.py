"""What the watching worker reads at assignment and writes per batch.

One transaction per batch holds the stories, the incidents' events, the pages for the outbox, the ids seen, the account
and the new offset; the offset is compared with the one that the batch began at, so that a worker that lost its
partition without noticing writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import bindparam, delete, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from monitor.clock import WallClock
from monitor.engine.changes import SeenRow, StoryRow, TideRow
from monitor.store.account import found
from monitor.store.bulk import Lookup, Upsert
from monitor.store.tables import account, loose, partition_state, seen, shadow_decision, story, tide
from monitor.store.writer import IncidentWriter

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from monitor.clock import Clock
    from monitor.engine.changes import Changes, LooseRow, ShadowAct
    from monitor.incident import Routes
    from monitor.store.database import Store


SHADOWS_KEPT_S = 90 * 86_400.0
"""How long, beyond the ids, it is remembered what shadow rules would have done."""


class LostPartitionError(Exception):
    """Another worker has moved this partition's offset: this one does not own it any more and must start again."""


class PartitionState(Struct, frozen=True):
    """How far a partition of `readings` is, and of which very topic the offset speaks."""

    topic: str
    partition: int
    cluster: str
    topic_id: str
    partitions: int
    next_offset: int
    marks: bytes = b""
    clock: float = 0.0
    behind: bool = False


class WatchStore:
    """The watching worker's side of the store. Methods block; call them on the store's thread.

    `clock` gives the real time that rows were written at.
    """

    def __init__(self, store: Store, routes: Routes, clock: Clock | None = None) -> None:
        self._store = store
        self._routes = routes
        self._clock = clock or WallClock()
        self._upsert = sqlite.insert if store.is_sqlite else postgresql.insert
        dialect = store.engine.dialect
        self._put_seen = Upsert(seen, SeenRow.__struct_fields__, dialect)
        self._put_stories = Upsert(story, StoryRow.__struct_fields__, dialect)
        self._put_tides = Upsert(tide, TideRow.__struct_fields__, dialect)
        self._seen = Lookup(seen, SeenRow.__struct_fields__, "key", dialect)
        self._loose = Lookup(loose, ("key",), "key", dialect)
        self._any_loose = str(select(literal_column("1")).select_from(loose).limit(literal_column("1")))
        counted = self._upsert(account)
        self._add_up = counted.on_conflict_do_update(
            index_elements=["partition", "outcome"],
            set_={"mentions": account.c.mentions + counted.excluded.mentions},
        )

    def state(self, topic: str, partition: int) -> PartitionState | None:
        """Return how far a partition is; None if it was never read."""
        table = partition_state
        with self._store.engine.begin() as connection:
            row = connection.execute(
                select(table).where(table.c.topic == topic, table.c.partition == partition)
            ).one_or_none()
        if row is None:
            return None
        values = {field: getattr(row, field) for field in PartitionState.__struct_fields__}
        return PartitionState(**values)

    def begin(self, state: PartitionState) -> None:
        """Enter a partition that is read for the first time."""
        values = {field: getattr(state, field) for field in PartitionState.__struct_fields__}
        statement = (
            self._upsert(partition_state).values(**values, updated_at=self._clock.now()).on_conflict_do_nothing()
        )
        self._store.transact(lambda connection: connection.execute(statement))

    def load(self, partition: int) -> tuple[list[StoryRow], list[TideRow]]:
        """Return the live stories (and the names of merged ones) and the tides of a partition."""
        with self._store.engine.begin() as connection:
            stories = [
                StoryRow(**{field: getattr(row, field) for field in StoryRow.__struct_fields__})
                for row in connection.execute(
                    select(story)
                    .where(
                        story.c.partition == partition,
                        (story.c.closed.is_(False)) | (story.c.merged_into.is_not(None)),
                    )
                    .order_by(story.c.first_at, story.c.story)
                )
            ]
            tides = [
                TideRow(row.umbrella, row.brand, row.state)
                for row in connection.execute(select(tide).where(tide.c.partition == partition).order_by(tide.c.brand))
            ]
        return stories, tides

    def known(self, keys: Collection[bytes]) -> tuple[dict[bytes, Sequence[SeenRow]], set[bytes]]:
        """Return the rows of those ids that were seen, and which of the keys are counted as loose."""
        rows: dict[bytes, list[SeenRow]] = {}
        loose_keys: set[bytes] = set()
        wanted = list(keys)
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            for row in self._seen(connection, wanted):
                rows.setdefault(row[0], []).append(SeenRow(*row))
            if connection.exec_driver_sql(self._any_loose).first() is not None:
                loose_keys.update(row[0] for row in self._loose(connection, wanted))
        return dict(rows), loose_keys

    def commit(self, connection: Connection, state: PartitionState, changes: Changes, next_offset: int) -> bool:
        """Write a batch and move the offset; True if it was written now, False if it already had been.

        Raises:
            LostPartitionError: the stored offset is neither the batch's beginning nor its end.
        """
        table = partition_state
        moved = connection.execute(
            update(table)
            .where(
                table.c.topic == state.topic,
                table.c.partition == state.partition,
                table.c.next_offset == state.next_offset,
                table.c.topic_id == state.topic_id,
            )
            .values(
                next_offset=next_offset,
                marks=changes.marks,
                clock=changes.clock,
                behind=changes.behind,
                updated_at=self._clock.now(),
            )
        )
        if moved.rowcount != 1:
            stored = connection.scalar(
                select(table.c.next_offset).where(
                    table.c.topic == state.topic,
                    table.c.partition == state.partition,
                    table.c.topic_id == state.topic_id,
                )
            )
            if stored == next_offset:
                return False
            raise LostPartitionError(
                f"{state.topic}[{state.partition}] stands at {stored} in the store, this worker is at "
                f"{state.next_offset}: another worker owns it."
            )
        partition = changes.partition
        self._count(connection, partition, changes)
        self._put_seen(connection, partition, changes.seen.values())
        if changes.loose:
            self._put_loose(connection, partition, list(changes.loose.values()))
        self._put_stories(connection, partition, changes.stories.values())
        self._put_tides(connection, partition, changes.tides.values())
        if changes.closed:
            connection.execute(
                update(story)
                .where(story.c.umbrella == bindparam("of_umbrella"), story.c.story == bindparam("of_story"))
                .values(closed=True),
                [{"of_umbrella": umbrella, "of_story": name} for umbrella, name in changes.closed],
            )
        writer = IncidentWriter(connection, self._routes, self._clock.now())
        for happened in changes.events:
            writer.carry_out(happened)
        self._remember_shadows(connection, changes)
        if changes.purge_before is not None:
            self._purge(connection, partition, changes.purge_before)
        return True

    def _remember_shadows(self, connection: Connection, changes: Changes) -> None:
        if changes.shadows:
            connection.execute(insert(shadow_decision), [_shadow(act) for act in changes.shadows])
        if changes.purge_before is not None:
            old = changes.purge_before - SHADOWS_KEPT_S
            connection.execute(delete(shadow_decision).where(shadow_decision.c.at < old))

    def _count(self, connection: Connection, partition: int, changes: Changes) -> None:
        rows = [
            {"partition": partition, "outcome": outcome, "mentions": n} for outcome, n in changes.account.items() if n
        ]
        if rows:
            connection.execute(self._add_up, rows)

    def _put_loose(self, connection: Connection, partition: int, rows: list[LooseRow]) -> None:
        statement = self._upsert(loose).on_conflict_do_nothing()
        connection.execute(statement, [_values(row, partition) for row in rows])

    def _purge(self, connection: Connection, partition: int, before: float) -> None:
        """Forget ids older than the retention; what was loose is settled in the account first."""
        going = (
            select(seen.c.key)
            .where(
                seen.c.partition == partition,
                seen.c.published_at < before,
                seen.c.state == "stored",
                seen.c.key == loose.c.refers,
            )
            .exists()
        )
        # What still stands loose but counts by an id that goes now stays stored; its own id is remembered on.
        open_kinds = loose.c.kind.in_(["tombstone", "reference"])
        settled = connection.execute(update(loose).where(open_kinds, going).values(kind="settled"))
        self._count_one(connection, partition, "stored", settled.rowcount)
        old = (loose.c.partition == partition) & (loose.c.published_at < before)
        known = connection.execute(delete(loose).where(old, open_kinds, found()))
        self._count_one(connection, partition, "stored", known.rowcount)
        for kind, missing in (("tombstone", "orphan"), ("reference", "no_brand")):
            gone = connection.execute(delete(loose).where(old, loose.c.kind == kind))
            self._count_one(connection, partition, missing, gone.rowcount)
        connection.execute(delete(loose).where(old))
        connection.execute(delete(seen).where(seen.c.partition == partition, seen.c.published_at < before))
        connection.execute(  # no id remembered refers to these any more
            delete(story).where(
                story.c.partition == partition, story.c.merged_into.is_not(None), story.c.last_at < before
            )
        )

    def _count_one(self, connection: Connection, partition: int, outcome: str, n: int) -> None:
        if n:
            connection.execute(self._add_up, [{"partition": partition, "outcome": outcome, "mentions": n}])

    def set_routes(self, routes: Routes) -> None:
        """Address pages by these from now on."""
        self._routes = routes

    def reset(self, topic: str, *, state: PartitionState) -> None:
        """Make the store agree to a topic made anew: stories and ids stay, the offset starts where `state` says."""
        values = {field: getattr(state, field) for field in PartitionState.__struct_fields__}

        def work(connection: Connection) -> None:
            connection.execute(
                delete(partition_state).where(
                    partition_state.c.topic == topic, partition_state.c.partition == state.partition
                )
            )
            connection.execute(insert(partition_state).values(**values, updated_at=self._clock.now()))

        self._store.transact(work)


def _shadow(act: ShadowAct) -> dict[str, Any]:
    decision = act.decision
    return {
        "at": act.at,
        "umbrella": act.umbrella,
        "brand": act.brand,
        "story": act.story,
        "rule": act.rule,
        "action": decision.action,
        "severity": decision.severity,
        "rules": decision.rules,
        "reason": decision.reason,
    }


def _values(row: LooseRow, partition: int) -> dict[str, Any]:
    values = {field: getattr(row, field) for field in row.__struct_fields__}
    values["partition"] = partition
    return values
