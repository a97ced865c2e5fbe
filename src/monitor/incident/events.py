"""What can happen to an incident. The events of an incident, in order, are its audit log.

Each has `at` (event time where a rule or timer caused it), `by` (a person's name, or `rule:NAME`, `story`, `timer`)
and `why`.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from monitor.escalation.types import Kind, Severity
from monitor.incident.types import Intent, TimerKind


class _Event(Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """Who did it, when and why."""

    at: float
    by: str
    why: str = ""


class Opened(_Event, frozen=True, kw_only=True, tag="opened"):
    """A rule opened it; `why` is the decision's reason."""

    incident: str
    umbrella: str
    brand: str
    story: str
    kind: Kind
    headline: str
    severity: Severity
    rule: str
    rules: str = ""
    route: str = ""
    parent: str | None = None


class Raised(_Event, frozen=True, kw_only=True, tag="raised"):
    """Its severity rose."""

    severity: Severity
    rule: str
    headline: str = ""
    rules: str = ""
    route: str = ""


class Lowered(_Event, frozen=True, kw_only=True, tag="lowered"):
    """Its severity fell."""

    severity: Severity


class Acknowledged(_Event, frozen=True, kw_only=True, tag="acknowledged"):
    """`by` has seen it, and owns it if nobody did."""


class Assigned(_Event, frozen=True, kw_only=True, tag="assigned"):
    """It has a (new) owner. Handing over from another owner needs a `why`."""

    owner: str


class Answered(_Event, frozen=True, kw_only=True, tag="answered"):
    """The customer was answered, at `url` if in public. Who answers owns it if nobody did."""

    url: str | None = None


class Resolved(_Event, frozen=True, kw_only=True, tag="resolved"):
    """It is over."""


class Dismissed(_Event, frozen=True, kw_only=True, tag="dismissed"):
    """It was a false alarm; needs a `why`."""


class Reopened(_Event, frozen=True, kw_only=True, tag="reopened"):
    """It was over and spreads again: the next cycle, with the same owner."""

    severity: Severity
    rule: str
    headline: str = ""
    rules: str = ""
    route: str = ""


class Silenced(_Event, frozen=True, kw_only=True, tag="silenced"):
    """No pages about it until `until`, unless it becomes a crisis; needs a `why`. `until` not after `at` lifts it."""

    until: float


class Crossed(_Event, frozen=True, kw_only=True, tag="crossed"):
    """The story crossed its viral line."""

    size: int
    line: float


class Merged(_Event, frozen=True, kw_only=True, tag="merged"):
    """Its story became part of `story`. `into` is that story's own incident, if it has one: then this one ends."""

    story: str
    into: str | None = None


class Linked(_Event, frozen=True, kw_only=True, tag="linked"):
    """It is a part of the incident `parent`, which speaks for it from now on."""

    parent: str


class Unlinked(_Event, frozen=True, kw_only=True, tag="unlinked"):
    """It stands for itself again. `calm`: nothing goes on in it any more, so nobody is to be paged about it now."""

    calm: bool = False


class Joined(_Event, frozen=True, kw_only=True, tag="joined"):
    """The incident `child` became a part of this one."""

    child: str
    brand: str = ""
    headline: str = ""


class Parted(_Event, frozen=True, kw_only=True, tag="parted"):
    """The incident `child` is no part of this one any more."""

    child: str


class Spared(_Event, frozen=True, kw_only=True, tag="spared"):
    """So many pages about the part `child` did not go out: this incident speaks for it. `about` is what happened."""

    child: str
    about: str
    severity: Severity
    pages: int


class Overdue(_Event, frozen=True, kw_only=True, tag="overdue"):
    """A timer has run out: nobody acknowledged it, answered the customer or resolved it in time.

    `round` counts the times that this timer ran out in this cycle, from 1.
    """

    timer: TimerKind
    round: int


class Paged(_Event, frozen=True, kw_only=True, tag="paged"):
    """These pages were put into the outbox."""

    pages: tuple[Intent, ...]


Event = (
    Opened
    | Raised
    | Lowered
    | Acknowledged
    | Assigned
    | Answered
    | Resolved
    | Dismissed
    | Reopened
    | Silenced
    | Crossed
    | Merged
    | Linked
    | Unlinked
    | Joined
    | Parted
    | Spared
    | Overdue
    | Paged
)

_DECODER = msgspec.json.Decoder[Event](Event)


def encode(event: Event) -> bytes:
    """Return the event as JSON, for the log."""
    return msgspec.json.encode(event)


def decode(data: bytes | str) -> Event:
    """Return the event that `encode` wrote; `msgspec.ValidationError` if it is none.

    >>> decode(encode(Resolved(at=1.0, by="ana")))
    Resolved(at=1.0, by='ana', why='')
    """
    event: Event = _DECODER.decode(data)
    return event
