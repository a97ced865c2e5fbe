"""The two moments of a try that the store sees: it begins, it is finished. Many at once cost little more than one.

Statements are made once, and each is asked for all pages of a batch together: on SQLite most of what a try costs is
making statements, not running them. What each try means is said in `monitor.page.outbox.Outbox`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, structs
from sqlalchemy import bindparam, func, insert, select, tuple_, update

from monitor.page.outbox import Next, Standing
from monitor.page.policy import not_needed
from monitor.page.types import COLUMNS, Delivery, Page
from monitor.store.mirror import cycle_of, note
from monitor.store.spare import hold
from monitor.store.tables import incident, mirror, outbox, receipt
from monitor.store.writer import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from monitor.incident import Incident
    from monitor.page.budget import Budget


class Begin(Struct, frozen=True):
    """`owner` is about to send the page `key`."""

    key: str
    owner: str
    now: float
    lease_s: float
    exactly_once: bool


class Finish(Struct, frozen=True):
    """What became of a try."""

    key: str
    owner: str
    delivery: Delivery
    now: float
    status: Next
    next_try_at: float | None


Try = Begin | Finish
_T = TypeVar("_T", Begin, Finish)

_KEYS = outbox.c.key.in_(bindparam("keys", expanding=True))
_PAGES = select(outbox).where(_KEYS).order_by(outbox.c.number).with_for_update()
_STATES = (
    select(
        outbox.c.number, outbox.c.key, outbox.c.status, outbox.c.settled, outbox.c.lease_owner, outbox.c.attempts,
        outbox.c.purpose,
    )
    .where(_KEYS)
    .order_by(outbox.c.number)
    .with_for_update()
)  # fmt: skip
_FACTS = select(outbox.c.key, outbox.c.incident, outbox.c.recipient, outbox.c.channel, outbox.c.facts).where(_KEYS)
_INCIDENTS = select(incident.c.id, incident.c.state, incident.c.severity, incident.c.body).where(
    incident.c.id.in_(bindparam("incidents", expanding=True))
)
_LANES: Any = bindparam("lanes", expanding=True)
_TOLD = (
    select(outbox.c.incident, outbox.c.recipient, outbox.c.channel, func.min(outbox.c.sequence).label("first"))
    .where(
        tuple_(outbox.c.incident, outbox.c.recipient, outbox.c.channel).in_(_LANES),
        outbox.c.status.in_(["accepted", "in_doubt"]),
    )
    .group_by(outbox.c.incident, outbox.c.recipient, outbox.c.channel)
)
_THREADS = select(mirror).where(tuple_(mirror.c.incident, mirror.c.recipient, mirror.c.channel).in_(_LANES))
_GO = (
    update(outbox)
    .where(outbox.c.number == bindparam("page"))
    .values(status=bindparam("to"), lease_until=bindparam("until"), attempts=outbox.c.attempts + 1)
)
_FREED = {"lease_owner": None, "lease_until": None}
_WAIT = (
    update(outbox)
    .where(outbox.c.number == bindparam("page"))
    .values(status="waiting", next_try_at=bindparam("next"), **_FREED)
)
_DOUBT = _WAIT.values(may_be_repeat=True)
_SETTLE = (
    update(outbox).where(outbox.c.number == bindparam("page")).values(status=bindparam("to"), settled=True, **_FREED)
)
_SAYS_OTHERS = (
    update(outbox)
    .where(outbox.c.grouped_in == bindparam("said_by"), outbox.c.status == "grouped")
    .values(status=bindparam("to"))
)
_RECEIPT = insert(receipt)
_MANY = frozenset({"backlog", "digest"})


def write(connection: Connection, tries: Sequence[Try], budget: Budget | None) -> list[Any]:
    """Write tries that begin and tries that are finished; returns a `Standing` (or None) or a bool for each."""
    results: dict[int, Any] = {}
    for number, one in _rounds([(n, one) for n, one in enumerate(tries) if isinstance(one, Finish)]):
        results |= dict(zip(number, _finish(connection, one), strict=True))
    for number, begun in _rounds([(n, one) for n, one in enumerate(tries) if isinstance(one, Begin)]):
        results |= dict(zip(number, _begin(connection, begun, budget), strict=True))
    return [results[number] for number in range(len(tries))]


def _rounds(tries: list[tuple[int, _T]]) -> Iterable[tuple[list[int], list[_T]]]:
    """Part what concerns one page into rounds: the second sees what the first has done."""
    while tries:
        taken: dict[str, tuple[int, _T]] = {}
        left: list[tuple[int, _T]] = []
        for number, one in tries:
            if one.key in taken:
                left.append((number, one))
            else:
                taken[one.key] = number, one
        yield [number for number, _ in taken.values()], [one for _, one in taken.values()]
        tries = left


def _begin(connection: Connection, tries: list[Begin], budget: Budget | None) -> list[Standing | None]:
    rows = {row.key: row for row in connection.execute(_PAGES, {"keys": [one.key for one in tries]})}
    mine = {one.key: rows[one.key] for one in tries if one.key in rows and _leased(rows[one.key], one)}
    if not mine:
        return [None] * len(tries)
    lanes = [_lane(row) for row in mine.values()]
    found = _incidents(connection, {row.incident for row in mine.values()})
    told = {_lane(row): row.first for row in connection.execute(_TOLD, {"lanes": lanes})}
    threads = {_lane(row): row for row in connection.execute(_THREADS, {"lanes": lanes})}
    results: list[Standing | None] = []
    going: list[dict[str, Any]] = []
    for one in tries:
        row = mine.get(one.key)
        if row is None:
            results.append(None)
            continue
        state, severity, current = found.get(row.incident, ("open", row.severity, None))
        thread = threads.get(_lane(row))
        standing = Standing(
            state,
            severity,
            told.get(_lane(row), row.sequence) < row.sequence,
            silenced=_silenced(current, found, one.now),
            thread=thread.thread if thread is not None and thread.cycle == cycle_of(row.facts) else None,
        )
        if budget is not None and not_needed(_page(row), standing) is None:
            until = hold(connection, row, one.now, budget)
            if until is not None:
                results.append(structs.replace(standing, held_until=until))
                continue
        to = "leased" if one.exactly_once else "sending"
        going.append({"page": row.number, "to": to, "until": one.now + one.lease_s})
        results.append(standing)
    if going:
        connection.execute(_GO, going)
    return results


def _finish(connection: Connection, tries: list[Finish]) -> list[bool]:
    rows = {row.key: row for row in connection.execute(_STATES, {"keys": [one.key for one in tries]})}
    known = [one for one in tries if one.key in rows]
    if not known:
        return [False] * len(tries)
    connection.execute(_RECEIPT, [_receipt(rows[one.key], one) for one in known])
    moves: dict[str, list[dict[str, Any]]] = {"wait": [], "doubt": [], "settle": [], "others": []}
    moved: set[str] = set()
    for one in known:
        row = rows[one.key]
        held = row.lease_owner == one.owner and row.status in {"leased", "sending"}
        if row.settled or not (held or one.status == "accepted"):
            continue
        moved.add(one.key)
        if one.status == "waiting":
            kind = "doubt" if one.delivery.outcome == "in_doubt" else "wait"
            moves[kind].append({"page": row.number, "next": one.next_try_at})
            continue
        moves["settle"].append({"page": row.number, "to": one.status})
        if row.purpose in _MANY:
            moves["others"].append({"said_by": one.key, "to": one.status})
    for kind, statement in (("wait", _WAIT), ("doubt", _DOUBT), ("settle", _SETTLE), ("others", _SAYS_OTHERS)):
        if moves[kind]:
            connection.execute(statement, moves[kind])
    answered = {
        one.key: one.delivery.receipt
        for one in known
        if one.key in moved and one.status == "accepted" and one.delivery.receipt
    }
    if answered:
        for page in connection.execute(_FACTS, {"keys": list(answered)}).all():
            note(connection, page, answered[page.key] or "")
    return [one.key in moved for one in tries]


def _leased(row: Row[Any], one: Begin) -> bool:
    """Return whether the page is still this owner's to send."""
    lost = row.settled or row.lease_owner != one.owner or (row.lease_until or 0.0) <= one.now
    return not lost and row.status in {"leased", "sending"}


