"""Test pages: through the real way, to see that it leads to the person. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from monitor.page.types import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def trial_pages(pairs: Iterable[tuple[str, str]], *, name: str, by: str, now: float) -> tuple[Page, ...]:
    """Return a test page for each (recipient, channel).

    Args:
        pairs: whom it goes to, over what.
        name: which test this is: one of the same name to the same pair is the same page.
        by: who asked for it.
        now: real time.
    """
    return tuple(
        Page(
            key=":".join(quote(part, safe="") for part in ("test", name, recipient, channel)),
            incident=f"test-{sha256(name.encode()).hexdigest()[:16]}",
            umbrella="",
            brand="",
            severity="info",
            purpose="test",
            recipient=recipient,
            channel=channel,
            sequence=0,
            decided_at=now,
            created_at=now,
            facts={"version": 1, "about": "test", "by": by},
        )
        for recipient, channel in dict.fromkeys(pairs)
    )


def week_of(now: float, day: str, hour: int) -> str | None:
    """Return the week's name if its test is due by now, on this day from this hour on (UTC); else None.

    >>> week_of(1_900_000_000.0, "sunday", 17), week_of(1_900_000_000.0, "sunday", 18)
    ('2030-W11', None)
    """
    moment = datetime.fromtimestamp(now, UTC)
    if DAYS[moment.weekday()] != day or moment.hour < hour:
        return None
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02}"
