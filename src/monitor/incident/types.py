"""An incident, and the intents to page that its changes bring about. Values; times are seconds since the epoch."""

from __future__ import annotations

from hashlib import blake2s
from typing import Literal
from urllib.parse import quote

from msgspec import Struct

from monitor.escalation.types import Kind, Severity, rank

State = Literal["open", "acknowledged", "answered", "resolved", "dismissed"]
ACTIVE: frozenset[State] = frozenset({"open", "acknowledged", "answered"})
TimerKind = Literal["acknowledge", "answer", "resolve"]
Purpose = Literal[
    "first", "raised", "repeat", "deadline", "handover", "reopened", "notice", "backlog", "digest", "test"
]


class IllegalChange(ValueError):  # noqa: N818 -- the change is illegal; nothing is broken
    """The event does not fit the incident's state. The text says why, for the person who asked for it."""


class Intent(Struct, frozen=True):
    """A page that is to go out. Two with the same key are the same page."""

    incident: str
    cycle: int
    purpose: Purpose
    level: int
    round: int
    recipient: str
    channel: str

    @property
    def key(self) -> str:
        """The idempotency key: printable ASCII, parts joined by colons.

        >>> Intent("i1", 1, "first", 0, 0, "Zoë: night", "webhook").key
        'i1:1:first:0:0:Zo%C3%AB%3A%20night:webhook'
        """
        parts = (self.incident, self.cycle, self.purpose, self.level, self.round, self.recipient, self.channel)
        return ":".join(quote(str(part), safe="") for part in parts)


class Incident(Struct, frozen=True, kw_only=True):
    """What people work on. Made only by `apply`, from its log of events.

    `cycle` counts openings (1, then one more with each reopening); `raises` and `told` (the pages decided) are of
    this cycle. `peak` is the highest severity it ever had. `paged_at` is when the first page was decided, `crossed_at`
    when the story crossed its viral line, both event time: their difference is the lead time. `merged_into` names
    the incident that goes on in its place. `silenced_until` is when a silence ends, and `silenced_by` whose it is.

    `route` is the route that the rule asks for, if any. The ladder's state, of this cycle: `rung_at` is when it was
    begun (by a page, or anew by a raise), `step` how far it is (0: the first page), `overdue` which timers ran out:
    (timer, round, when).

    `parent` is the incident that it is a part of: while that one is active and no less severe, it speaks for this one.
    `children` are the parts of it. A part has no parts of its own.
    """

    id: str
    umbrella: str
    brand: str
    story: str
    kind: Kind
    headline: str
    severity: Severity
    peak: Severity
    state: State
    rule: str
    reason: str
    opened_at: float
    updated_at: float
    version: int = 1
    cycle: int = 1
    raises: int = 0
    rules: str = ""
    owner: str | None = None
    handovers: int = 0
    acknowledged_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    paged_at: float | None = None
    crossed_at: float | None = None
    merged_into: str | None = None
    silenced_until: float | None = None
    silenced_by: str | None = None
    told: tuple[Intent, ...] = ()
    route: str = ""
    rung_at: float | None = None
    step: int = 0
    overdue: tuple[tuple[TimerKind, int, float], ...] = ()
    parent: str | None = None
    children: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether somebody still has to do something."""
        return self.state in ACTIVE

    def speaks_for(self, child: Incident) -> bool:
        """Return whether nobody is to be paged about a part of it: it is active, and no less severe."""
        return self.active and rank(self.severity) >= rank(child.severity)

    def silenced(self, at: float) -> bool:
        """Return whether nobody is to be paged about it at `at`; a crisis cannot be silenced."""
        return self.silenced_until is not None and at < self.silenced_until and self.severity != "crisis"


def incident_id(umbrella: str, story: str) -> str:
    """Return the id of the incident of a story: the same on every machine and in every replay.

    >>> incident_id("aurora", "s1") == incident_id("aurora", "s1") != incident_id("auror", "as1")
    True
    """
    name = f"{len(umbrella)}:{umbrella}:{story}".encode("utf-8", "surrogatepass")
    return "i" + blake2s(name, digest_size=8).hexdigest()
