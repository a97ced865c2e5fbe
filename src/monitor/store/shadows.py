"""What shadow rules would have done, held against what the live rules did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import select

from monitor.store.tables import incident, shadow_decision
from monitor.store.writer import unpack

if TYPE_CHECKING:
    from monitor.store.database import Store

LOUD = ("page", "crisis")


class ShadowStory(Struct, frozen=True):
    """One story that a shadow rule would have opened or raised, and when the live rules paged somebody, if they did."""

    story: str
    umbrella: str
    brand: str
    at: float
    severity: str
    reason: str
    paged_at: float | None
    incident: str | None

    @property
    def earlier_s(self) -> float | None:
        """Seconds by which the shadow would have been earlier than the live page; None without one."""
        return None if self.paged_at is None else self.paged_at - self.at


class ShadowReport(Struct, frozen=True):
    """One shadow rule against the live ones, since a moment.

    `both`: stories that both paged; `only_shadow`, `only_live`: what one alone did, `only_live` being incident ids.
    """

    rule: str
    versions: tuple[str, ...]
    both: tuple[ShadowStory, ...]
    only_shadow: tuple[ShadowStory, ...]
    only_live: tuple[str, ...]
    quiet: int
    """Decisions below page: notices."""


def compare(store: Store, *, since: float = 0.0, rule: str | None = None) -> list[ShadowReport]:
    """Return a report for each shadow rule that decided anything since `since` (event time)."""
    query = select(shadow_decision).where(
        shadow_decision.c.at >= since, shadow_decision.c.action.in_(["open", "raise"])
    )
    with store.engine.connect().execution_options(read_only=True) as connection:
        rows = connection.execute(query.order_by(shadow_decision.c.at, shadow_decision.c.number)).all()
        live = [
            unpack(row.body)
            for row in connection.execute(select(incident.c.body).where(incident.c.updated_at >= since))
        ]
    paged = {(one.umbrella, one.story): one for one in live if one.paged_at is not None and one.paged_at >= since}
    reports = []
    for name in sorted({row.rule for row in rows if rule is None or row.rule == rule}):
        mine = [row for row in rows if row.rule == name]
        stories: dict[tuple[str, str], ShadowStory] = {}
        for row in mine:
            known = paged.get((row.umbrella, row.story))
            if row.severity in LOUD and (row.umbrella, row.story) not in stories:
                stories[row.umbrella, row.story] = ShadowStory(
                    row.story,
                    row.umbrella,
                    row.brand,
                    row.at,
                    row.severity,
                    row.reason,
                    known.paged_at if known else None,
                    known.id if known else None,
                )
        reports.append(
            ShadowReport(
                name,
                tuple(dict.fromkeys(row.rules for row in mine)),
                tuple(one for one in stories.values() if one.incident is not None),
                tuple(one for one in stories.values() if one.incident is None),
                tuple(one.id for key, one in paged.items() if key not in stories),
                sum(row.severity not in LOUD for row in mine),
            )
        )
    return reports