def _incidents(connection: Connection, names: set[str]) -> dict[str, tuple[str, str, Incident | None]]:
    """Return state, severity and all of these incidents, and of those that they are a part of."""
    found: dict[str, tuple[str, str, Incident | None]] = {}
    while names:
        for row in connection.execute(_INCIDENTS, {"incidents": sorted(names)}):
            found[row.id] = row.state, row.severity, unpack(row.body) if row.body else None
        above = {one.parent for _, _, one in found.values() if one is not None and one.parent is not None}
        names = {name for name in above if name not in found and name not in names}
    return found


def _silenced(current: Incident | None, found: dict[str, tuple[str, str, Incident | None]], now: float) -> str | None:
    """Return who silenced an incident: a person, or the incident that it is a part of."""
    if current is None:
        return None
    if current.silenced(now):
        return current.silenced_by
    parent = found[current.parent][2] if current.parent in found else None
    return f"incident {parent.id}" if parent is not None and parent.speaks_for(current) else None


def _lane(row: Any) -> tuple[str, str, str]:
    return row.incident, row.recipient, row.channel


def _receipt(row: Any, one: Finish) -> dict[str, Any]:
    return {
        "key": row.key,
        "attempt": row.attempts,
        "at": one.now,
        "outcome": one.delivery.outcome,
        "detail": one.delivery.detail[:500],
        "receipt": one.delivery.receipt,
    }


def _page(row: Row[Any]) -> Page:
    return Page(**{field: getattr(row, field) for field in COLUMNS})
