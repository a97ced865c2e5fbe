"""Who is paged when an incident changes. Pure: the routes are asked through one small interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from monitor.escalation.types import Severity, rank
from monitor.incident.events import (
    Assigned,
    Dismissed,
    Event,
    Merged,
    Opened,
    Overdue,
    Paged,
    Raised,
    Reopened,
    Resolved,
    Unlinked,
)
from monitor.incident.machine import apply
from monitor.incident.types import Incident, Intent, Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.incident.timers import Plan

HANDOVERS = 3
"""From this hand-over on, each is told to the manager: no passing the buck."""


class Rung(Struct, frozen=True):
    """Whom one step of the ladders reaches: (recipient, channel) without doubles, and at which step they stand.

    `number` is beyond the step that was asked for where nobody was on call there; `said` says so.
    """

    pairs: tuple[tuple[str, str], ...]
    number: int = 0
    said: str = ""
    again: bool = False
    """Whether this level was asked before: the ladder is gone through once more."""


class Routes(Protocol):
    """Who is to be told what, and when again: `monitor.oncall` has it. All times are event time."""

    def step(
        self, *, umbrella: str, brand: str, severity: Severity, rule: str, route: str, number: int, at: float
    ) -> Rung:
        """Return whom an incident of this severity goes to at `at`; `number` 0 is the first page."""
        ...

    def plan(self, *, umbrella: str, brand: str, severity: Severity, rule: str, route: str) -> Plan:
        """Return when the next steps are due, and the deadlines."""
        ...

    def manager(self, *, umbrella: str, brand: str, severity: Severity, at: float) -> tuple[tuple[str, str], ...]:
        """Return who hears of an incident that is handed on and on; empty if nobody is named."""
        ...

    def hold(self, recipient: str, severity: str, at: float) -> float | None:
        """Return until when a page of this severity waits for the end of the recipient's quiet hours; None: it goes."""
        ...

    def reach(self, recipient: str, at: float) -> tuple[tuple[str, str], ...]:
        """Return over which channels this one person is reached; empty if unknown."""
        ...


class Step(Struct, frozen=True):
    """An incident's change with all that comes of it: append `events`, put `intents` into the outbox, together.

    `spared` is how many pages do not go out because the incident that this one is a part of speaks for it.
    """

    incident: Incident
    events: tuple[Event, ...]
    intents: tuple[Intent, ...]
    spared: int = 0


def pages_for(before: Incident | None, event: Event, after: Incident, routes: Routes) -> tuple[Intent, ...]:
    """Return the pages that a change brings about, none of which was decided before in this cycle.

    - Opened at page or crisis: a `first` page; at notify: a `notice`; at info: nothing.
    - Raised to page or crisis: `raised`, to the routes of the new severity and to the owner; to notify: a `notice`.
    - Reopened: as opened, but `reopened`; the owner is told too.
    - Not acknowledged in time: a `first` page to the ladder's next level, or a `repeat` to one that was paged before.
    - Not answered or not resolved in time: `deadline`, to the owner, the second time to the next level as well.
    - Handed over for the third time and more: `handover`, to the manager.
    - Over (resolved, dismissed, or merged into another incident): a `notice` to those who were paged in this cycle,
      except the one who ended it.
    - Given to somebody by somebody else: a `notice` to the new owner.
    - Unlinked while it goes on, and nobody was told of it in this cycle: as opened.
    - Everything else: nothing. While an incident is silenced nothing goes out but notices and hand-overs.
    """
    return _pages_for(before, event, after, routes)[0]


