"""What the API takes and gives. Unknown fields are refused; the OpenAPI description is made from these types."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from monitor.incident import Event, Incident, Verb, Wish

Who = Annotated[str, Meta(max_length=100, description="Who does it; not needed where the token is a person's own.")]
Why = Annotated[str, Meta(max_length=2_000, description="The reason, for the audit log.")]
NeededWhy = Annotated[str, Meta(min_length=1, max_length=2_000, description="The reason, for the audit log.")]
Owner = Annotated[str, Meta(min_length=1, max_length=100, description="A recipient's name.")]
Url = Annotated[str, Meta(max_length=1_100, pattern="^https?://", description="Where the answer stands, if in public.")]
Parent = Annotated[str, Meta(min_length=1, max_length=32, description="The id of the incident that it is a part of.")]
Minutes = Annotated[float, Meta(ge=0, le=7 * 1_440, description="For how long; 0 lifts the silence.")]


class Ack(Struct, frozen=True, forbid_unknown_fields=True):
    """I have seen it; it is mine if it was nobody's."""

    by: Who = ""
    why: Why = ""


class Assign(Struct, frozen=True, forbid_unknown_fields=True):
    """It is theirs. Taking it from its owner needs a reason."""

    owner: Owner
    by: Who = ""
    why: Why = ""


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer was answered."""

    by: Who = ""
    why: Why = ""
    url: Url | None = None


class Resolve(Struct, frozen=True, forbid_unknown_fields=True):
    """It is over; those who were paged are told."""

    by: Who = ""
    why: Why = ""


class Dismiss(Struct, frozen=True, forbid_unknown_fields=True):
    """It was a false alarm."""

    why: NeededWhy
    by: Who = ""


class Silence(Struct, frozen=True, forbid_unknown_fields=True):
    """Nobody is to be paged about it for a while, unless it becomes a crisis."""

    minutes: Minutes
    why: NeededWhy
    by: Who = ""


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """It is a part of another incident, which speaks for it from now on."""

    parent: Parent
    by: Who = ""
    why: Why = ""


class Unlink(Struct, frozen=True, forbid_unknown_fields=True):
    """It stands for itself again."""

    by: Who = ""
    why: Why = ""


Body = Ack | Assign | Answer | Resolve | Dismiss | Silence | Link | Unlink
BODIES: dict[Verb, type[Struct]] = {
    "ack": Ack,
    "assign": Assign,
    "answer": Answer,
    "resolve": Resolve,
    "dismiss": Dismiss,
    "silence": Silence,
    "link": Link,
    "unlink": Unlink,
}


class Sent(Struct, frozen=True):
    """A page and what became of it; times in seconds since the epoch."""

    purpose: str
    recipient: str
    channel: str
    severity: str
    decided_at: float
    status: str
    attempts: int
    may_be_repeat: bool
    delivered_at: float | None = None


class Detail(Struct, frozen=True):
    """An incident with its audit log, its pages, and what was last known of its story (see docs/pages.md, facts)."""

    incident: Incident
    log: list[Event]
    pages: list[Sent]
    facts: dict[str, Any]


class Listing(Struct, frozen=True):
    """Incidents, newest first. `next` goes into `before` for the rest; null at the end."""

    incidents: list[Incident]
    next: float | None = None


class Problem(Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457). `detail` is for the person who asked."""

    title: str
    status: int
    detail: str = ""


def wish_of(verb: Verb, body: Any, by: str) -> Wish:
    """Return what a request wants done, in whose name."""
    minutes = getattr(body, "minutes", None)
    return Wish(
        verb=verb,
        by=by,
        why=body.why,
        owner=getattr(body, "owner", None),
        url=getattr(body, "url", None),
        for_s=None if minutes is None else 60.0 * minutes,
        parent=getattr(body, "parent", None),
    )
