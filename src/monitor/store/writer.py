"""Events appended to incidents with a version check, and the pages that they bring about put into the outbox with them.

The watching worker never keeps an incident in memory: it reads it inside the transaction that changes it, so that
what a person did meanwhile is never overwritten. People's changes go the same way (`IncidentStore.change`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, assert_never

import msgspec
from sqlalchemy import insert, select, update

from monitor.clock import WallClock
from monitor.engine.changes import Act, Crossing, Link, Merge
from monitor.escalation.types import rank
from monitor.incident import (
    ACTIVE,
    IllegalChange,
    Incident,
    advance,
    apply,
    crossing,
    encode,
    from_decision,
    incident_id,
    merging,
    next_timer,
    overdue,
)
from monitor.incident.events import (
    Assigned,
    Crossed,
    Dismissed,
    Joined,
    Linked,
    Merged,
    Opened,
    Overdue,
    Parted,
    Raised,
    Reopened,
    Resolved,
    Spared,
    Unlinked,
)
from monitor.mention.text import safe
from monitor.page.facts import build_facts, iso, outgoing
from monitor.store.enqueue import PageQueue
from monitor.store.tables import incident as incident_table
from monitor.store.tables import incident_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from monitor.escalation.types import Together
    from monitor.incident import Event, Plan, Routes
    from monitor.page.facts import About

MOST_PARTS = 20
"""Parts of an incident that its pages name at most."""

MAX_REASON = 500
STORY_FACTS = ("how_sure", "cause", "first_at", "last_at", "own_replies", "sources", "quotes", "mood", "numbers",
               "forecast", "wave", "budget", "together", "trace")  # fmt: skip
"""What a page about a person's change takes over from the last view of the story."""


class VersionConflictError(Exception):
    """Somebody else changed the incident in between; read it again and try again."""


