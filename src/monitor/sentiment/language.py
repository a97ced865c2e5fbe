"""Whether the model can read a text at all, and in which language it is.

What cannot be read is marked, never guessed at: an empty text, one without words, one in letters that the encoder's
vocabulary does not hold, and one that its source says is in another language.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from monitor.sentiment.tokens import MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

Unread = Literal["empty", "no_words", "script", "language"]
"""Why a text is not read: nothing there; only handles, links and marks; foreign letters; a foreign language."""

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_LEAST: Final = 0.5


class Judged(NamedTuple):
    """A text's language, if known, and why it is not read, if it is not."""

    lang: str | None
    unread: Unread | None


class Language(Protocol):
    """Judges which texts the model can read."""

    def judge(self, texts: Sequence[str], hints: Sequence[str | None]) -> list[Judged]:
        """Return one judgement per text.

        Args:
            texts: cleaned texts.
            hints: what their source says of their language (BCP 47), None or "und" where it does not.
        """
        ...


class ByScript:
    """Judges by the letters and by what the source says; detects nothing.

    Args:
        reads: the languages that the model reads, as two-letter codes.

    >>> ByScript().judge(["so late again", "опять опоздали", "@user http", ""], [None] * 4)[1:]
    [Judged(lang=None, unread='script'), Judged(lang=None, unread='no_words'), Judged(lang=None, unread='empty')]
    """

    def __init__(self, reads: Sequence[str] = ("en",)) -> None:
        self._reads = frozenset(reads)

    def judge(self, texts: Sequence[str], hints: Sequence[str | None]) -> list[Judged]:
        """Return one judgement per text."""
        return [self._one(text, hint) for text, hint in zip(texts, hints, strict=True)]

    def _one(self, text: str, hint: str | None) -> Judged:
        lang = primary(hint)
        blocked = unreadable(text)
        if blocked is None and lang is not None and lang not in self._reads:
            blocked = "language"
        return Judged(lang, blocked)


def primary(tag: str | None) -> str | None:
    """Return the language of a BCP 47 tag, None where it says nothing.

    >>> primary("en-GB"), primary("und"), primary(None)
    ('en', None, None)
    """
    if not tag:
        return None
    code = tag.replace("_", "-").split("-")[0].lower()
    return None if code in {"und", "zxx", "mul", ""} else code


def unreadable(text: str) -> Unread | None:
    """Return why nobody who knows only Latin letters can read a cleaned text, None if they can.

    >>> unreadable("12:30 http"), unreadable("ok?"), unreadable("الرحلة late")
    ('no_words', None, 'script')
    """
    if not text:
        return "empty"
    if text.isascii():
        latin = letters = sum(map(len, _LATIN.findall(_without_marks(text))))
    else:
        rest = _without_marks(text)
        letters = len(_LETTER.findall(rest))
        latin = len(_LATIN.findall(rest))
    if not letters:
        return "no_words"
    return None if latin >= _LEAST * letters else "script"


def _without_marks(text: str) -> str:
    for mark in MARKS:
        text = text.replace(mark, " ")
    return text
