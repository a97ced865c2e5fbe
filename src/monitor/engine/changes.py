"""What one batch changes: everything that the one transaction has to write."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec
from msgspec import Struct

from monitor.escalation.types import Decision, StoryView


class SeenRow(Struct, frozen=True):
    """One id seen in one umbrella.

    `state` is `stored`, or `awaited` when an edit or delete came before its target. `share` is what the mention gave
    to its story (to be taken out again), `revision` the highest revision applied or awaited.
    """

    key: bytes
    umbrella: str
    state: Literal["stored", "awaited"]
    published_at: float
    story: str | None = None
    revision: int = 0
    share: bytes | None = None


class LooseRow(Struct, frozen=True):
    """A mention that cannot be counted by itself.

    An edit or delete needs its target; a reply or repost that names no brand counts if the story that it refers to was
    known somewhere. `refers` is the key that decides: found among the ids seen means stored. The store makes a row
    `settled` when it counts it for good.
    """

    key: bytes
    kind: Literal["tombstone", "reference", "settled"]
    refers: bytes
    published_at: float


class StoryRow(Struct, frozen=True):
    """A story's state as kept in the store."""

    umbrella: str
    story: str
    brand: str
    kind: Literal["story", "wave"]
    headline: str
    size: int
    voices: int
    first_at: float
    last_at: float
    crossed_at: float | None
    closed: bool
    merged_into: str | None
    state: bytes


class TideRow(Struct, frozen=True):
    """A brand's baseline and wave as kept in the store."""

    umbrella: str
    brand: str
    state: bytes


class Act(Struct, frozen=True):
    """A decision that asks for something, with the view it was made on.

    `backlog_since` is set when it was made at the end of a backlog: such pages go out as one per person. `trace` is the
    `traceparent` of a mention of the story, where its producer sent one. `parent` is the story whose incident stands
    above this one's, and speaks for it.
    """

    at: float
    view: StoryView
    decision: Decision
    backlog_since: float | None = None
    trace: str | None = None
    parent: str | None = None


class ShadowAct(Struct, frozen=True):
    """What a shadow rule would have done: recorded, and nobody is told."""

    at: float
    umbrella: str
    brand: str
    story: str
    rule: str
    decision: Decision


class Merge(Struct, frozen=True):
    """Story `src` went into `into`: its incident, owner and history follow."""

    at: float
    umbrella: str
    src: str
    into: str


class Crossing(Struct, frozen=True):
    """A story crossed its viral line, at this size."""

    at: float
    umbrella: str
    story: str
    size: int
    line: float


class Link(Struct, frozen=True):
    """The incident of story `child` belongs below that of `parent`: they are one matter."""

    at: float
    umbrella: str
    child: str
    parent: str
    why: str


class Changes(Struct):
    """The changes of one batch, in the order in which they happened where order matters (`events`).

    `down`: the umbrellas whose input is held to be down at its end, and since when.
    """

    partition: int
    account: Counter[str] = msgspec.field(default_factory=Counter)
    seen: dict[tuple[bytes, str], SeenRow] = msgspec.field(default_factory=dict)
    loose: dict[bytes, LooseRow] = msgspec.field(default_factory=dict)
    stories: dict[tuple[str, str], StoryRow] = msgspec.field(default_factory=dict)
    tides: dict[tuple[str, str], TideRow] = msgspec.field(default_factory=dict)
    closed: list[tuple[str, str]] = msgspec.field(default_factory=list)
    events: list[Act | Merge | Crossing | Link] = msgspec.field(default_factory=list)
    shadows: list[ShadowAct] = msgspec.field(default_factory=list)
    rule_errors: Counter[str] = msgspec.field(default_factory=Counter)
    traces: list[str] = msgspec.field(default_factory=list)
    marks: bytes = b""
    behind: bool = False
    down: dict[str, float] = msgspec.field(default_factory=dict)
    clock: float = 0.0
    purge_before: float | None = None

    @property
    def empty(self) -> bool:
        """True when the batch changed nothing but the time."""
        written = self.account or self.seen or self.loose or self.stories or self.tides or self.closed
        return not (written or self.events or self.shadows)
