"""Incidents for people and programs: read, changed with a version check, and their timers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from monitor.clock import WallClock
from monitor.incident import ACTIVE, IllegalChange, Incident, decode
from monitor.store.tables import incident as incident_table
from monitor.store.tables import incident_event, outbox, receipt
from monitor.store.writer import IncidentWriter, VersionConflictError, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from monitor.clock import Clock
    from monitor.incident import Event, Routes
    from monitor.store.database import Store

TRIES = 5


class IncidentStore:
    """Incidents for people and programs: read, and change with a version check and a retry."""

    def __init__(self, store: Store, routes: Routes, clock: Clock | None = None) -> None:
        self._store = store
        self._routes = routes
        self._clock = clock or WallClock()

    def get(self, incident: str) -> Incident | None:
        """Return an incident, or None."""
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            row = connection.execute(select(incident_table.c.body).where(incident_table.c.id == incident)).one_or_none()
        return None if row is None else unpack(row.body)

    def all(self, *, active: bool = False, limit: int = 1000) -> list[Incident]:
        """Return incidents, newest first; `active`: only those that somebody still has to do something about."""
        query = select(incident_table.c.body).order_by(incident_table.c.opened_at.desc()).limit(limit)
        if active:
            query = query.where(incident_table.c.state.in_(sorted(ACTIVE)))
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            return [unpack(row.body) for row in connection.execute(query)]

    def facts(self, incident: str) -> dict[str, Any]:
        """Return what was last known of the incident's story, as its pages say it."""
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            return dict(connection.scalar(select(incident_table.c.facts).where(incident_table.c.id == incident)) or {})

    def log(self, incident: str) -> list[Event]:
        """Return an incident's events in order: the audit log."""
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            return [
                decode(row.body)
                for row in connection.execute(
                    select(incident_event.c.body)
                    .where(incident_event.c.incident == incident)
                    .order_by(incident_event.c.version)
                )
            ]

    def pages(self, incident: str | None = None) -> list[dict[str, Any]]:
        """Return the pages (of one incident) with what became of them, in the order in which they were decided."""
        delivered = (
            select(receipt.c.key, func.max(receipt.c.at).label("delivered_at"))
            .where(receipt.c.outcome == "accepted")
            .group_by(receipt.c.key)
            .subquery()
        )
        query = (
            select(outbox, delivered.c.delivered_at)
            .outerjoin(delivered, or_(delivered.c.key == outbox.c.key, delivered.c.key == outbox.c.grouped_in))
            .order_by(outbox.c.decided_at, outbox.c.number)
        )
        if incident is not None:
            query = query.where(outbox.c.incident == incident)
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 -- SQLAlchemy's own public name

    async def change(
        self,
        incident: str,
        event: Event,
        *,
        expect: int | None = None,
        beside: Callable[[Connection], None] | None = None,
    ) -> Incident:
        """Append a person's event.

        Args:
            incident: its id.
            event: what happened.
            expect: only if the incident still has this version.
            beside: what is done first, in the same transaction.

        Raises:
            KeyError: there is no such incident.
            IllegalChange: the event does not fit the incident's state.
            VersionConflictError: `expect` was given and does not hold, or others kept changing it.
        """

        def work(connection: Connection) -> Incident:
            writer = IncidentWriter(connection, self._routes, self._clock.now())
            current = writer.by_id(incident)
            if current is None:
                raise KeyError(incident)
            if expect is not None and current.version != expect:
                raise VersionConflictError(
                    f"incident {incident} has version {current.version} by now, not {expect}: look at it again"
                )
            if beside is not None:
                beside(connection)
            return writer.change(current, event)

        for attempt in range(TRIES):
            try:
                return await self._store.run_retrying(work)
            except VersionConflictError:
                if expect is not None or attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    async def run_out(self, at: float, *, limit: int = 100) -> int:
        """Let the timers run out that are due at `at` (event time); return how many did. Safe to run side by side."""
        due = select(incident_table.c.id).where(incident_table.c.due_at <= at).order_by(incident_table.c.due_at)
        with_limit = due.limit(limit)

        def look() -> list[str]:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return list(connection.scalars(with_limit))

        ran = 0
        for name in await self._store.run(look):
            try:
                after = await self._store.run_retrying(
                    lambda connection, name=name: self._writer(connection).run_out(name, at)  # type: ignore[misc]
                )
            except (VersionConflictError, IllegalChange):
                continue  # somebody was faster; the next look sees what is left
            ran += after is not None
        return ran

    async def plan_again(self) -> None:
        """Set every active incident's timer anew, after the ladders or deadlines have changed."""
        await self._store.run_retrying(lambda connection: self._writer(connection).plan_again())

    def set_routes(self, routes: Routes) -> None:
        """Address pages by these from now on."""
        self._routes = routes

    def _writer(self, connection: Connection) -> IncidentWriter:
        return IncidentWriter(connection, self._routes, self._clock.now())
