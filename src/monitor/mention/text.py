r"""A mention's text, made comparable (`normalise`, `fold`) or fit to be shown (`printable`, `shorten`, `safe`).

Everything here takes any `str`, lone surrogates and control characters included, never raises, and takes time linear
in its length: a flood of combining marks, which Python's NFKC would sort in quadratic time, is thinned out first.
Normal forms are those of Unicode Standard Annex 15.
"""

from __future__ import annotations

import html
import re
from string import ascii_lowercase
from typing import Final
from unicodedata import category, combining, is_normalized, normalize

_MARKS_KEPT: Final = 4
_FLOODS: Final = re.compile(f"M{{{_MARKS_KEPT + 1},}}")
_APOSTROPHES: Final = dict.fromkeys(map(ord, "'\u2018\u2019\u02bc\uff07`\u00b4"))
_QUOTES: Final = {0x2018: "'", 0x2019: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"', 0x2010: "-", 0x2011: "-"}
_ODD: Final = re.compile(r"[^\w\x00-\x7f]")  # neither ASCII nor a letter or digit: marks, symbols, the invisible
_ODD_RUN: Final = re.compile(rf"[^\w\x00-\x7f]{{{_MARKS_KEPT + 1}}}")
_LINKS: Final = re.compile(r"https?://\S+")
_BARE_LINKS: Final = re.compile(r"\b(?:www\.|t\.co/)\S+")
_HANDLES: Final = re.compile(r"@(?<!\w@)\w+(?:[.-]\w+)*(?:@\w+(?:[.-]\w+)*)?")
_REPEATS: Final = (" rt @", " rt: @", " mt @", " via @", " (via @")
_TRIPLES: Final = tuple(3 * letter for letter in ascii_lowercase)
_ELONGATED: Final = re.compile(r"([^\W\d_])\1{2,}")
_ANSI: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # control sequences (ECMA-48 CSI): colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,512}(?:\x07|\x1b\\|\x9c)"  # strings: titles, links
)
_JOINER_FLOOD: Final = re.compile("[\u200c\u200d]{2,}")
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_JOINERS: Final = frozenset("\u200c\u200d")
_SKIN: Final = range(0x1F3FB, 0x1F400)
_FLAG: Final = range(0x1F1E6, 0x1F200)
_NONCHARACTERS: Final = range(0xFDD0, 0xFDF0)
_LAST_TWO: Final = 0xFFFE
_HIDDEN: Final = 0xE0000
_LONGEST_CLUSTER: Final = 32
_TABLE_SIZE: Final = 1 << 14


class _Table(dict[int, str | None]):
    """A table for `str.translate` that looks each character up once, and stays small."""

    def __missing__(self, code: int) -> str | None:
        value = self.look_up(chr(code))
        if len(self) < _TABLE_SIZE:
            self[code] = value
        return value

    def look_up(self, char: str) -> str | None:
        raise NotImplementedError


class _Marks(_Table):
    """M for what stacks upon the character before it, x for all else."""

    def look_up(self, char: str) -> str:
        return "M" if combining(char) or category(char) in ("Mn", "Me") else "x"


class _Visible(_Table):
    """The invisible and the halves of surrogate pairs out; typographic quotes and hyphens to plain ones."""

    def look_up(self, char: str) -> str | None:
        return None if category(char) in ("Cf", "Cs") else _QUOTES.get(ord(char), char)


class _Words(_Table):
    """Letters, digits and their marks stay; all else parts words."""

    def look_up(self, char: str) -> str:
        return char if category(char)[0] in "LNM" else " "


class _Shown(_Table):
    """What a terminal may get: nothing that moves, colours, reorders or hides."""

    def look_up(self, char: str) -> str | None:
        if char.isspace() or char in _FILLERS:
            return " "
        kind = category(char)
        if kind in ("Cc", "Cf"):
            return char if char in _JOINERS else None
        code = ord(char)
        unfit = kind in ("Cs", "Co") or code in _NONCHARACTERS or code & _LAST_TWO == _LAST_TWO or code >= _HIDDEN
        return "\ufffd" if unfit and kind != "Mn" else char


_marks, _visible, _words, _shown = _Marks(), _Visible(), _Words(), _Shown()


