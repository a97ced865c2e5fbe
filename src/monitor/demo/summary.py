"""What the demo came to: the account of every mention, the pages, and how early they were."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from monitor.store import IncidentStore, Store, read_account
from monitor.store.tables import seen, story

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from monitor.demo.receiver import Receiver
    from monitor.oncall.directory import Directory
    from monitor.simulate import StoryTruth


def summarise(
    store: Store,
    directory: Directory,
    receiver: Receiver,
    published: int,
    truth: Mapping[bytes, StoryTruth] | None = None,
) -> dict[str, Any]:
    """Return the summary as it is written to a file.

    `lead_seconds` runs from the page to the moment when the story crossed its viral line, in the stream's time, less
    the real seconds that its delivery took; null for a notice, and if it has not crossed it. When that was the `truth`
    says, where there is one (the story of each mention, by its key): what of a story was not recognised as such counts
    too.
    """
    with store.engine.connect() as connection:
        account = read_account(connection)
        crossed = {
            (row.umbrella, row.story): row.crossed_at
            for row in connection.execute(select(story.c.umbrella, story.c.story, story.c.crossed_at))
        }
        known = {} if truth is None else _recognised(connection, truth)
    incidents = IncidentStore(store, directory)
    pages = []
    for row in incidents.pages():
        if row["status"] != "accepted" or row["key"] not in receiver.pages:
            continue
        incident = incidents.get(row["incident"])
        crossed_at = None
        if incident is not None:
            crossed_at = incident.crossed_at or crossed.get((incident.umbrella, incident.story))
            if truth is not None:
                crossed_at = known.get(incident.story)
        notice = row["purpose"] == "notice"
        delivery_s = max(0.0, receiver.pages[row["key"]].at - row["created_at"])
        sent_at = row["decided_at"] + delivery_s
        pages.append(
            {
                "brand": row["brand"],
                "severity": row["severity"],
                "reason": row["facts"].get("reason", ""),
                "headline": row["facts"].get("headline", ""),
                "recipient": row["recipient"],
                "channel": row["channel"],
                "sent_at": _iso(sent_at),
                "crossed_at": None if crossed_at is None else _iso(crossed_at),
                "lead_seconds": None if crossed_at is None or notice else round(crossed_at - sent_at, 1),
                "purpose": row["purpose"],
                "rule": incident.rule if incident is not None else "",
            }
        )
    return {
        "published": published,
        "stored": account.stored,
        "repeated": account.repeated,
        "dead": account.dead,
        "orphan": account.orphan,
        "too_old": account.too_old,
        "no_brand": account.no_brand,
        "pages_repeated": receiver.repeats,
        "pages": pages,
    }


def _recognised(connection: Connection, truth: Mapping[bytes, StoryTruth]) -> dict[str, float | None]:
    """Return when each of our stories really crossed its line: the simulated story that most of its mentions are of."""
    votes: dict[str, Counter[StoryTruth | None]] = {}
    for row in connection.execute(select(seen.c.key, seen.c.story).where(seen.c.story.is_not(None))):
        votes.setdefault(row.story, Counter())[truth.get(row.key)] += 1
    found: dict[str, float | None] = {}
    for name, counted in votes.items():
        real = counted.most_common(1)[0][0]
        found[name] = real.crossed_at.timestamp() if real is not None and real.crossed_at is not None else None
    return found


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
