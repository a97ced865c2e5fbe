"""Who is paged when an incident changes. Pure: the routes are asked through one small interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from monitor.escalation.types import Severity, rank
from monitor.incident.events import Dismissed, Event, Merged, Opened, Paged, Raised, Reopened, Resolved
from monitor.incident.machine import apply
from monitor.incident.types import Incident, Intent, Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable


class Routes(Protocol):
    """Who is to be told what: `monitor.oncall` has it. Answers are (recipient, channel), without doubles."""

    def who(
        self, *, umbrella: str, brand: str, severity: Severity, rule: str, at: float
    ) -> tuple[tuple[str, str], ...]:
        """Return whom an incident of this severity goes to at `at` (event time)."""
        ...

    def reach(self, recipient: str, at: float) -> tuple[tuple[str, str], ...]:
        """Return over which channels this one person is reached; empty if unknown."""
        ...


class Step(Struct, frozen=True):
    """An incident's change with all that comes of it: append `events`, put `intents` into the outbox, together."""

    incident: Incident
    events: tuple[Event, ...]
    intents: tuple[Intent, ...]


def pages_for(before: Incident | None, event: Event, after: Incident, routes: Routes) -> tuple[Intent, ...]:
    """Return the pages that a change brings about, none of which was decided before in this cycle.

    - Opened at page or crisis: a `first` page; at notify: a `notice`; at info: nothing.
    - Raised to page or crisis: `raised`, to the routes of the new severity and to the owner; to notify: a `notice`.
    - Reopened: as opened, but `reopened`; the owner is told too.
    - Over (resolved, dismissed, or merged into another incident): a `notice` to those who were paged in this cycle,
      except the one who ended it.
    - Everything else: nothing.
    """
    pairs: Iterable[tuple[str, str]]
    match event:
        case Opened():
            purpose, round_ = _purpose(after, "first"), 0
            pairs = _audience(after, event.at, routes)
        case Reopened():
            purpose, round_ = _purpose(after, "reopened"), 0
            pairs = _audience(after, event.at, routes)
        case Raised():
            purpose, round_ = _purpose(after, "raised"), after.raises
            pairs = _audience(after, event.at, routes)
        case Resolved() | Dismissed() | Merged() if before is not None and before.active and not after.active:
            purpose, round_ = "notice", after.version
            paged = ((told.recipient, told.channel) for told in before.told if told.purpose != "notice")
            pairs = [pair for pair in dict.fromkeys(paged) if pair[0] != event.by]
        case _:
            return ()
    told = {intent.key for intent in after.told}
    intents = (Intent(after.id, after.cycle, purpose, 0, round_, *pair) for pair in dict.fromkeys(pairs))
    return tuple(intent for intent in intents if intent.key not in told)


def advance(incident: Incident | None, event: Event, routes: Routes) -> Step:
    """Apply an event and decide its pages; who is paged becomes an event of its own, so that the log tells it.

    Raises:
        IllegalChange: as `apply`.
    """
    after = apply(incident, event)
    intents = pages_for(incident, event, after, routes)
    if not intents:
        return Step(after, (event,), ())
    paged = Paged(at=event.at, by="routes", why=event.why, pages=intents)
    return Step(apply(after, paged), (event, paged), intents)


def _purpose(incident: Incident, purpose: Purpose) -> Purpose:
    """Return the purpose at this severity: below page everything is a notice."""
    return purpose if rank(incident.severity) >= rank("page") else "notice"


def _audience(incident: Incident, at: float, routes: Routes) -> Iterable[tuple[str, str]]:
    """Return whom the routes name, and the owner."""
    if incident.severity == "info":
        return ()
    pairs = routes.who(
        umbrella=incident.umbrella, brand=incident.brand, severity=incident.severity, rule=incident.rule, at=at
    )
    if incident.owner is None or any(recipient == incident.owner for recipient, _ in pairs):
        return pairs
    return (*pairs, *routes.reach(incident.owner, at))
