"""Whether the model can read a text at all, and in which language it is.

What cannot be read is marked, never guessed at: an empty text, one without words, one in letters that the encoder's
vocabulary does not hold, one that is surely in another language. CLD2 (Sites 2013) detects: 14 microseconds a text. It
says itself where it is not sure; such a text, mostly a short one, counts as the brand's language unless its source
says otherwise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import pycld2

from monitor.sentiment.clean import MAX_CHARS
from monitor.sentiment.tokens import MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

Unread = Literal["empty", "no_words", "script", "language"]
"""Why a text is not read: nothing there; only handles, links and marks; foreign letters; a foreign language."""

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_LEAST: Final = 0.5
_ASIDE: Final = re.compile(r"https?://\S+|[@#]\w+|&\w+;|[^\w\s'.,!?]|_")
_SURE: Final = 80
"""Percent of the text that CLD2 must hold to be of the foreign language."""


class Judged(NamedTuple):
    """A text's language, if known, and why it is not read, if it is not."""

    lang: str | None
    unread: Unread | None


class Language:
    """Judges which texts the model can read.

    Args:
        reads: the languages that the model reads, as two-letter codes.
        home: the brand's language: what a text counts as when nothing says otherwise.

    >>> judge = Language().judge
    >>> judge("our flight is late again", "en"), judge("el vuelo salió tarde y nadie nos ayuda", None)
    (Judged(lang='en', unread=None), Judged(lang='es', unread='language'))
    >>> judge("ok merci", None), judge("ok merci", "fr")
    (Judged(lang='en', unread=None), Judged(lang='fr', unread='language'))
    """

    def __init__(self, reads: Sequence[str] = ("en",), home: str = "en") -> None:
        self._reads = frozenset(reads)
        self._home = home

    def judge(self, text: str, hint: str | None, cleaned: str | None = None) -> Judged:
        """Return a text's language and why it is not read, if it is not.

        Args:
            text: as it came.
            hint: what its source says of its language (BCP 47); None or "und" where it says nothing.
            cleaned: the text as the model sees it, if at hand.
        """
        said = primary(hint)
        blocked = unreadable(text if cleaned is None else cleaned)
        if blocked is not None:
            return Judged(said, blocked)
        lang = detect(text) or said or self._home
        return Judged(lang, None if lang in self._reads else "language")


def detect(text: str) -> str | None:
    """Return the language that a text is surely in, None where that is not sure.

    >>> detect("Der Flug war wieder zu spät und niemand hilft"), detect("late!!")
    ('de', None)
    """
    plain = _ASIDE.sub(" ", text[:MAX_CHARS].encode("utf-8", "ignore").decode())
    try:
        sure, _, found = pycld2.detect(" ".join(plain.split()), bestEffort=False)
    except pycld2.error:  # characters that CLD2 does not take
        return None
    _, code, percent, _ = found[0]
    return str(code).split("-")[0] if sure and code != "un" and percent >= _SURE else None


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
    rest = _without_marks(text)
    if text.isascii():
        return None if _LATIN.search(rest) else "no_words"
    letters = len(_LETTER.findall(rest))
    if not letters:
        return "no_words"
    return None if len(_LATIN.findall(rest)) >= _LEAST * letters else "script"


def _without_marks(text: str) -> str:
    for mark in MARKS:
        text = text.replace(mark, " ")
    return text
