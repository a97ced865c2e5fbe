"""The figures that only the store knows: incidents as they stand, what happened to them, lead times, late pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from sqlalchemy import and_, func, or_, select

from monitor.incident import Incident
from monitor.store.tables import incident, incident_event, outbox

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Figures(Struct, frozen=True, kw_only=True):
    """What the store knows at a moment.

    `incidents` are counts by (severity, state), `events` by kind since the store was made. `leads` are the seconds
    (event time) from an incident's first page to its story's crossing of the viral line; negative where the page came
    later. `late` pages were to go out at once, and are not settled after that time.
    """

    incidents: dict[tuple[str, str], int]
    events: dict[str, int]
    leads: list[float]
    late: int


def read_figures(connection: Connection, *, late_before: float) -> Figures:
    """Read them; `late_before` is the real time before which a page that still waits was made too long ago."""
    incidents = connection.execute(
        select(incident.c.severity, incident.c.state, func.count()).group_by(incident.c.severity, incident.c.state)
    )
    events = connection.execute(select(incident_event.c.kind, func.count()).group_by(incident_event.c.kind))
    crossed = connection.execute(
        select(incident.c.body).where(
            incident.c.id.in_(select(incident_event.c.incident).where(incident_event.c.kind == "crossed"))
        )
    )
    held = and_(outbox.c.attempts == 0, outbox.c.next_try_at.is_not(None), outbox.c.next_try_at > late_before)
    late = connection.scalar(
        select(func.count()).where(
            outbox.c.settled.is_(False),
            outbox.c.purpose != "backlog",
            outbox.c.created_at < late_before,
            or_(outbox.c.attempts > 0, ~held),
        )
    )
    return Figures(
        incidents={(severity, state): int(n) for severity, state, n in incidents},
        events={kind: int(n) for kind, n in events},
        leads=[
            found.crossed_at - found.paged_at
            for found in (msgspec.msgpack.decode(row.body, type=Incident) for row in crossed)
            if found.crossed_at is not None and found.paged_at is not None
        ],
        late=int(late or 0),
    )
