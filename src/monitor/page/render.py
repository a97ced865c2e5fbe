"""A page as plain text: a headline of one line, and a page that fits a terminal (80 columns, under 25 lines).

Facts are printable already; here they are only cut and wrapped, by the columns that a terminal gives each character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

from monitor.mention.text import shorten
from monitor.page.compose import MANY, MAX_HEADLINE, OVER, Part, compose, headline
from monitor.page.readers import Reader
from monitor.page.words import clock, say

if TYPE_CHECKING:
    from monitor.page.types import Page

__all__ = ["MAX_HEADLINE", "MAX_LINES", "WIDTH", "clock", "columns", "headline", "render"]

WIDTH = 80
MAX_LINES = 24
_LABEL = 10
_PLAIN_READER = Reader()


def render(page: Page, *, width: int = WIDTH, reader: Reader = _PLAIN_READER) -> str:
    """Return the page as plain text, at most 24 lines of `width` columns, without a newline at the end."""
    content = compose(page, reader)
    head = _wrap(content.headline, width, 2)
    parts = [(part, _field(part, width)) for part in (*content.parts, *_act(page, reader))]
    while sum(len(lines) for _, lines in parts) > MAX_LINES - len(head):
        parts.remove(min(parts, key=lambda one: one[0].weight))
    return "\n".join([*head, *(line for _, lines in parts for line in lines)])


def _act(page: Page, reader: Reader) -> tuple[Part, ...]:
    """Return what a terminal has for links: the commands."""
    if page.purpose in MANY or page.purpose == "test" or page.facts.get("about") in OVER:
        return ()
    return (Part("act", say(reader, "act"), f"monitor incident ack|assign|dismiss {page.incident}", 3, 1),)


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


def _field(part: Part, width: int) -> list[str]:
    """Return a labelled part as its lines."""
    first, *rest = _wrap(part.text, width - _LABEL, part.lines)
    return [f"{part.label:<{_LABEL}}{first}".rstrip(), *(" " * _LABEL + line for line in rest)]


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
