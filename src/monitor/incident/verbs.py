"""What a person can do to an incident, as events: one place for the command line, the API and a page's links. Pure."""

from __future__ import annotations

import math
import re
from typing import Literal, assert_never, get_args

from msgspec import Struct

from monitor.incident.events import (
    Acknowledged,
    Answered,
    Assigned,
    Dismissed,
    Event,
    Linked,
    Resolved,
    Silenced,
    Unlinked,
)
from monitor.incident.types import IllegalChange

Verb = Literal["ack", "assign", "answer", "resolve", "dismiss", "silence", "link", "unlink"]
VERBS: tuple[Verb, ...] = get_args(Verb)

MAX_WHY = 2_000
"""Characters of a reason."""

MAX_SILENCE_S = 7 * 86_400.0
"""The longest silence: an incident that nobody wants to hear of for longer is resolved or dismissed."""

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_LASTS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d)")
_URL = re.compile(r"https?://[\x21-\x7e]{1,1000}", re.IGNORECASE)
_MAX_NAME = 100
_ID = re.compile(r"[\x21-\x7e]{1,32}")


class Wish(Struct, frozen=True, kw_only=True):
    """What a person wants done.

    `owner` is for `assign`, `url` for `answer`, `for_s` (seconds) for `silence`, `parent` (an incident) for `link`.
    """

    verb: Verb
    by: str
    why: str = ""
    owner: str | None = None
    url: str | None = None
    for_s: float | None = None
    parent: str | None = None


def event_of(wish: Wish, at: float) -> Event:  # noqa: C901, PLR0911, PLR0912 -- one way out per verb
    """Return the event that a wish means at `at`.

    Raises:
        IllegalChange: something that the verb needs is missing or makes no sense; the text says what.

    >>> event_of(Wish(verb="ack", by="ana"), 5.0)
    Acknowledged(at=5.0, by='ana', why='')
    """
    by, why = _name(wish.by, "say who you are"), wish.why.strip()
    if len(why) > MAX_WHY:
        raise IllegalChange(f"the reason has {len(why)} characters; {MAX_WHY} are enough")
    match wish.verb:
        case "ack":
            return Acknowledged(at=at, by=by, why=why)
        case "assign":
            return Assigned(at=at, by=by, why=why, owner=_name(wish.owner or "", "say whose it is to be"))
        case "answer":
            if wish.url is not None and not _URL.fullmatch(wish.url):
                raise IllegalChange("the answer's address is no web address: write it as https://host/path")
            return Answered(at=at, by=by, why=why, url=wish.url)
        case "resolve":
            return Resolved(at=at, by=by, why=why)
        case "dismiss":
            if not why:
                raise IllegalChange("dismissed: say why it was a false alarm")
            return Dismissed(at=at, by=by, why=why)
        case "silence":
            return _silence(wish, by, why, at)
        case "link":
            parent = (wish.parent or "").strip()
            if not _ID.fullmatch(parent):
                raise IllegalChange("linked: say which incident it is a part of, by its id")
            return Linked(at=at, by=by, why=why, parent=parent)
        case "unlink":
            return Unlinked(at=at, by=by, why=why)
        case _:
            assert_never(wish.verb)


def seconds(text: str) -> float:
    """Read a duration.

    >>> [seconds(text) for text in ("90s", "30m", "2h", "1d")]
    [90.0, 1800.0, 7200.0, 86400.0]

    Raises:
        ValueError: it is none.
    """
    found = _LASTS.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no duration: write 90s, 30m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def _silence(wish: Wish, by: str, why: str, at: float) -> Silenced:
    for_s = wish.for_s
    if for_s is None or not math.isfinite(for_s) or not 0 <= for_s <= MAX_SILENCE_S:
        raise IllegalChange(f"silenced: say for how long, at most {MAX_SILENCE_S / 86_400:.0f} days; 0 lifts it")
    if not why:
        raise IllegalChange("silenced: say why")
    return Silenced(at=at, by=by, why=why, until=at + for_s)


def _name(name: str, mend: str) -> str:
    name = name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise IllegalChange(f"{mend}: a name of 1 to {_MAX_NAME} printable characters")
    return name