class IncidentWriter:
    """Appends events to incidents inside a transaction that somebody else began; `now` is real time."""

    def __init__(self, connection: Connection, routes: Routes, now: float | None = None) -> None:
        self._connection = connection
        self._routes = routes
        self._now = WallClock().now() if now is None else now
        self._queue = PageQueue(connection, routes, self._now)

    def carry_out(self, happened: Act | Merge | Crossing | Link) -> None:
        """Carry out what a batch brought about."""
        match happened:
            case Act():
                self.act(happened)
            case Merge():
                self.merge(happened)
            case Crossing():
                self.crossed(happened)
            case Link():
                self.link(happened)
            case _:
                assert_never(happened)

    def act(self, act: Act) -> None:
        """Carry a decision of the rules out."""
        view = act.view
        current = self.of_story(view.umbrella, view.story)
        above = incident_id(view.umbrella, act.parent) if act.parent is not None and current is None else None
        parent = self._parent(above or (current.parent if current is not None else None))
        if parent is None or not parent.active or parent.parent is not None:
            above = None
        event = from_decision(current, act.decision, view, act.at, above)
        facts: dict[str, Any] | None = None
        if event is not None:
            try:
                step = advance(current, event, self._routes, parent)
            except IllegalChange:
                return  # a person was faster: their change stands
            facts = build_facts(step.incident, about=_about(event), at=act.at, view=view, decision=act.decision)
            facts["deadline"] = self._deadline(step.incident)
            if act.trace is not None:
                facts["trace"] = act.trace
            facts["related"] = self._related(step.incident)
            self._append(current, step.incident, step.events, facts)
            if above is not None and parent is not None:
                parent = self._note(parent, _joined(step.incident, act.at, "rules", act.decision.reason))
            self._spare(parent, step.incident, event, step.spared)
            if isinstance(event, Resolved):
                self._let_go_of(step.incident, event, view.together)
            pages = outgoing(step.intents, step.incident, facts, decided_at=act.at, created_at=self._now)
            if act.backlog_since is None:
                self._queue.put(pages)
            else:
                self._queue.put_backlog(pages, act.backlog_since, act.at)
            current = step.incident
        if current is not None:
            crossed = crossing(current, view, act.at)
            if crossed is not None:
                self._change(current, crossed)

    def crossed(self, happened: Crossing) -> None:
        """Note on the incident, if there is one, that its story crossed its viral line."""
        current = self.of_story(happened.umbrella, happened.story)
        if current is not None and current.active and current.crossed_at is None:
            self._change(current, Crossed(at=happened.at, by="story", size=happened.size, line=happened.line))

    def merge(self, happened: Merge) -> None:
        """Let a swallowed story's incident move to the story that goes on."""
        swallowed = self.of_story(happened.umbrella, happened.src)
        other = self.of_story(happened.umbrella, happened.into)
        for who, event in merging(swallowed, other, happened.into, happened.at):
            current = self.by_id(who.id)
            if current is None:
                continue
            self._change(current, event)
            if isinstance(event, Merged) and event.into is not None:
                self._move(current, event.into, happened.at)

    def link(self, happened: Link) -> None:
        """Put a story's incident below another story's."""
        child = self.of_story(happened.umbrella, happened.child)
        parent = self.of_story(happened.umbrella, happened.parent)
        if child is None or parent is None or not child.active or child.parent == parent.id:
            return
        with contextlib.suppress(IllegalChange):  # a person has put it elsewhere, or has ended the other
            self._change(child, Linked(at=happened.at, by="rules", why=happened.why, parent=parent.id))

    def change(self, current: Incident, event: Event) -> Incident:
        """Append one event; returns the incident after it.

        Raises:
            IllegalChange: the event does not fit.
            VersionConflictError: the incident was changed meanwhile.
        """
        return self._change(current, event)

    def by_id(self, incident: str) -> Incident | None:
        """Return an incident, locked where the store can lock rows."""
        row = self._connection.execute(
            select(incident_table.c.body).where(incident_table.c.id == incident).with_for_update()
        ).one_or_none()
        return None if row is None else unpack(row.body)

    def of_story(self, umbrella: str, story: str) -> Incident | None:
        """Return the incident of a story, the active one if there are several, locked where the store can lock."""
        rows = self._connection.execute(
            select(incident_table.c.body)
            .where(incident_table.c.umbrella == umbrella, incident_table.c.story == story)
            .order_by(incident_table.c.opened_at)
            .with_for_update()
        ).all()
        incidents = [unpack(row.body) for row in rows]
        return max(incidents, key=lambda found: (found.active, found.merged_into is None), default=None)

    def _change(self, current: Incident, event: Event) -> Incident:
        parent = self._parent(current.parent)
        if isinstance(event, Linked):
            parent = self._join(current, event, parent)
        if isinstance(event, Unlinked) and parent is not None:
            parent = self._note(parent, Parted(at=event.at, by=event.by, why=event.why, child=current.id))
        if isinstance(event, Resolved | Dismissed):
            current = self._end_parts(current, event)
        step = advance(current, event, self._routes, parent)
        self._append(current, step.incident, step.events, None)
        self._spare(parent, step.incident, event, step.spared)
        if step.intents:
            facts = build_facts(step.incident, about=_about(event), at=event.at)
            facts["deadline"] = self._deadline(step.incident)
            facts["related"] = self._related(step.incident)
            if isinstance(event, Overdue | Assigned):
                said = step.events[-1].why
                facts["reason"] = safe(f"{said[:1].upper()}{said[1:]}. {facts['reason']}", MAX_REASON)
            known = self._facts(current.id)
            story = {name: known[name] for name in STORY_FACTS if name in known}
            self._queue.put(
                outgoing(step.intents, step.incident, facts | story, decided_at=event.at, created_at=self._now)
            )
        return step.incident

    # -- incidents that belong together

    def _parent(self, incident: str | None) -> Incident | None:
        return None if incident is None else self.by_id(incident)

    def _note(self, incident: Incident, event: Event) -> Incident:
        """Append an event that nobody is paged about."""
        step = advance(incident, event, self._routes)
        self._append(incident, step.incident, step.events, None)
        return step.incident

    def _join(self, child: Incident, event: Linked, before: Incident | None) -> Incident:
        """Put an incident on the list of another's parts; nothing is written unless both sides allow it."""
        apply(child, event)
        parent = self._parent(event.parent)
        if parent is None:
            raise IllegalChange(f"linked: there is no incident {safe(event.parent, 40)!r}")
        if parent.umbrella != child.umbrella:
            raise IllegalChange(f"linked: {parent.id} is about {parent.umbrella}, not about {child.umbrella}")
        joined = _joined(child, event.at, event.by, event.why)
        apply(parent, joined)
        if before is not None:  # it leaves the one for the other
            self._note(before, Parted(at=event.at, by=event.by, why=event.why, child=child.id))
        return self._note(parent, joined)

    def _spare(self, parent: Incident | None, child: Incident, event: Event, pages: int) -> None:
        """Tell the incident that speaks for a part what nobody was paged about."""
        if parent is not None and pages:
            about, why = _about(event), event.why
            spared = Spared(
                at=event.at, by=event.by, why=why, child=child.id, about=about, severity=child.severity, pages=pages
            )
            self._note(parent, spared)

    def _end_parts(self, current: Incident, event: Resolved | Dismissed) -> Incident:
        """End the parts of what a person ends; their pages are spared, for it speaks for them until its own end."""
        for name in current.children:
            child = self.by_id(name)
            if child is not None and child.active and child.parent == current.id:
                why = f"with {current.id}" + (f": {event.why}" if event.why else "")
                self._change(child, msgspec.structs.replace(event, why=why))
        return self.by_id(current.id) or current

    def _let_go_of(self, ended: Incident, event: Resolved, now: Together | None) -> None:
        """Let the parts of what the rules ended stand for themselves again; nobody is paged for those that are calm."""
        for name in ended.children:
            child = self.by_id(name)
            if child is not None and child.active and child.parent == ended.id:
                calm = now is not None and child.story not in now.stories
                self._change(child, Unlinked(at=event.at, by=event.by, why=f"{ended.id} is over", calm=calm))

    def _move(self, swallowed: Incident, into: str, at: float) -> None:
        """Take the parts of an incident that was merged into another along."""
        other = self.by_id(into)
        for name in swallowed.children if other is not None and other.parent is None else ():
            child = self.by_id(name)
            if child is not None and child.active and child.id != into and child.parent == swallowed.id:
                with contextlib.suppress(IllegalChange):
                    self._change(child, Linked(at=at, by="story", why=f"{swallowed.id} goes on as {into}", parent=into))

    def _related(self, incident: Incident) -> dict[str, Any] | None:
        """Return what a page says of the incidents that this one belongs together with."""
        if incident.parent is None and not incident.children:
            return None
        parts = [self.by_id(name) for name in incident.children[-MOST_PARTS:]]
        return {
            "parent": incident.parent,
            "parts": [
                {
                    "incident": one.id,
                    "brand": one.brand,
                    "severity": one.severity,
                    "headline": safe(one.headline, 200),
                }
                for one in parts
                if one is not None and one.active
            ],
            "number": len(incident.children),
        }

    def run_out(self, incident: str, at: float) -> Incident | None:
        """Let the incident's timer run out if it is due at `at` (event time); None if it is not, or not any more."""
        current = self.by_id(incident)
        if current is None:
            return None
        timer = next_timer(current, self._plan(current))
        if timer is None or timer.due > at:
            self._set_due(current)  # the plan has changed since
            return None
        return self._change(current, overdue(current, timer, at))

    def plan_again(self) -> None:
        """Set every active incident's timer anew: the ladders or deadlines have changed."""
        for row in self._connection.execute(
            select(incident_table.c.body).where(incident_table.c.state.in_(sorted(ACTIVE)))
        ).all():
            self._set_due(unpack(row.body))

    def _plan(self, current: Incident) -> Plan:
        return self._routes.plan(
            umbrella=current.umbrella,
            brand=current.brand,
            severity=current.severity,
            rule=current.rule,
            route=current.route,
        )

    def _due(self, current: Incident) -> float | None:
        timer = next_timer(current, self._plan(current))
        return None if timer is None else timer.due

    def _set_due(self, current: Incident) -> None:
        self._connection.execute(
            update(incident_table)
            .where(incident_table.c.id == current.id, incident_table.c.version == current.version)
            .values(due_at=self._due(current))
        )

    def _deadline(self, current: Incident) -> str | None:
        """Return until when the customer has to be answered, as a page says it."""
        answer = self._plan(current).answer
        waits = current.active and current.answered_at is None and rank(current.severity) >= rank("page")
        return iso(current.rung_at + answer) if answer is not None and waits and current.rung_at is not None else None

    def _facts(self, incident: str) -> dict[str, Any]:
        facts = self._connection.scalar(select(incident_table.c.facts).where(incident_table.c.id == incident))
        return dict(facts or {})

    def _append(
        self, before: Incident | None, after: Incident, events: Sequence[Event], facts: dict[str, Any] | None
    ) -> None:
        values: dict[str, Any] = {
            "umbrella": after.umbrella,
            "story": after.story,
            "brand": after.brand,
            "state": after.state,
            "severity": after.severity,
            "opened_at": after.opened_at,
            "updated_at": after.updated_at,
            "version": after.version,
            "body": msgspec.msgpack.encode(after),
            "due_at": self._due(after),
        }
        if facts is not None:
            values["facts"] = facts
        if before is None:
            self._connection.execute(insert(incident_table).values(id=after.id, **({"facts": {}} | values)))
        else:
            changed = self._connection.execute(
                update(incident_table)
                .where(incident_table.c.id == after.id, incident_table.c.version == before.version)
                .values(**values)
            )
            if changed.rowcount != 1:
                raise VersionConflictError(f"incident {after.id} was changed at the same moment: try again")
        first = before.version if before is not None else 0
        self._connection.execute(
            insert(incident_event),
            [
                {
                    "incident": after.id,
                    "version": first + number,
                    "at": event.at,
                    "created_at": self._now,
                    "kind": type(event).__name__.lower(),
                    "body": encode(event),
                }
                for number, event in enumerate(events, start=1)
            ],
        )


_ABOUT: dict[type[Event], About] = {
    Opened: "opened",
    Raised: "raised",
    Reopened: "reopened",
    Dismissed: "dismissed",
    Merged: "merged",
    Overdue: "overdue",
    Assigned: "assigned",
    Linked: "linked",
    Unlinked: "opened",
}


def _joined(child: Incident, at: float, by: str, why: str) -> Joined:
    return Joined(at=at, by=by, why=why, child=child.id, brand=child.brand, headline=child.headline)


def _about(event: Event) -> About:
    return _ABOUT.get(type(event), "resolved")


def unpack(body: bytes) -> Incident:
    """Return the incident in a row's body."""
    return msgspec.msgpack.decode(body, type=Incident)
