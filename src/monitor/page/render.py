"""A page as plain text: a headline of one line, and a page that fits a terminal (80 columns, under 25 lines).

Facts are printable already; here they are only cut and wrapped, by the columns that a terminal gives each character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import category, east_asian_width

from monitor.escalation.wording import count
from monitor.mention.text import safe, shorten

if TYPE_CHECKING:
    from monitor.page.types import Page

WIDTH = 80
MAX_LINES = 24
MAX_HEADLINE = 120
_LABEL = 10
_BACKLOG_ROWS = 8
_WORDS = {"info": "INFO", "notify": "NOTICE", "page": "PAGE", "crisis": "CRISIS"}
_OVER = {"resolved": "RESOLVED", "dismissed": "DISMISSED", "merged": "MERGED"}


def headline(page: Page) -> str:
    """Return the page in one line of at most 120 characters: how bad, whose, what."""
    facts = page.facts
    if page.purpose == "backlog":
        number = len(facts["incidents"])
        what = (
            f"{number} incident{'s' if number != 1 else ''} while nothing could be sent, since {clock(facts['since'])}"
        )
        return safe(f"{_WORDS[page.severity]} {what}", MAX_HEADLINE)
    about = facts.get("about", "")
    word = _OVER.get(about, _WORDS[page.severity])
    if about == "reopened":
        word += " AGAIN"
    mark = " (may be a repeat)" if page.may_be_repeat else ""
    return safe(f"{word} {facts['brand']}: {facts['headline']}", MAX_HEADLINE - len(mark)) + mark


def render(page: Page, *, width: int = WIDTH) -> str:
    """Return the page as plain text, at most 24 lines of `width` columns, without a newline at the end."""
    facts = page.facts
    lines = _wrap(headline(page), width, 2)
    if page.purpose == "backlog":
        lines += _backlog(facts, width)
    elif facts.get("about") in _OVER:
        lines += _over(facts, width)
    else:
        lines += _story(facts, width)
    return "\n".join(lines[:MAX_LINES])


def clock(moment: str) -> str:
    """Return an ISO time as a person reads it.

    >>> clock("2030-03-17T17:46:40Z")
    '2030-03-17 17:46 UTC'
    """
    return f"{moment[:10]} {moment[11:16]} UTC"


def columns(text: str) -> int:
    """Return how many columns a terminal gives a text: two for a wide character, none for a mark.

    >>> columns("naïve"), columns("東京")
    (5, 4)
    """
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(char) in {"W", "F"} else 1


def _story(facts: dict[str, Any], width: int) -> list[str]:
    """Return the body of a page about a story or a wave that is going on."""
    lines = _field("Why now", facts["reason"], width, 4)
    if (forecast := facts.get("forecast")) is not None:
        lines += _field("Forecast", _forecast(forecast), width, 2)
    if facts.get("how_sure"):
        lines += _field("How sure", facts["how_sure"], width, 2)
    if facts.get("cause"):
        lines += _field("Cause", facts["cause"].replace("_", " "), width, 1)
    for quote in facts.get("quotes", ()):
        followers = "" if quote["followers"] is None else f" ({quote['followers']:,} followers)"
        text = f"{quote['author']}{followers}, {quote['published_at'][11:16]}: {quote['text']}"
        lines += _field(quote["role"].capitalize(), text, width, 2)
    lines += _field("Seen", _seen(facts), width, 2)
    answers = facts.get("own_replies") or 0
    owner = facts.get("owner") or "nobody yet"
    said = f"; the brand has answered {_times(answers)}" if answers else "; nobody has answered the customers"
    due = f"; answer due {clock(facts['deadline'])}" if facts.get("deadline") else ""
    lines += _field("Owner", f"{owner}{said}{due}", width, 1)
    return lines + _incident(facts, width)


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def _over(facts: dict[str, Any], width: int) -> list[str]:
    """Return the body of a notice that an incident is over."""
    incident = facts["incident"]
    lines = _field("Why", facts["reason"], width, 4)
    if incident.get("merged_into"):
        lines += _field("Goes on", f"as incident {incident['merged_into']}", width, 1)
    lines += _field("Owner", facts.get("owner") or "nobody", width, 1)
    return lines + _incident(facts, width)


def _backlog(facts: dict[str, Any], width: int) -> list[str]:
    """Return the body of the one page that stands for many."""
    lines = _field("Since", f"{clock(facts['since'])}; decided {clock(facts['until'])}", width, 1)
    rows = facts["incidents"]
    for row in rows[:_BACKLOG_ROWS]:
        lines += _field(_WORDS[row["severity"]], f"{row['brand']}: {row['headline']} ({row['reason']})", width, 2)
    if len(rows) > _BACKLOG_ROWS:
        lines += _field("", f"and {len(rows) - _BACKLOG_ROWS} more", width, 1)
    return lines


def _incident(facts: dict[str, Any], width: int) -> list[str]:
    """Return the line to find the incident by."""
    row = facts["incident"]
    rules = f" of {row['rules']}" if row["rules"] else ""
    text = f"{row['id']}, {row['state']}, opened {clock(row['opened_at'])} by {row['rule']}{rules}"
    return _field("Incident", text, width, 2)


def _forecast(forecast: dict[str, Any]) -> str:
    """Return the forecast with its interval."""
    if forecast["q50"] is None:
        return "none yet"
    text = f"ends near {count(forecast['q50'])} people"
    if forecast["q10"] is not None and forecast["q90"] is not None:
        text += f" (80 %: {count(forecast['q10'])} to {count(forecast['q90'])})"
    if forecast["line"] is not None:
        text += f"; viral line {count(forecast['line'])}"
        if forecast["crossed"]:
            text += ", passed"
        elif forecast["viral_at"] is not None:
            text += f", near {clock(forecast['viral_at'])}"
    return text


def _seen(facts: dict[str, Any]) -> str:
    """Return when and where it was seen."""
    parts = []
    if facts.get("first_at"):
        parts.append(f"{clock(facts['first_at'])} to {clock(facts['last_at'])}")
    forecast = facts.get("forecast") or {}
    if forecast.get("reach"):
        parts.append(f"reach {count(forecast['reach'])}")
    parts += [f"{name} {number:,}" for name, number in facts.get("sources", ())]
    return ", ".join(parts) or "no details"


def _field(label: str, text: str, width: int, lines: int) -> list[str]:
    """Return a labelled field of at most `lines` lines."""
    first, *rest = _wrap(text, width - _LABEL, lines)
    return [f"{label:<{_LABEL}}{first}".rstrip(), *(" " * _LABEL + line for line in rest)]


def _wrap(text: str, width: int, lines: int) -> list[str]:
    """Break a text into at most `lines` lines of `width` columns; what does not fit ends in an ellipsis."""
    room = width * lines
    text = shorten(text, room) if text.strip() else "-"
    rows: list[str] = []
    row = ""
    for word in text.split(" "):
        for piece in _pieces(word, width):
            joined = f"{row} {piece}" if row else piece
            if columns(joined) <= width:
                row = joined
            else:
                rows.append(row)
                row = piece
    rows.append(row)
    if len(rows) <= lines:
        return rows
    last = rows[lines - 1]
    while columns(last) > width - 1:
        last = last[:-1]
    return [*rows[: lines - 1], last.removesuffix("…") + "…"]


def _pieces(word: str, width: int) -> list[str]:
    """Cut a word that is wider than a line."""
    if columns(word) <= width:
        return [word]
    pieces, piece, used = [], "", 0
    for char in word:
        if used + _columns(char) > width:
            pieces.append(piece)
            piece, used = "", 0
        piece += char
        used += _columns(char)
    return [*pieces, piece]
