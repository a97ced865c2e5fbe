"""The incident's state machine: an incident and an event in, the next incident out. Pure.

    open > acknowledged > answered > resolved | dismissed, and back to open (the next cycle) when it spreads again

Every event adds one to the version; an event that does not fit raises `IllegalChange` and changes nothing, so two
writers that both append at version n cannot both win.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from msgspec import structs

from monitor.escalation.types import Severity, rank
from monitor.incident.events import (
    Acknowledged,
    Answered,
    Assigned,
    Crossed,
    Dismissed,
    Event,
    Joined,
    Linked,
    Lowered,
    Merged,
    Opened,
    Overdue,
    Paged,
    Parted,
    Raised,
    Reopened,
    Resolved,
    Silenced,
    Spared,
    Unlinked,
)
from monitor.incident.types import IllegalChange, Incident, State, TimerKind

if TYPE_CHECKING:
    from collections.abc import Iterable


def apply(incident: Incident | None, event: Event) -> Incident:
    """Return the incident after the event.

    Raises:
        IllegalChange: the event does not fit; the text names the state and what could be done instead.
    """
    if isinstance(event, Opened):
        return _open(incident, event)
    if incident is None:
        raise IllegalChange(f"{_name(event)}: there is no incident yet; it has to be opened first")
    changes = _changes(incident, event)
    return structs.replace(
        incident, version=incident.version + 1, updated_at=max(incident.updated_at, event.at), **changes
    )


def replay(events: Iterable[Event]) -> Incident:
    """Return the incident that a log of events tells of.

    Raises:
        IllegalChange: the log is empty or tells what cannot have happened.
    """
    incident: Incident | None = None
    for event in events:
        incident = apply(incident, event)
    if incident is None:
        raise IllegalChange("an empty log tells of no incident")
    return incident


def _open(incident: Incident | None, event: Opened) -> Incident:
    """Return a new incident."""
    if incident is not None:
        raise IllegalChange(f"opened: incident {incident.id} stands already, {incident.state}")
    return Incident(
        id=event.incident,
        umbrella=event.umbrella,
        brand=event.brand,
        story=event.story,
        kind=event.kind,
        headline=event.headline,
        severity=event.severity,
        peak=event.severity,
        state="open",
        rule=event.rule,
        rules=event.rules,
        reason=event.why,
        route=event.route,
        parent=event.parent,
        opened_at=event.at,
        updated_at=event.at,
    )


def _changes(now: Incident, event: Event) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 -- one case per event
    """Return the fields that the event changes, or refuse it."""
    match event:
        case Opened():  # pragma: no cover -- apply() has seen to it
            raise IllegalChange("opened twice")
        case Raised():
            _need_active(now, event)
            if rank(event.severity) <= rank(now.severity):
                raise IllegalChange(f"raised: {event.severity} is not above {now.severity}")
            return {
                "severity": event.severity,
                "peak": _higher(now.peak, event.severity),
                "rule": event.rule,
                "reason": event.why,
                "headline": event.headline or now.headline,
                "rules": event.rules or now.rules,
                "route": event.route,
                "raises": now.raises + 1,
            }
        case Lowered():
            _need_active(now, event)
            if rank(event.severity) >= rank(now.severity):
                raise IllegalChange(f"lowered: {event.severity} is not below {now.severity}")
            return {"severity": event.severity, "reason": event.why}
        case Acknowledged():
            _need_active(now, event)
            if now.state != "open":
                raise IllegalChange(f"acknowledged: it is {now.state} already, owned by {now.owner or 'nobody'}")
            return {"state": "acknowledged", "owner": now.owner or event.by, "acknowledged_at": event.at}
        case Assigned():
            return _assign(now, event)
        case Answered():
            _need_active(now, event)
            if now.state == "answered":
                raise IllegalChange("answered: it is answered already")
            return {"state": "answered", "owner": now.owner or event.by, "answered_at": event.at}
        case Resolved():
            _need_active(now, event)
            return {"state": "resolved", "ended_at": event.at, "reason": event.why or now.reason}
        case Dismissed():
            _need_active(now, event)
            _need_why(event)
            return {"state": "dismissed", "ended_at": event.at, "reason": event.why}
        case Reopened():
            return _reopen(now, event)
        case Silenced():
            _need_active(now, event)
            _need_why(event)
            if event.until <= event.at:
                return {"silenced_until": None, "silenced_by": None}
            return {"silenced_until": event.until, "silenced_by": event.by}
        case Crossed():
            if now.crossed_at is not None:
                raise IllegalChange("crossed: it has crossed its line before")
            return {"crossed_at": event.at}
        case Merged():
            return _merge(now, event)
        case Linked() | Unlinked() | Joined() | Parted() | Spared():
            return _related(now, event)
        case Overdue():
            return _overdue(now, event)
        case Paged():
            return _told(now, event)
        case _:
            assert_never(event)


def _assign(now: Incident, event: Assigned) -> dict[str, Any]:
    """Give it to an owner; there is one at most."""
    _need_active(now, event)
    if not event.owner:
        raise IllegalChange("assigned: an owner has a name")
    if event.owner == now.owner:
        raise IllegalChange(f"assigned: {event.owner} owns it already")
    if now.owner is None:
        return {"owner": event.owner}
    _need_why(event)
    return {"owner": event.owner, "handovers": now.handovers + 1}


def _reopen(now: Incident, event: Reopened) -> dict[str, Any]:
    """Begin the next cycle; the owner stays."""
    if now.active:
        raise IllegalChange(f"reopened: it is {now.state}, not over")
    if now.merged_into:
        raise IllegalChange(f"reopened: it goes on as incident {now.merged_into}")
    return {
        "state": "open",
        "cycle": now.cycle + 1,
        "severity": event.severity,
        "peak": _higher(now.peak, event.severity),
        "rule": event.rule,
        "reason": event.why,
        "headline": event.headline or now.headline,
        "rules": event.rules or now.rules,
        "route": event.route,
        "raises": 0,
        "told": (),
        "rung_at": None,
        "step": 0,
        "overdue": (),
        "silenced_until": None,
        "silenced_by": None,
        "acknowledged_at": None,
        "answered_at": None,
        "ended_at": None,
    }


def _merge(now: Incident, event: Merged) -> dict[str, Any]:
    """Move to the story that goes on, or end in favour of its incident."""
    if now.merged_into:
        raise IllegalChange(f"merged: it goes on as incident {now.merged_into} already")
    if event.into is None:
        if event.story == now.story:
            raise IllegalChange("merged: it is about that story already")
        return {"story": event.story}
    if event.into == now.id:
        raise IllegalChange("merged: an incident cannot go on as itself")
    ended = {"state": "resolved", "ended_at": event.at} if now.active else {}
    return {"story": event.story, "merged_into": event.into, **ended}


def _related(now: Incident, event: Linked | Unlinked | Joined | Parted | Spared) -> dict[str, Any]:  # noqa: C901, PLR0912 -- one case each
    """Put it below another incident, or another below it; there is one level."""
    match event:
        case Linked():
            if now.merged_into:
                raise IllegalChange(f"linked: it goes on as incident {now.merged_into}")
            if now.parent == event.parent:
                raise IllegalChange(f"linked: it is a part of {now.parent} already")
            if now.children or event.parent == now.id:
                raise IllegalChange("linked: it has parts of its own; link those, or unlink them first")
            return {"parent": event.parent}
        case Unlinked():
            if now.parent is None:
                raise IllegalChange("unlinked: it is no part of another incident")
            return {"parent": None}
        case Joined():
            _need_active(now, event)
            if now.parent is not None:
                raise IllegalChange(f"joined: {now.id} is itself a part of {now.parent}; link to that one")
            if event.child == now.id or event.child in now.children:
                raise IllegalChange(f"joined: {event.child} is a part of it already")
            return {"children": (*now.children, event.child)}
        case Parted():
            if event.child not in now.children:
                raise IllegalChange(f"parted: {event.child} is no part of it")
            return {"children": tuple(child for child in now.children if child != event.child)}
        case Spared():
            if event.child not in now.children:
                raise IllegalChange(f"spared: {event.child} is no part of it")
            return {}
        case _:
            assert_never(event)


def _told(now: Incident, event: Paged) -> dict[str, Any]:
    """Note who is paged; nobody gets the same page twice, and after the end there are only notices."""
    told = {intent.key for intent in now.told}
    for intent in event.pages:
        if intent.incident != now.id or intent.cycle != now.cycle:
            raise IllegalChange(f"paged: {intent.key} is not of this incident and cycle {now.cycle}")
        if intent.key in told:
            raise IllegalChange(f"paged: {intent.key} was paged before")
        if not now.active and intent.purpose != "notice":
            raise IllegalChange(f"paged: it is {now.state}; only notices go out")
        told.add(intent.key)
    paged_at = now.paged_at
    if paged_at is None and any(intent.purpose != "notice" for intent in event.pages):
        paged_at = event.at
    rung = [intent for intent in event.pages if intent.purpose in _RINGS]
    ladder: dict[str, Any] = {}
    if any(intent.purpose in _BEGINS and intent.round == _begun(now, intent.purpose) for intent in rung):
        ladder = {"rung_at": event.at, "step": max(intent.level for intent in rung)}
    elif rung:
        ladder = {"step": max(now.step, *(intent.level for intent in rung))}
    return {"told": now.told + event.pages, "paged_at": paged_at, **ladder}


_BEGINS = frozenset({"first", "raised", "reopened"})
_RINGS = _BEGINS | {"repeat"}


def _begun(now: Incident, purpose: str) -> int:
    """Return the round of the pages that begin the ladder: the first page's, or those of the latest raise."""
    return now.raises if purpose == "raised" else 0


