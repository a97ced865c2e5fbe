"""What a text looks like to the model: the same in training and in reading.

Social text is full of things that a general vocabulary does not hold. Here handles become `@user` and links `http` (so
that no brand or person tips a reading), hashtags are split into words, emoji become words, drawn-out letters are
shortened, HTML entities and escapes are resolved, and a repost's `RT @someone:` is dropped, so that a repost reads
as what it repeats.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.sentiment.emoji import EMOJI, emoji_words

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS: Final = 2_000
"""Characters that are looked at; the encoder sees fewer anyway."""

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_REPOST = re.compile(r"^\s*(?:rt|mt)\s+@\w+\s*:?\s*", re.IGNORECASE)
_LINK = re.compile(
    r"\b(?:https?://|www\.)\S+|\b(?:t\.co|bit\.ly|youtu\.be|goo\.gl|pic\.twitter\.com)/\S+", re.IGNORECASE
)
_HANDLE = re.compile(r"(?<![\w@])@\w[\w.]*(?:@[\w.-]+)?")
_HANDLES = re.compile(r"@user(?:[\s.,:]+@user)+")
_HASHTAG = re.compile(r"[#\uff03](\w+)")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
_LONG = re.compile(r"\w*?([^\W\d_])\1{2,}\w*")
_RUN = re.compile(r"([^\W\d_])\1{2,}")
_THRICE = re.compile(r"(\w)\1\1")
_MARKS = re.compile(r"([!?.,*_\-=~])\1{3,}")
_SPACE = re.compile(r"[\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_PLAIN: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "–": "-", "—": "-"})  # noqa: RUF001 -- these are what is mapped
_LONGEST: Final = 24


class Cleaner:
    """Prepares texts for one vocabulary.

    Args:
        vocabulary: word to rank, the commonest first (a WordPiece vocabulary stands roughly in this order); it
            decides how a hashtag without capitals is split and how far a drawn-out word is shortened.

    >>> cleaner = Cleaner({"worst": 1, "airline": 2, "ever": 3, "so": 4, "cool": 5})
    >>> cleaner("RT @someone: @Brand soooo coool 😡 &amp; late #WorstAirline #worstairlineever https://x.example/1")
    '@user so cool angry & late Worst Airline worst airline ever http'
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        words = [word for word in vocabulary if word.isalpha() and word.isascii() and word.islower()]
        words.sort(key=vocabulary.__getitem__)
        self._words = frozenset(words)
        self._costs = {
            word: math.log(rank + 50)
            for rank, word in enumerate(words)
            if len(word) > 2 or word in _SHORT  # noqa: PLR2004 -- two letters are mostly no word
        }
        self._split = lru_cache(maxsize=20_000)(self._segment)

    def __call__(self, text: str) -> str:
        """Return `text` as the model sees it, at most `MAX_CHARS` characters; never raises."""
        text = text[:MAX_CHARS]
        if "\\u" in text:
            text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        if "&" in text:
            text = html.unescape(html.unescape(text))
        if not text.isascii():
            text = self._fold(text)
        if text[:3].lower() in {"rt ", "mt "}:
            text = _REPOST.sub("", text)
        if "/" in text or "www" in text:
            text = _LINK.sub(" http ", text)
        if "@" in text:
            text = _HANDLES.sub("@user", _HANDLE.sub("@user", text))
        if "#" in text or "\uff03" in text:
            text = _HASHTAG.sub(self._hashtag, text)
        if _THRICE.search(text):
            text = _LONG.sub(self._shorten, text)
        text = _MARKS.sub(r"\1\1\1", text)
        if "  " in text or not text.isprintable():  # of what is space here, only the plain one is printable
            text = _SPACE.sub(" ", text)
        return text.strip()[:MAX_CHARS]

    @staticmethod
    def _fold(text: str) -> str:
        """Resolve emoji, styled letters and typographic marks; drop lone surrogates."""
        text = text.encode("utf-8", "ignore").decode("utf-8")
        text = EMOJI.sub(emoji_words, text)
        return unicodedata.normalize("NFKC", text).translate(_PLAIN)

    def _hashtag(self, match: re.Match[str]) -> str:
        tag = match[1].replace("_", " ")
        parts = _CAMEL.findall(tag) or [tag]
        return " ".join(self._split(part) for part in parts)

    def _segment(self, word: str) -> str:
        """Split a run of letters into known words by least cost (rank by Zipf's law), or leave it whole."""
        low = word.lower()
        if low in self._words or not low.isascii() or not low.isalpha() or not 5 <= len(low) <= 60:  # noqa: PLR2004 -- shorter is a word, longer is noise
            return word
        best: list[tuple[float, int]] = [(0.0, 0)] + [(math.inf, 0)] * len(low)
        for end in range(1, len(low) + 1):
            for start in range(max(0, end - _LONGEST), end):
                cost = self._costs.get(low[start:end])
                if cost is not None and best[start][0] + cost < best[end][0]:
                    best[end] = (best[start][0] + cost, start)
        if math.isinf(best[-1][0]):
            return word
        cuts, end = [], len(low)
        while end:
            start = best[end][1]
            cuts.append(low[start:end])
            end = start
        return " ".join(reversed(cuts))

    def _shorten(self, match: re.Match[str]) -> str:
        word = match[0]
        twice = _RUN.sub(r"\1\1", word)
        once = _RUN.sub(r"\1", word)
        if twice.lower() in self._words or once.lower() not in self._words:
            return twice
        return once


_SHORT: Final = frozenset(
    str.split("a i am an as at be by do go he hi if in is it me my no of oh ok on or so to up us we")
)
