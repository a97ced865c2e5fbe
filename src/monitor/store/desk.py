"""What people do to incidents, with the checks that need the store: for commands, the API and the links of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import insert, or_, select
from sqlalchemy.exc import IntegrityError

from monitor.clock import WallClock
from monitor.incident import ACTIVE, Event, IllegalChange, Incident, Wish, event_of
from monitor.store.incidents import IncidentStore
from monitor.store.tables import incident as incident_table
from monitor.store.tables import link_used
from monitor.store.writer import unpack

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from monitor.clock import Clock
    from monitor.incident import Routes
    from monitor.store.database import Store


class UnknownIncidentError(Exception):
    """There is no such incident."""


class LinkUsedError(Exception):
    """The link of a page was used before."""


class Known(Struct, frozen=True):
    """An incident with its log, its pages, and what was last known of its story."""

    incident: Incident
    log: list[Event]
    pages: list[dict[str, Any]]
    facts: dict[str, Any]


class Desk:
    """Incidents as people see and change them. Every change is one transaction that reads the incident first."""

    def __init__(self, store: Store, routes: Routes, clock: Clock | None = None) -> None:
        self._store = store
        self._routes = routes
        self._clock = clock or WallClock()
        self.incidents = IncidentStore(store, routes, self._clock)

    def set_routes(self, routes: Routes) -> None:
        """Address pages by these from now on."""
        self._routes = routes
        self.incidents.set_routes(routes)

    async def do(self, incident: str, wish: Wish, *, expect: int | None = None, link: str | None = None) -> Incident:
        """Carry a wish out and return the incident after it.

        Args:
            incident: its id.
            wish: what is to be done, and by whom.
            expect: only if the incident still has this version.
            link: the name of the single-use link that it was done with.

        Raises:
            UnknownIncidentError: there is no such incident.
            LinkUsedError: the link was used before.
            IllegalChange: it does not fit the incident's state, or something is missing.
            VersionConflictError: `expect` does not hold any more, or others kept changing it.
        """
        now = self._clock.now()
        if wish.verb == "assign" and wish.owner:
            self._known(wish.owner.strip(), now)
        event = event_of(wish, now)

        def use(connection: Connection) -> None:
            if link is None:
                return
            if connection.scalar(select(link_used.c.link).where(link_used.c.link == link)) is not None:
                raise LinkUsedError("this link was used before")
            connection.execute(insert(link_used).values(link=link, incident=incident, used_at=now))

        try:
            return await self.incidents.change(incident, event, expect=expect, beside=use)
        except KeyError:
            raise UnknownIncidentError(f"there is no incident {incident!r}") from None
        except IntegrityError:
            if link is None:
                raise
            raise LinkUsedError("this link was used before") from None

    async def find(
        self,
        *,
        state: str = "active",
        severity: str | None = None,
        brand: str | None = None,
        limit: int = 50,
        before: float | None = None,
    ) -> list[Incident]:
        """Return incidents, newest first: `state` is active, all, or one of the states."""
        query = select(incident_table.c.body).order_by(incident_table.c.opened_at.desc(), incident_table.c.id)
        if state != "all":
            states = sorted(ACTIVE) if state == "active" else [state]
            query = query.where(incident_table.c.state.in_(states))
        if severity is not None:
            query = query.where(incident_table.c.severity == severity)
        if brand is not None:
            query = query.where(or_(incident_table.c.brand == brand, incident_table.c.umbrella == brand))
        if before is not None:
            query = query.where(incident_table.c.opened_at < before)

        def work() -> list[Incident]:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return [unpack(row.body) for row in connection.execute(query.limit(limit))]

        return await self._store.retry(work, patience_s=5.0)

    async def detail(self, incident: str) -> Known:
        """Return all there is about an incident.

        Raises:
            UnknownIncidentError: there is no such incident.
        """

        def work() -> Known | None:
            found = self.incidents.get(incident)
            if found is None:
                return None
            parts = self.incidents.log(incident), self.incidents.pages(incident), self.incidents.facts(incident)
            return Known(found, *parts)

        known = await self._store.retry(work, patience_s=5.0)
        if known is None:
            raise UnknownIncidentError(f"there is no incident {incident!r}")
        return known

    async def facts(self, incident: str) -> dict[str, Any]:
        """Return what was last known of an incident's story; empty if there is no such incident."""
        return await self._store.retry(lambda: self.incidents.facts(incident), patience_s=5.0)

    async def link_was_used(self, link: str) -> bool:
        """Return whether the link of this name was used."""

        def work() -> bool:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return connection.scalar(select(link_used.c.link).where(link_used.c.link == link)) is not None

        return await self._store.run(work)

    def _known(self, owner: str, at: float) -> None:
        reached = {recipient for recipient, _ in self._routes.reach(owner, at)}
        if not reached:
            raise IllegalChange(f"assigned: nobody is configured who is called {owner!r}, so they would not hear of it")
        if owner not in reached:
            now = ", ".join(sorted(reached))
            raise IllegalChange(f"assigned: {owner!r} is no person but stands for others; name one, now {now}")
