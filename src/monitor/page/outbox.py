"""What the dispatcher asks of the store: an outbox with lanes, leases and receipts.

A page's life. `waiting` until it is due and at the head of its lane; `leased` to one dispatcher; `sending` from just
before the send where the receiver cannot tell a repeat (see `Outbox.begin`); then back to `waiting` for another try,
or settled for good: `accepted`, `refused`, `gave_up`, `cancelled`, `in_doubt`.

A lane is (incident, recipient, channel). Its head is the page with the smallest `sequence` that is not settled. Only
heads are handed out, so pages of a lane never overtake each other; a head that waits for its next try or is leased
holds its own lane and no other.

All times here are real time (seconds since the epoch), never event time: a receiver's outage lasts as long as it
lasts, also in a replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from monitor.page.types import Page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from monitor.page.types import Delivery

Status = Literal["waiting", "leased", "sending", "accepted", "refused", "gave_up", "cancelled", "in_doubt"]
Settled = Literal["accepted", "refused", "gave_up", "cancelled", "in_doubt"]
SETTLED: tuple[Settled, ...] = ("accepted", "refused", "gave_up", "cancelled", "in_doubt")
Next = Literal["waiting", "accepted", "refused", "gave_up", "cancelled", "in_doubt"]


class Standing(Struct, frozen=True):
    """How the page's incident stands at this moment.

    `told` says whether an earlier page of the same lane (incident, recipient, channel) was accepted or ended in
    doubt: a person who was never told of an incident needs no notice that it is over. `silenced` says who silenced the
    incident, where that holds now. `thread` is the receipt of the lane's first page in this cycle. `held_until`: the
    page is not to be sent, for its recipient has had enough; it is said by another that goes out then.
    """

    state: str
    severity: str
    told: bool
    silenced: str | None = None
    thread: str | None = None
    held_until: float | None = None


class Reclaimed(Struct, frozen=True):
    """A page whose lease had run out, and what became of it.

    `again`: it goes out again and nobody can have got it, or the receiver drops the second; `repeat`: it goes out
    again marked `may_be_repeat`; `in_doubt`: it had been repeated already, and is settled so (then `page` is there).
    """

    key: str
    channel: str
    outcome: Literal["again", "repeat", "in_doubt"]
    page: Page | None = None


class Depth(Struct, frozen=True):
    """How many pages are not settled, and since when the oldest of them has waited (None without any)."""

    unsettled: int
    oldest_created_at: float | None = None


class Outbox(Protocol):
    """The store's side of delivery. Every method is one short transaction of its own."""

    async def claim(
        self,
        now: float,
        limit: int,
        owner: str,
        lease_s: float,
        *,
        channels: Collection[str],
        full: Collection[tuple[str, str]] = (),
    ) -> list[Page]:
        """Lease up to `limit` pages to `owner` until `now + lease_s`, and return them.

        Handed out are pages that are `waiting`, at the head of their lane, due (`next_try_at` none or <= now), on
        one of `channels` (those this dispatcher serves and that have room), and not for a (recipient, channel) in
        `full`. Order: `next_try_at` (none counts as `created_at`), then `created_at`, then `sequence`. Rows are taken
        by status and lease (`FOR UPDATE SKIP LOCKED` where there is such a thing), never by "id greater than".
        `Page.attempts` is the number of tries begun so far.
        """
        ...

    async def begin(self, key: str, owner: str, now: float, lease_s: float, *, exactly_once: bool) -> Standing | None:
        """Note that `owner` is about to send this page; called once before each try, nothing is sent without it.

        None if the lease is not `owner`'s any more or has run out, or the page is settled: it must not be sent. Else
        the lease is renewed to `now + lease_s`, `attempts` grows by one, and, unless `exactly_once`, the status
        becomes `sending`, so that a crash from here on leaves a doubt behind (see `reclaim`).
        Returns how the incident stands, read in the same transaction.
        """
        ...

    async def finish(
        self, key: str, owner: str, delivery: Delivery, now: float, *, status: Next, next_try_at: float | None = None
    ) -> bool:
        """Write the receipt of one try and move the page on; True if it moved.

        The receipt row (key, attempt, at, outcome, detail, receipt) is always written. `status` "waiting" (with
        `next_try_at`) gives the lease back for another try; if `delivery.outcome` is "in_doubt" it also sets
        `may_be_repeat`. Any other status settles the page and frees its lane. From an owner who has lost the lease
        only "accepted" moves the page, and only if it is not settled: it is true whoever says it.
        """
        ...

    async def release(self, keys: Sequence[str], owner: str) -> None:
        """Give leased pages back unsent: to `waiting`, due when they were. Keys that are not leased to it: ignored."""
        ...

    async def reclaim(self, now: float) -> list[Reclaimed]:
        """Take back every page whose lease has run out (its dispatcher died or hung).

        `leased` goes back to `waiting`, due at once. `sending` may have arrived: back to `waiting` with
        `may_be_repeat` set; if that was set already, settled as `in_doubt` with a receipt that says so.
        """
        ...

    async def depth(self) -> Depth:
        """Return how much is not settled, for the metrics and for the health check."""
        ...
