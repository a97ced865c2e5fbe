"""Messages elsewhere (a Slack message, a PagerDuty alert) that are kept up to date with their incident.

A row is written when a channel gives a receipt for the first page of a lane; `version` is the incident's version that
the message shows. What is behind is handed to the channel to update, which may be done twice: it changes nothing then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import and_, insert, select, update

from monitor.incident import Incident
from monitor.store.tables import incident, mirror
from monitor.store.writer import unpack

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from monitor.store.database import Store


class Mirror(Struct, frozen=True):
    """A message that does not show its incident as it is now, and the incident with what is known of its story."""

    recipient: str
    channel: str
    thread: str
    incident: Incident
    facts: dict[str, Any]


class MirrorStore:
    """What the follower asks of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def behind(self, channels: Collection[str], limit: int = 100) -> list[Mirror]:
        """Return messages that are behind their incident, on these channels."""
        query = (
            select(mirror, incident.c.body, incident.c.facts)
            .join(incident, and_(incident.c.id == mirror.c.incident, incident.c.version > mirror.c.version))
            .where(mirror.c.channel.in_(list(channels)))
            .order_by(incident.c.updated_at)
            .limit(limit)
        )

        def work() -> list[Mirror]:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return [
                    Mirror(row.recipient, row.channel, row.thread, unpack(row.body), dict(row.facts or {}))
                    for row in connection.execute(query)
                ]

        return await self._store.run(work)

    async def shown(self, done: Mirror) -> None:
        """Note that a message shows the incident at this version (or was given up on)."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(mirror)
                .where(
                    mirror.c.incident == done.incident.id,
                    mirror.c.recipient == done.recipient,
                    mirror.c.channel == done.channel,
                    mirror.c.version < done.incident.version,
                )
                .values(version=done.incident.version)
            )

        await self._store.run_retrying(work)


def cycle_of(facts: dict[str, Any] | None) -> int | None:
    """Return the incident's cycle that a page is of, by its facts; None if it is about many."""
    cycle = ((facts or {}).get("incident") or {}).get("cycle")
    return None if cycle is None else int(cycle)


def note(connection: Connection, page: Any, receipt: str) -> None:
    """Keep what a page's channel answered, if the page is about one incident."""
    told = (page.facts or {}).get("incident") or {}
    if "version" not in told:
        return
    cycle, version = int(told["cycle"]), int(told["version"])
    known = connection.execute(select(mirror.c.cycle).where(_lane(page))).one_or_none()
    if known is None:
        connection.execute(
            insert(mirror).values(
                incident=page.incident,
                recipient=page.recipient,
                channel=page.channel,
                cycle=cycle,
                thread=receipt[:255],
                version=version,
            )
        )
    elif known.cycle < cycle:
        connection.execute(update(mirror).where(_lane(page)).values(cycle=cycle, thread=receipt[:255], version=version))


def _lane(page: Any) -> Any:
    return and_(
        mirror.c.incident == page.incident, mirror.c.recipient == page.recipient, mirror.c.channel == page.channel
    )
