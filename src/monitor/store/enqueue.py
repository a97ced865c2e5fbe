"""Pages into the outbox, inside somebody's transaction: each at the end of its lane, none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from monitor.page.backlog import merge_backlog
from monitor.page.facts import iso
from monitor.page.types import COLUMNS, Page
from monitor.store.tables import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from monitor.incident import Routes

BACKLOG_HOLD_S = 5.0
"""Real seconds that the page about a backlog is held, so that what other partitions find is on it too."""

BACKLOG_LOCK = 7_225_001
"""PostgreSQL's advisory lock for whoever looks for a page about a backlog to join. SQLite has one writer anyway."""

COPIED = (
    "key", "incident", "umbrella", "brand", "severity", "purpose", "recipient", "channel", "decided_at", "created_at",
    "facts",
)  # fmt: skip


class PageQueue:
    """The outbox as the writer of incidents sees it; `now` is real time."""

    def __init__(self, connection: Connection, routes: Routes, now: float) -> None:
        self._connection = connection
        self._routes = routes
        self._now = now

    def put(self, pages: Sequence[Page], *, grouped_in: dict[tuple[str, str], str] | None = None) -> None:
        """Put pages into the outbox, each at the end of its lane; a key that is there already stays as it is."""
        for page in pages:
            if self._connection.scalar(select(outbox.c.number).where(outbox.c.key == page.key)) is not None:
                continue
            group = grouped_in[page.recipient, page.channel] if grouped_in else None
            quiet = 0.0 if page.purpose == "backlog" else self._quiet(page)
            wait = BACKLOG_HOLD_S if page.purpose == "backlog" else quiet
            if not wait:
                self._release(page)
            values = {name: getattr(page, name) for name in COPIED}
            if quiet:
                values["facts"] = page.facts | {"held_until": iso(self._now + quiet)}
            self._connection.execute(
                insert(outbox).values(
                    **values,
                    sequence=self._sequence(page.incident, page.recipient, page.channel),
                    status="grouped" if group else "waiting",
                    attempts=0,
                    may_be_repeat=False,
                    settled=group is not None,
                    grouped_in=group,
                    next_try_at=self._now + wait if wait else None,
                )
            )

    def put_backlog(self, pages: Sequence[Page], since: float, at: float) -> None:
        """Put an incident's pages on the one page per person that tells what the backlog left behind."""
        if self._connection.dialect.name == "postgresql":  # one row per person, though workers write side by side
            self._connection.execute(select(func.pg_advisory_xact_lock(BACKLOG_LOCK)))
        groups: dict[tuple[str, str], str] = {}
        for page in pages:
            lane = (page.recipient, page.channel)
            row = self._connection.execute(
                select(outbox)
                .where(
                    outbox.c.purpose == "backlog",
                    outbox.c.recipient == page.recipient,
                    outbox.c.channel == page.channel,
                    outbox.c.status == "waiting",
                    outbox.c.attempts == 0,
                )
                .limit(1)
                .with_for_update()
            ).one_or_none()
            held = () if row is None else (Page(**{name: getattr(row, name) for name in COLUMNS}),)
            (merged,) = merge_backlog((*held, page), since=since, decided_at=at, created_at=self._now)
            if row is None:
                self.put((merged,))
                groups[lane] = merged.key
            else:
                self._connection.execute(
                    update(outbox)
                    .where(outbox.c.number == row.number)
                    .values(facts=merged.facts, severity=merged.severity, decided_at=at)
                )
                groups[lane] = row.key
        self.put(pages, grouped_in=groups)

    def _sequence(self, incident: str, recipient: str, channel: str) -> int:
        last = self._connection.scalar(
            select(func.max(outbox.c.sequence)).where(
                outbox.c.incident == incident, outbox.c.recipient == recipient, outbox.c.channel == channel
            )
        )
        return int(last or 0) + 1

    def _quiet(self, page: Page) -> float:
        """Return for how many seconds a page waits for the end of somebody's quiet hours."""
        until = self._routes.hold(page.recipient, page.severity, page.decided_at)
        return 0.0 if until is None else max(0.0, until - page.decided_at)

    def _release(self, page: Page) -> None:
        """Send what waits in a page's lane for the end of quiet hours: the page must not wait behind it."""
        self._connection.execute(
            update(outbox)
            .where(
                outbox.c.incident == page.incident,
                outbox.c.recipient == page.recipient,
                outbox.c.channel == page.channel,
                outbox.c.status == "waiting",
                outbox.c.attempts == 0,
                outbox.c.purpose.not_in(["digest", "backlog"]),  # these wait for another reason
                outbox.c.next_try_at > self._now,
            )
            .values(next_try_at=None)
        )
