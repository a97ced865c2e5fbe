"""How many pages a person gets before the rest is held and comes as one. Pure.

Counted are the pages of the last hours by decision, whatever number of channels each went over; notices are not pages.
After `pages` of them within `window_s`, what is not urgent is held until there is room again: a repeat to somebody who
was paged about this incident before, and notices. Never held are an incident's first page (also of a new cycle, and
also when it reaches this person by a repeat to others), an escalation, a deadline, a hand-over, and a crisis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct

from monitor.page.backlog import row_of
from monitor.page.facts import iso
from monitor.page.types import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

LANE = "digest"
"""What stands for the incident of a page that is about many: a lane of its own."""

NOT_PAGES = frozenset({"notice", "digest", "test"})
_SEVERITIES = ("info", "notify", "page", "crisis")


class Budget(Struct, frozen=True, kw_only=True):
    """So many pages per window (seconds) and person, on these channels: those that a person reads."""

    pages: int = 2
    window_s: float = 12 * 3_600.0
    channels: frozenset[str] = frozenset()


def can_wait(page: Page, *, paged_before: bool) -> bool:
    """Return whether a page may be held at all.

    Args:
        page: what is about to go out.
        paged_before: whether this person was paged about this incident in this cycle.
    """
    if page.severity == "crisis" or page.attempts or page.may_be_repeat:
        return False
    if page.purpose == "repeat":
        return paged_before
    return page.purpose == "notice" and page.facts.get("about") != "assigned"


def held_until(times: Sequence[float], now: float, budget: Budget) -> float | None:
    """Return when there is room for one more page, or None if there is now.

    Args:
        times: when this person's pages were made, one for each decision, in any order.
        now: real time.
        budget: what they are allowed.

    >>> hour = 3600.0
    >>> held_until([1 * hour, 3 * hour], 4 * hour, Budget()) / hour
    13.0
    >>> held_until([3 * hour], 4 * hour, Budget()) is None
    True
    """
    counted = sorted((time for time in times if time > now - budget.window_s), reverse=True)
    if not budget.pages or len(counted) < budget.pages:
        return None
    return counted[budget.pages - 1] + budget.window_s


def digest(page: Page, held: Page | None, *, until: float, now: float, budget: Budget) -> Page:
    """Return the one page that says this one too.

    Args:
        page: what is held.
        held: the page that is waiting for this person and channel already, if any; its time stays.
        until: when it is released.
        now: real time.
        budget: why.
    """
    row = row_of(page) | {"about": page.facts.get("about") if page.purpose == "notice" else None}
    if row["about"] not in {"resolved", "dismissed", "merged"}:
        row["about"] = None
    known: dict[str, Any] = held.facts if held is not None else {}
    rows = {one["incident"]: one for one in known.get("incidents", ())} | {row["incident"]: row}
    ordered = sorted(rows.values(), key=lambda one: (-_SEVERITIES.index(one["severity"]), one["opened_at"]))
    facts = {
        "version": 1,
        "about": "digest",
        "since": known.get("since", iso(now)),
        "until": known.get("until", iso(until)),
        "pages": budget.pages,
        "hours": f"{budget.window_s / 3_600:g}",
        "incidents": ordered,
    }
    parts = ("digest", page.recipient, page.channel, facts["until"])
    return Page(
        key=held.key if held is not None else ":".join(quote(part, safe="") for part in parts),
        incident=LANE,
        umbrella=page.umbrella,
        brand=page.brand,
        severity=ordered[0]["severity"],
        purpose="digest",
        recipient=page.recipient,
        channel=page.channel,
        sequence=held.sequence if held is not None else 0,
        decided_at=page.decided_at,
        created_at=held.created_at if held is not None else until,
        facts=facts,
    )