def _pages_for(  # noqa: C901 -- one case per event
    before: Incident | None, event: Event, after: Incident, routes: Routes
) -> tuple[tuple[Intent, ...], str]:
    """Return the pages, and what is to be said of levels that were skipped."""
    rung, said = Rung(()), ""
    pairs: Iterable[tuple[str, str]]
    match event:
        case Opened():
            purpose, round_ = _purpose(after, "first"), 0
            rung = _audience(after, 0, event.at, routes)
        case Reopened():
            purpose, round_ = _purpose(after, "reopened"), 0
            rung = _with_owner(after, _audience(after, 0, event.at, routes), event.at, routes)
        case Raised():
            purpose, round_ = _purpose(after, "raised"), after.raises
            rung = _with_owner(after, _audience(after, 0, event.at, routes), event.at, routes)
        case Overdue():
            purpose, round_, rung = _overdue(after, event, routes)
        case Assigned() if after.handovers >= HANDOVERS and before is not None and after.handovers > before.handovers:
            purpose, round_ = "handover", after.handovers
            rung = Rung(
                routes.manager(
                    umbrella=after.umbrella, brand=after.brand, severity=after.severity, at=event.at
                )
            )  # fmt: skip
        case Resolved() | Dismissed() | Merged() if before is not None and before.active and not after.active:
            purpose, round_ = "notice", after.version
            paged = ((told.recipient, told.channel) for told in before.told if told.purpose != "notice")
            rung = Rung(tuple(pair for pair in dict.fromkeys(paged) if pair[0] != event.by))
        case Assigned():
            purpose, round_ = "notice", after.version
        case Unlinked(calm=False) if (
            after.active and not after.told
        ):  # nobody was told of it while another spoke for it
            purpose, round_ = _purpose(after, "first"), 0
            rung = _audience(after, 0, event.at, routes)
        case _:
            return (), ""
    if after.silenced(event.at) and purpose not in {"notice", "handover"}:
        return (), ""
    told = {intent.key for intent in after.told}
    pairs, said = dict.fromkeys(rung.pairs), rung.said
    level = 0 if purpose in {"notice", "handover"} else rung.number
    intents = [Intent(after.id, after.cycle, purpose, level, round_, *pair) for pair in pairs]
    if isinstance(event, Assigned) and event.by not in {event.owner, "story"}:  # a merger tells by itself
        mine = (pair for pair in routes.reach(event.owner, event.at) if pair not in pairs)
        intents += [Intent(after.id, after.cycle, "notice", 0, after.version, *pair) for pair in mine]
    return tuple(intent for intent in intents if intent.key not in told), said


def advance(incident: Incident | None, event: Event, routes: Routes, parent: Incident | None = None) -> Step:
    """Apply an event and decide its pages; who is paged becomes an event of its own, so that the log tells it.

    While `parent`, the incident that it is a part of, speaks for it, only hand-overs and the notice to a new owner go
    out; the rest is counted as spared.

    Raises:
        IllegalChange: as `apply`.
    """
    after = apply(incident, event)
    intents, said = _pages_for(incident, event, after, routes)
    spared = 0
    if parent is not None and after.parent == parent.id and parent.speaks_for(after):
        kept = intents if isinstance(event, Assigned) else ()
        intents, spared = kept, len(intents) - len(kept)
    if not intents:
        return Step(after, (event,), (), spared)
    why = f"{said}; {event.why}" if said and event.why else said or event.why
    paged = Paged(at=event.at, by="routes", why=why, pages=intents)
    return Step(apply(after, paged), (event, paged), intents, spared)


def _purpose(incident: Incident, purpose: Purpose) -> Purpose:
    """Return the purpose at this severity: below page everything is a notice."""
    return purpose if rank(incident.severity) >= rank("page") else "notice"


def _audience(incident: Incident, number: int, at: float, routes: Routes) -> Rung:
    """Return whom the routes name at a step of their ladders."""
    if incident.severity == "info":
        return Rung(())
    return routes.step(
        umbrella=incident.umbrella,
        brand=incident.brand,
        severity=incident.severity,
        rule=incident.rule,
        route=incident.route,
        number=number,
        at=at,
    )


def _with_owner(incident: Incident, rung: Rung, at: float, routes: Routes) -> Rung:
    """Return the same and the owner, unless nobody is to be told anyway."""
    owner = incident.owner
    if incident.severity == "info" or owner is None or any(recipient == owner for recipient, _ in rung.pairs):
        return rung
    return Rung((*rung.pairs, *routes.reach(owner, at)), rung.number, rung.said)


def _overdue(after: Incident, event: Overdue, routes: Routes) -> tuple[Purpose, int, Rung]:
    """Return the purpose, round and audience of a timer that ran out."""
    if event.timer == "acknowledge":
        rung = _audience(after, after.step, event.at, routes)
        before = {told.recipient for told in after.told if told.purpose != "notice"}
        repeat = rung.again and any(recipient in before for recipient, _ in rung.pairs)
        purpose: Purpose = "repeat" if repeat else "first"
        return purpose, event.round, rung
    owner = Rung(routes.reach(after.owner, event.at) if after.owner else ())
    first = _audience(after, 1 if event.round > 1 else 0, event.at, routes)
    pairs = (*owner.pairs, *first.pairs) if event.round > 1 or not owner.pairs else owner.pairs
    # One timer's deadlines are told apart from the other's by their level: they share a purpose.
    return "deadline", event.round, Rung(pairs, 1 if event.timer == "resolve" else 0, first.said)
