"""One page for many: what a recipient gets when the pages of an outage would all come at once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from monitor.page.facts import iso
from monitor.page.types import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEVERITIES = ("info", "notify", "page", "crisis")


def merge_backlog(pages: Iterable[Page], *, since: float, decided_at: float, created_at: float) -> tuple[Page, ...]:
    """Merge pages into one `backlog` page per recipient and channel, which says since when.

    Pages that are `backlog` themselves are taken apart again, so merging twice is merging once. Notices are left out
    where a real page goes to the same recipient over the same channel; where there are only notices, they become one
    notice-severity backlog. An incident stands once, with its latest page; the worst comes first. The page goes into
    the lane of the worst incident.

    Args:
        pages: what would have gone out.
        since: event time from which on nothing could be decided.
        decided_at: event time now.
        created_at: real time now.
    """
    lanes: dict[tuple[str, str], list[Page]] = {}
    for page in pages:
        lanes.setdefault((page.recipient, page.channel), []).append(page)
    return tuple(_merged(lane, since=since, decided_at=decided_at, created_at=created_at) for lane in lanes.values())


def _merged(pages: list[Page], *, since: float, decided_at: float, created_at: float) -> Page:
    """Return the one page for a recipient and channel."""
    urgent = [page for page in pages if page.purpose != "notice"]
    rows: dict[str, dict[str, Any]] = {}
    began = iso(since)
    for page in urgent or pages:
        if page.purpose == "backlog":
            began = min(began, page.facts["since"])
            rows |= {row["incident"]: row for row in page.facts["incidents"]}
        else:
            rows[page.incident] = row_of(page)
    ordered = sorted(
        rows.values(), key=lambda row: (-_SEVERITIES.index(row["severity"]), row["opened_at"], row["incident"])
    )
    worst, like = ordered[0], pages[0]
    parts = (began, like.recipient, like.channel)
    return Page(
        key=":".join(["backlog", *(quote(part, safe="") for part in (worst["incident"], *parts))]),
        incident=worst["incident"],
        umbrella=worst["umbrella"],
        brand=worst["brand"],
        severity=worst["severity"],
        purpose="backlog",
        recipient=like.recipient,
        channel=like.channel,
        sequence=0,
        decided_at=decided_at,
        created_at=created_at,
        facts={"version": 1, "about": "backlog", "since": began, "until": iso(decided_at), "incidents": ordered},
    )


def row_of(page: Page) -> dict[str, Any]:
    """Return an incident as one row of the page."""
    facts = page.facts
    return {
        "incident": page.incident,
        "umbrella": page.umbrella,
        "brand": page.brand,
        "severity": page.severity,
        "headline": facts.get("headline", ""),
        "reason": facts.get("reason", ""),
        "opened_at": facts.get("incident", {}).get("opened_at", iso(page.decided_at)),
    }