def fold(text: str) -> str:
    r"""Fold away what does not tell words apart: case, width, styled letters, invisible characters, curly quotes.

    >>> fold("\uff2deridian\u200b \U0001d5d4\U0001d5f6\U0001d5ff\u2019s Straße")
    "meridian air's strasse"
    """
    if text.isascii():
        return text.lower()
    if _ODD.search(text):
        text = text.translate(_visible)
    text = normalize("NFKC", _thin_marks(text)).casefold()
    return _thin_marks(text if is_normalized("NFKC", text) else normalize("NFKC", text))


def normalise(text: str) -> str:
    """Bring texts that say the same to the same words, to find duplicates.

    Folded (see `fold`); without links, handles, the prefixes of a repost, punctuation and symbols; with a letter that
    is drawn out cut to two. Empty when there is not a single word, and then it says nothing about being alike.

    >>> normalise("RT @traveller: Sooooo   LATE again, @MeridianAir!! https://example.org/x")
    'soo late again'
    >>> normalise("soooo late again… 😡😡")
    'soo late again'
    """
    if "&" in text:
        text = html.unescape(text)
    text = " ".join(fold(text.translate(_APOSTROPHES)).split())
    if "@" in text:
        text = " " + text
        for repeat in _REPEATS:
            text = text.replace(repeat, " @")
        text = _HANDLES.sub(" ", text)
    if "://" in text:
        text = _LINKS.sub(" ", text)
    if "www." in text or "t.co/" in text:
        text = _BARE_LINKS.sub(" ", text)
    text = text.translate(_words)
    if not text.isascii() or any(triple in text for triple in _TRIPLES):
        text = _ELONGATED.sub(r"\1\1", text)
    return " ".join(text.split())


def printable(text: str) -> str:
    r"""Make text harmless on a terminal or in a log: one line, nothing that moves, colours, reorders or hides.

    Out: control characters and whole ANSI sequences, marks that turn the reading direction, invisible characters
    (single joiners stay, for Persian, Hindi and emoji need them), more than four marks on one letter. What cannot be
    shown becomes U+FFFD; white space becomes one blank.

    >>> printable("\x1b[2J\x1b[31mred\x1b[0m\nnext \u202eesrever")
    'red next esrever'
    """
    if not (text.isascii() and text.isprintable()):
        if "\x1b" in text or not text.isascii():
            text = _ANSI.sub("", text)
        text = _JOINER_FLOOD.sub("", _thin_marks(text.translate(_shown)))
    return " ".join(text.split())


def shorten(text: str, n: int) -> str:
    """Shorten to at most `n` characters (1 or more), the ellipsis included; between words where one is near the end.

    Never cuts a letter from its marks, nor an emoji or a flag in two. White space becomes one blank.

    >>> shorten("They lost my bag and nobody answers", 20)
    'They lost my bag…'
    """
    if n < 1:
        raise ValueError(f"n is {n}; a text is shortened to 1 character or more")
    text = " ".join(text.split())
    if len(text) <= n:
        return text
    end = n - 1
    blank = text.rfind(" ", 0, end + 1)
    end = blank if blank >= end * 0.6 else _cluster_start(text, end)
    return text[:end].rstrip() + "…"


def safe(text: str, n: int) -> str:
    """Make text printable and at most `n` characters long."""
    return shorten(printable(text), n)


def _thin_marks(text: str) -> str:
    """Leave at most four combining marks in a row."""
    if not _ODD_RUN.search(text):
        return text
    marks = text.translate(_marks)
    pieces, start = [], 0
    for flood in _FLOODS.finditer(marks):
        pieces.append(text[start : flood.start() + _MARKS_KEPT])
        start = flood.end()
    return "".join(pieces) + text[start:]


def _cluster_start(text: str, end: int) -> int:
    """The nearest place at or before `end` where text can be cut (a short form of Unicode Standard Annex 29)."""
    for cut in range(end, max(0, end - _LONGEST_CLUSTER), -1):
        after, before = text[cut], text[cut - 1]
        if _marks[ord(after)] == "M" or after in _JOINERS or before in _JOINERS or ord(after) in _SKIN:
            continue
        flags = 0
        while flags < min(cut, _LONGEST_CLUSTER) and ord(text[cut - 1 - flags]) in _FLAG:
            flags += 1
        if flags % 2 and ord(after) in _FLAG:
            continue
        return cut
    return end
