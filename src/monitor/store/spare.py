"""Holding pages back in the outbox: what goes over a person's budget waits in one page for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from monitor.page.budget import NOT_PAGES, can_wait, digest, held_until
from monitor.page.types import COLUMNS, Page
from monitor.store.tables import outbox

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from monitor.page.budget import Budget


def hold(connection: Connection, row: Row[Any], now: float, budget: Budget) -> float | None:
    """Hold this page if its recipient has had enough for now; return until when, or None if it may go out.

    In the transaction of the last look before the send. A held page is settled as `grouped` in the page that says it.
    """
    page = _page(row)
    if page.channel not in budget.channels or not can_wait(page, paged_before=_paged(connection, page)):
        return None
    until = held_until(_times(connection, page, now, budget), now, budget)
    if until is None:
        return None
    waiting = connection.execute(
        select(outbox)
        .where(
            outbox.c.purpose == "digest",
            outbox.c.recipient == page.recipient,
            outbox.c.channel == page.channel,
            outbox.c.status == "waiting",
            outbox.c.attempts == 0,
        )
        .order_by(outbox.c.number)
        .limit(1)
        .with_for_update()
    ).one_or_none()
    one = digest(page, None if waiting is None else _page(waiting), until=until, now=now, budget=budget)
    if waiting is None:
        until = one.created_at
        put(connection, one, next_try_at=until)
    else:
        until = waiting.next_try_at
        connection.execute(
            update(outbox)
            .where(outbox.c.number == waiting.number)
            .values(facts=one.facts, severity=one.severity, decided_at=one.decided_at)
        )
    connection.execute(
        update(outbox)
        .where(outbox.c.number == row.number)
        .values(status="grouped", settled=True, grouped_in=one.key, lease_owner=None, lease_until=None)
    )
    return float(until)


def put(connection: Connection, page: Page, *, next_try_at: float | None = None) -> bool:
    """Put a page at the end of its lane; False if its key is there already."""
    if connection.scalar(select(outbox.c.number).where(outbox.c.key == page.key)) is not None:
        return False
    last = connection.scalar(
        select(func.max(outbox.c.sequence)).where(
            outbox.c.incident == page.incident,
            outbox.c.recipient == page.recipient,
            outbox.c.channel == page.channel,
        )
    )
    values = {name: getattr(page, name) for name in COLUMNS} | {"sequence": int(last or 0) + 1}
    connection.execute(
        insert(outbox).values(**values, status="waiting", settled=False, grouped_in=None, next_try_at=next_try_at)
    )
    return True


def _paged(connection: Connection, page: Page) -> bool:
    """Return whether this person was paged about this incident in this cycle, over any channel."""
    cycle = page.key.split(":")[1:2]
    keys = connection.scalars(
        select(outbox.c.key).where(
            outbox.c.incident == page.incident,
            outbox.c.recipient == page.recipient,
            outbox.c.purpose.not_in(sorted(NOT_PAGES)),
            outbox.c.status.in_(["accepted", "in_doubt"]),
        )
    )
    return any(key.split(":")[1:2] == cycle for key in keys)


def _times(connection: Connection, page: Page, now: float, budget: Budget) -> list[float]:
    """Return when this person's pages of late were made, one for each decision, this page's own left out."""
    found = connection.execute(
        select(outbox.c.key, outbox.c.created_at).where(
            outbox.c.recipient == page.recipient,
            outbox.c.created_at > now - budget.window_s,
            outbox.c.created_at <= now,
            outbox.c.purpose.not_in(sorted(NOT_PAGES)),
            outbox.c.status.in_(["accepted", "in_doubt"]),
        )
    )
    times = {_decision(key): at for key, at in found}
    times.pop(_decision(page.key), None)
    return list(times.values())


def _decision(key: str) -> str:
    """Return a page's key without its channel: what was decided once."""
    return key.rpartition(":")[0]


def _page(row: Row[Any]) -> Page:
    return Page(**{name: getattr(row, name) for name in COLUMNS})
