"""The account of mentions: what was accepted, by what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import and_, exists, func, select

from monitor.store.tables import account, loose, seen

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


class Account(Struct, frozen=True):
    """Mentions by outcome. Their sum is what score has taken in; it equals what was published once all is read."""

    stored: int = 0
    repeated: int = 0
    dead: int = 0
    orphan: int = 0
    too_old: int = 0
    no_brand: int = 0

    @property
    def total(self) -> int:
        """All mentions accounted for.

        >>> Account(stored=3, dead=1).total
        4
        """
        return self.stored + self.repeated + self.dead + self.orphan + self.too_old + self.no_brand


def found() -> ColumnElement[bool]:
    """Return the SQL condition that a loose mention's key is among the ids seen, somewhere."""
    return exists().where(and_(seen.c.key == loose.c.refers, seen.c.state == "stored"))


def read_account(connection: Connection) -> Account:
    """Add up the account.

    Edits and deletes count as stored once their target has come, as orphans before; a reply or repost that names no
    brand counts as stored if the story it refers to was known, else as no_brand. Which it is, is only asked here (and
    once more when the row is old enough to be forgotten), so that no two workers have to agree on it.
    """
    counts: dict[str, int] = {
        row.outcome: int(row.mentions)
        for row in connection.execute(
            select(account.c.outcome, func.sum(account.c.mentions).label("mentions")).group_by(account.c.outcome)
        )
    }
    is_found = found()
    for kind, missing in (("tombstone", "orphan"), ("reference", "no_brand")):
        total = connection.scalar(select(func.count()).select_from(loose).where(loose.c.kind == kind)) or 0
        known = (
            connection.scalar(select(func.count()).select_from(loose).where(loose.c.kind == kind, is_found)) or 0
            if total
            else 0
        )
        counts["stored"] = counts.get("stored", 0) + known
        counts[missing] = counts.get(missing, 0) + total - known
    return Account(**{field: counts.get(field, 0) for field in Account.__struct_fields__})
