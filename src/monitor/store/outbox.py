"""The outbox in the store: the dispatcher's `Outbox` protocol (see `monitor.page.outbox` for what each verb means)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, insert, not_, or_, select, tuple_, update

from monitor.page.outbox import Depth, Reclaimed
from monitor.page.types import COLUMNS, Page
from monitor.store.gather import Gather
from monitor.store.spare import put
from monitor.store.tables import outbox, partition_state, receipt
from monitor.store.tries import Begin, Finish, Try, write

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row

    from monitor.page.budget import Budget
    from monitor.page.outbox import Next, Standing
    from monitor.page.types import Delivery
    from monitor.store.database import Store

BACKLOG_PATIENCE_S = 600.0
"""How long a page about a backlog waits for the other partitions to catch up, so that a person gets one."""

BACKLOG_LAG_S = 300.0
"""A partition whose clock is so far behind still has to catch up, even if it has not noticed yet."""


class OutboxStore:
    """Implements `monitor.page.outbox.Outbox`; every method is a short transaction on the store's thread.

    What is begun and finished at the same moment shares one transaction, and its statements: see `store.tries`.
    """

    def __init__(self, store: Store, *, patience_s: float = 30.0, budget: Budget | None = None) -> None:
        self._store = store
        self._gather = Gather[Try, Any](
            store, lambda connection, tries: write(connection, tries, budget), patience_s=patience_s
        )
        self._patience_s = patience_s

    async def claim(
        self,
        now: float,
        limit: int,
        owner: str,
        lease_s: float,
        *,
        channels: Collection[str],
        full: Collection[tuple[str, str]] = (),
    ) -> list[Page]:
        """Lease up to `limit` due heads of lanes to `owner`."""
        earlier = outbox.alias("earlier")
        due = select(outbox.c.number).where(
            outbox.c.settled.is_(False),
            outbox.c.status == "waiting",
            outbox.c.channel.in_(list(channels)),
            or_(outbox.c.next_try_at.is_(None), outbox.c.next_try_at <= now),
            not_(
                exists().where(
                    earlier.c.incident == outbox.c.incident,
                    earlier.c.recipient == outbox.c.recipient,
                    earlier.c.channel == outbox.c.channel,
                    earlier.c.sequence < outbox.c.sequence,
                    earlier.c.settled.is_(False),
                )
            ),
            not_(
                and_(
                    outbox.c.purpose == "backlog",
                    outbox.c.created_at > now - BACKLOG_PATIENCE_S,
                    exists().where(
                        or_(
                            partition_state.c.behind.is_(True),
                            and_(partition_state.c.clock > 0, partition_state.c.clock < now - BACKLOG_LAG_S),
                        )
                    ),
                )
            ),
        )
        if full:
            due = due.where(tuple_(outbox.c.recipient, outbox.c.channel).not_in(list(full)))

        def look() -> bool:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return connection.execute(due.limit(1)).first() is not None

        order = (func.coalesce(outbox.c.next_try_at, outbox.c.created_at), outbox.c.created_at, outbox.c.sequence)
        first = due.order_by(*order).limit(limit)  # only then the rows: sorting whole pages costs ten times as much

        if self._store.is_sqlite and not await self._store.run(look):
            return []  # an idle dispatcher must not take SQLite's one writer's place several times a second

        def work(connection: Connection) -> list[Page]:
            numbers = list(connection.scalars(first.with_for_update(skip_locked=True, of=outbox)))
            if not numbers:
                return []
            connection.execute(
                update(outbox)
                .where(outbox.c.number.in_(numbers))
                .values(status="leased", lease_owner=owner, lease_until=now + lease_s)
            )
            rows = connection.execute(select(outbox).where(outbox.c.number.in_(numbers)).order_by(*order)).all()
            return [_page(row) for row in rows]

        return await self._store.run_retrying(work, patience_s=self._patience_s)

    async def begin(self, key: str, owner: str, now: float, lease_s: float, *, exactly_once: bool) -> Standing | None:
        """Note that `owner` is about to send this page."""
        standing: Standing | None = await self._gather.run(Begin(key, owner, now, lease_s, exactly_once))
        return standing

    async def finish(
        self, key: str, owner: str, delivery: Delivery, now: float, *, status: Next, next_try_at: float | None = None
    ) -> bool:
        """Write the receipt of one try and move the page on."""
        moved: bool = await self._gather.run(Finish(key, owner, delivery, now, status, next_try_at))
        return moved

    async def put(self, pages: Sequence[Page]) -> int:
        """Add pages, each at the end of its lane; return how many were not there already."""

        def work(connection: Connection) -> int:
            return sum(put(connection, page) for page in pages)

        return await self._store.run_retrying(work, patience_s=self._patience_s)

    async def standings(self, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return where pages stand and what their last receipt says, by key."""

        def work() -> dict[str, tuple[str, str]]:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                rows = connection.execute(select(outbox.c.key, outbox.c.status).where(outbox.c.key.in_(list(keys))))
                found = {row.key: (row.status, "") for row in rows}
                last = connection.execute(
                    select(receipt.c.key, receipt.c.detail)
                    .where(receipt.c.key.in_(list(keys)))
                    .order_by(receipt.c.number)
                )
                return found | {row.key: (found[row.key][0], row.detail) for row in last}

        return await self._store.run(work)

    async def release(self, keys: Sequence[str], owner: str) -> None:
        """Give leased pages back unsent."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(outbox)
                .where(outbox.c.key.in_(list(keys)), outbox.c.lease_owner == owner, outbox.c.status == "leased")
                .values(status="waiting", lease_owner=None, lease_until=None)
            )

        if keys:
            await self._store.run_retrying(work, patience_s=self._patience_s)

    async def reclaim(self, now: float) -> list[Reclaimed]:
        """Take back every page whose lease has run out."""
        query = select(outbox).where(
            outbox.c.settled.is_(False), outbox.c.status.in_(["leased", "sending"]), outbox.c.lease_until <= now
        )

        def look() -> bool:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return connection.execute(query.limit(1)).first() is not None

        if not await self._store.run(look):
            return []

        def work(connection: Connection) -> list[Reclaimed]:
            out: list[Reclaimed] = []
            for row in connection.execute(query.with_for_update(skip_locked=True)).all():
                values: dict[str, Any] = {"lease_owner": None, "lease_until": None}
                if row.status == "leased":
                    out.append(Reclaimed(row.key, row.channel, "again"))
                    values |= {"status": "waiting", "next_try_at": None}
                elif not row.may_be_repeat:
                    out.append(Reclaimed(row.key, row.channel, "repeat"))
                    values |= {"status": "waiting", "next_try_at": None, "may_be_repeat": True}
                else:
                    out.append(Reclaimed(row.key, row.channel, "in_doubt", _page(row)))
                    values |= {"status": "in_doubt", "settled": True}
                    connection.execute(
                        insert(receipt).values(
                            key=row.key,
                            attempt=row.attempts,
                            at=now,
                            outcome="in_doubt",
                            detail="the sender died twice while sending; whether it arrived is not known",
                        )
                    )
                connection.execute(update(outbox).where(outbox.c.number == row.number).values(**values))
            return out

        return await self._store.run_retrying(work, patience_s=self._patience_s)

    async def depth(self) -> Depth:
        """Return how much is not settled."""

        def work() -> Depth:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                unsettled, oldest = connection.execute(
                    select(func.count(), func.min(outbox.c.created_at)).where(outbox.c.settled.is_(False))
                ).one()
            return Depth(int(unsettled), oldest)

        return await self._store.run(work)


def _page(row: Row[Any]) -> Page:
    return Page(**{field: getattr(row, field) for field in COLUMNS})
