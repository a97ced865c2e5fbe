"""A page on its way: what the outbox holds, what a channel gets, and what it says back."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct

from monitor.incident.types import Purpose

__all__ = ["Delivery", "Notifier", "Outcome", "Page", "Purpose"]

Outcome = Literal["accepted", "retry", "refused", "in_doubt", "cancelled"]


class Page(Struct, frozen=True, kw_only=True):
    """One page to one recipient over one channel about one incident.

    `key` is (incident, cycle, purpose, level, round, recipient, channel) as one string: the idempotency key.
    `sequence` counts per (incident, recipient, channel): pages go out in that order. `facts` is what the renderers
    work from, plain JSON (see `page.facts`). `decided_at` is event time, `created_at` real time. `thread` is the
    receipt of the lane's first page in this cycle, known only while it is sent.
    """

    key: str
    incident: str
    umbrella: str
    brand: str
    severity: str
    purpose: Purpose
    recipient: str
    channel: str
    sequence: int
    decided_at: float
    created_at: float
    facts: dict[str, Any]
    attempts: int = 0
    may_be_repeat: bool = False
    thread: str | None = None

    @property
    def held(self) -> bool:
        """Whether it was not to go out at once: it waited for the end of quiet hours, or says what many would have."""
        return self.purpose in {"backlog", "digest"} or "held_until" in self.facts

    @property
    def trace(self) -> str | None:
        """The `traceparent` of a mention of its story, where there was one."""
        return self.facts.get("trace")

    @property
    def root(self) -> str:
        """What ties the pages about one cycle of an incident together, in threads and at PagerDuty."""
        return f"{self.incident}:{(self.facts.get('incident') or {}).get('cycle', 1)}"


COLUMNS = tuple(name for name in Page.__struct_fields__ if name != "thread")
"""The fields that a store keeps with a page."""


class Delivery(Struct, frozen=True):
    """What became of one try. `accepted` is not seen: it only says that the receiver took it.

    `retry` may come with `retry_after` (seconds); `refused`: it will not work as it is (a 4xx); `in_doubt`: it was
    sent, and no answer came; `cancelled`: not tried, because it was not needed any more.
    """

    outcome: Outcome
    detail: str = ""
    retry_after: float | None = None
    receipt: str | None = None


class Notifier(Protocol):
    """A channel. `exactly_once` says that the receiver drops a second send of the same key."""

    name: str
    exactly_once: bool

    async def send(self, page: Page) -> Delivery:
        """Try once; never raises for what a receiver can do."""
        ...

    async def check(self) -> str | None:
        """Say what is wrong with this receiver, or None: for `monitor doctor`. Sends no page."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
