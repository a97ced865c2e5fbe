"""An outbox in memory: for tests, for test pages, and as the shortest way to say what a store's outbox must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, structs

from monitor.page.outbox import SETTLED, Depth, Next, Reclaimed, Standing, Status
from monitor.page.types import Delivery, Page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Receipt(Struct, frozen=True):
    """What became of one try."""

    key: str
    attempt: int
    at: float
    delivery: Delivery


class _Row(Struct):
    page: Page
    status: Status = "waiting"
    owner: str | None = None
    lease_until: float = 0.0
    next_try_at: float | None = None


class MemoryOutbox:
    """Keeps pages, receipts and the incidents' state in dictionaries; not for more than one event loop."""

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self.receipts: list[Receipt] = []
        self.states: dict[str, tuple[str, str]] = {}

    def put(self, *pages: Page) -> None:
        """Add pages, each at the end of its lane; one whose key is there already is dropped."""
        for page in pages:
            if page.key not in self.rows:
                last = max((row.page.sequence for row in self.rows.values() if _lane(row) == _lane_of(page)), default=0)
                self.rows[page.key] = _Row(structs.replace(page, sequence=last + 1))

    def status(self, key: str) -> Status:
        """Return where a page stands."""
        return self.rows[key].status

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
        """As `Outbox.claim`."""
        heads: dict[tuple[str, str, str], _Row] = {}
        for row in sorted(self.rows.values(), key=lambda row: row.page.sequence):
            if row.status not in SETTLED:
                heads.setdefault(_lane(row), row)
        due = [
            row
            for row in heads.values()
            if row.status == "waiting"
            and (row.next_try_at is None or row.next_try_at <= now)
            and row.page.channel in channels
            and (row.page.recipient, row.page.channel) not in full
        ]
        due.sort(key=lambda row: (row.next_try_at or row.page.created_at, row.page.created_at, row.page.sequence))
        for row in due[:limit]:
            row.status, row.owner, row.lease_until = "leased", owner, now + lease_s
        return [row.page for row in due[:limit]]

    async def begin(self, key: str, owner: str, now: float, lease_s: float, *, exactly_once: bool) -> Standing | None:
        """As `Outbox.begin`."""
        row = self.rows.get(key)
        if row is None or row.status != "leased" or row.owner != owner or row.lease_until <= now:
            return None
        row.lease_until = now + lease_s
        row.page = structs.replace(row.page, attempts=row.page.attempts + 1)
        if not exactly_once:
            row.status = "sending"
        told = any(
            other.status in {"accepted", "in_doubt"} for other in self.rows.values() if _lane(other) == _lane(row)
        )
        state, severity = self.states.get(row.page.incident, ("open", row.page.severity))
        return Standing(state, severity, told)

    async def finish(
        self, key: str, owner: str, delivery: Delivery, now: float, *, status: Next, next_try_at: float | None = None
    ) -> bool:
        """As `Outbox.finish`."""
        row = self.rows[key]
        self.receipts.append(Receipt(key, row.page.attempts, now, delivery))
        ours = row.owner == owner and row.status in {"leased", "sending"}
        if row.status in SETTLED or not (ours or status == "accepted"):
            return False
        row.status, row.owner, row.next_try_at = status, None, next_try_at
        if status == "waiting" and delivery.outcome == "in_doubt":
            row.page = structs.replace(row.page, may_be_repeat=True)
        return True

    async def release(self, keys: Sequence[str], owner: str) -> None:
        """As `Outbox.release`."""
        for key in keys:
            row = self.rows[key]
            if row.status == "leased" and row.owner == owner:
                row.status, row.owner = "waiting", None

    async def reclaim(self, now: float) -> list[Reclaimed]:
        """As `Outbox.reclaim`."""
        taken: list[Reclaimed] = []
        for key, row in self.rows.items():
            if row.status not in {"leased", "sending"} or row.lease_until > now:
                continue
            if row.status == "leased":
                row.status, row.owner = "waiting", None
                taken.append(Reclaimed(key, row.page.channel, "again"))
            elif row.page.may_be_repeat:
                row.status, row.owner = "in_doubt", None
                lost = Delivery("in_doubt", "its dispatcher ended during the send")
                self.receipts.append(Receipt(key, row.page.attempts, now, lost))
                taken.append(Reclaimed(key, row.page.channel, "in_doubt", row.page))
            else:
                row.status, row.owner = "waiting", None
                row.page = structs.replace(row.page, may_be_repeat=True)
                taken.append(Reclaimed(key, row.page.channel, "repeat"))
        return taken

    async def depth(self) -> Depth:
        """As `Outbox.depth`."""
        ages = [row.page.created_at for row in self.rows.values() if row.status not in SETTLED]
        return Depth(len(ages), min(ages, default=None))


def _lane(row: _Row) -> tuple[str, str, str]:
    return _lane_of(row.page)


def _lane_of(page: Page) -> tuple[str, str, str]:
    return page.incident, page.recipient, page.channel