def _overdue(now: Incident, event: Overdue) -> dict[str, Any]:
    """Note that a timer ran out: each fires once, in the states that it is for."""
    _need_active(now, event)
    if now.state not in _WAITS_FOR[event.timer]:
        raise IllegalChange(f"overdue: the timer to {event.timer} does not run while it is {now.state}")
    count = sum(timer == event.timer for timer, _, _ in now.overdue)
    if event.round != count + 1:
        raise IllegalChange(f"overdue: the timer to {event.timer} ran out {count} times, this is no. {event.round}")
    fired = (*now.overdue, (event.timer, event.round, event.at))
    return {"overdue": fired, "step": now.step + 1} if event.timer == "acknowledge" else {"overdue": fired}


_WAITS_FOR: dict[TimerKind, frozenset[State]] = {
    "acknowledge": frozenset({"open"}),
    "answer": frozenset({"acknowledged"}),
    "resolve": frozenset({"acknowledged", "answered"}),
}


def _need_active(now: Incident, event: Event) -> None:
    """Refuse an event for an incident that is over."""
    if not now.active:
        raise IllegalChange(f"{_name(event)}: it is {now.state}; it can only be reopened")


def _need_why(event: Event) -> None:
    """Refuse an event without a reason."""
    if not event.why.strip():
        raise IllegalChange(f"{_name(event)}: say why")


def _higher(one: Severity, other: Severity) -> Severity:
    """Return the higher of two severities."""
    return one if rank(one) >= rank(other) else other


def _name(event: Event) -> str:
    """Return the event's word."""
    return str(type(event).__struct_config__.tag)
