"""From what the rules and the stories say to an incident's events. Pure."""

from __future__ import annotations

from typing import assert_never

from monitor.escalation.names import crossed
from monitor.escalation.types import Decision, Severity, StoryView, rank
from monitor.incident.events import Assigned, Crossed, Lowered, Merged, Opened, Raised, Reopened, Resolved
from monitor.incident.types import Incident, incident_id


def from_decision(
    incident: Incident | None, decision: Decision, view: StoryView, at: float, parent: str | None = None
) -> Opened | Raised | Lowered | Resolved | Reopened | None:
    """Return the event that a decision means for the story's incident as it stands, or None for no change.

    The rules do not know what people did meanwhile. What a person resolved is reopened when the rules open or raise
    it again; what a person dismissed is left alone unless it becomes worse than it ever was. A story that has died
    down closes its incident, but one that somebody has acknowledged and not yet answered is only lowered: the
    customer still waits. `parent` is the incident that one opened now is a part of.
    """
    by = f"rule:{decision.rule}"
    match decision.action:
        case "none":
            return None
        case "open" | "raise":
            if incident is None:
                return Opened(
                    at=at,
                    by=by,
                    why=decision.reason,
                    incident=incident_id(view.umbrella, view.story),
                    umbrella=view.umbrella,
                    brand=view.brand,
                    story=view.story,
                    kind=view.kind,
                    headline=view.headline,
                    severity=decision.severity,
                    rule=decision.rule,
                    rules=decision.rules,
                    route=decision.route,
                    parent=parent,
                )
            return _again(incident, decision, view, at)
        case "lower" | "close":
            return None if incident is None or not incident.active else _calmer(incident, decision, at)
        case _:
            assert_never(decision.action)


def _again(incident: Incident, decision: Decision, view: StoryView, at: float) -> Raised | Reopened | None:
    """Raise or reopen what exists."""
    by, why = f"rule:{decision.rule}", decision.reason
    severity, rule, headline = decision.severity, decision.rule, view.headline
    named = {"rules": decision.rules, "route": decision.route}
    if incident.merged_into:
        return None
    if incident.active:
        if rank(severity) <= rank(incident.severity):
            return None
        return Raised(at=at, by=by, why=why, severity=severity, rule=rule, headline=headline, **named)
    if incident.state == "dismissed" and rank(severity) <= rank(incident.peak):
        return None
    return Reopened(at=at, by=by, why=why, severity=severity, rule=rule, headline=headline, **named)


def _calmer(incident: Incident, decision: Decision, at: float) -> Lowered | Resolved | None:
    """Lower or close what is active."""
    by, why = f"rule:{decision.rule}", decision.reason
    if decision.action == "close":
        if incident.state != "acknowledged":
            return Resolved(at=at, by=by, why=why)
        why = f"{why}; it still waits for {incident.owner or 'an owner'} to answer"
    target: Severity = "notify" if decision.action == "close" else decision.severity
    if rank(target) >= rank(incident.severity):
        return None
    return Lowered(at=at, by=by, why=why, severity=target)


def crossing(incident: Incident, view: StoryView, at: float) -> Crossed | None:
    """Return the crossing of the viral line, if the story is past it and that is new."""
    spread = view.spread
    if spread is None or incident.crossed_at is not None or not crossed(spread):
        return None
    return Crossed(at=at, by="story", size=spread.size, line=spread.line.size)


def merging(
    incident: Incident | None, other: Incident | None, story: str, at: float
) -> tuple[tuple[Incident, Merged | Assigned], ...]:
    """Return what happens to the incidents when one story becomes part of another, each with its incident, in order.

    Args:
        incident: the incident of the story that is swallowed, if it has one.
        other: the incident of `story`, if it has one.
        story: the story that goes on.
        at: event time.

    An incident alone moves to the story that goes on, and stays the incident that people know. Of two, one ends in
    favour of the other: the one that is over, else the swallowed one; its owner goes along if the other has none.
    """
    if incident is None or incident.merged_into or incident.story == story:
        return ()
    why = "both stories are the same matter"
    moves = Merged(at=at, by="story", why=why, story=story)
    if other is None or other.merged_into or other.id == incident.id:
        return ((incident, moves),)
    if incident.active and not other.active:
        return ((other, Merged(at=at, by="story", why=why, story=story, into=incident.id)), (incident, moves))
    ends = Merged(at=at, by="story", why=why, story=story, into=other.id)
    if other.active and other.owner is None and incident.owner is not None:
        why = f"owned the incident {incident.id} that was merged into this one"
        return ((incident, ends), (other, Assigned(at=at, by="story", why=why, owner=incident.owner)))
    return ((incident, ends),)
