"""What of a text counts for grouping: its words, links and hashtags."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from itertools import filterfalse
from sys import intern
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

READ_CHARS = 400
"""Only so much of a text is looked at, so that a kept exemplar says as much as the mention did."""
WORD_CHARS = 40

_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"']+", re.IGNORECASE)
_REPOST = re.compile(r"^\s*(?:RT|MT|via)\s+@[\w.\-]+\s*:?\s*", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)@\w[\w.\-]*(?:@[\w.\-]+)?")
_TAG = re.compile(r"(?<!\w)[#\uff03](\w{2,})")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_GAPS = bytes(code if chr(code).isascii() and chr(code).isalnum() else ord(" ") for code in range(256))
"""What is no part of a word, in ASCII, becomes a space."""
_WIDE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_TRACKING = re.compile(r"[?&](?:utm_\w+|fbclid|gclid|ref|ref_src|s|t|igshid)=[^&]*", re.IGNORECASE)

STOP = frozenset(
    """a about after again all also am an and any are as at back be because been before being but by can
    cant could did didnt do does doesnt doing dont down even for from get gets getting go going got
    had has have having he her here hers him his how i id if ill im in into is isnt it its ive just
    know let like made make me more most much my need no nor not now of off ok okay on one only or
    other our out over own please really said same say see she should so some still such than thank
    thanks that thats the their them then there theres these they theyre this those through to too
    under until up us use very via want was wasnt way we well were weve what when where which while
    who whom why will with without wont would yes yet you your youre yours u ur r lol omg pls plz hi
    hello hey der die das den dem ein eine einen und oder nicht ist sind war ich du er sie es wir
    ihr mit auf von zu bei le la les un une des et ou est sont pas je tu il elle nous vous ils avec
    sur pour dans que qui ce de en au aux el los las y o son se lo con por para una uno del al mi su
    te nos gli e di da che non per sono ho ha ti si ci os um uma em na com eu voce het een van ik
    niet dat op""".split()  # noqa: SIM905 -- a word list is read as text
)


class Text(Struct, frozen=True):
    """A text taken apart. `words` in order with repeats; `content` without stop words and repeats, in order."""

    words: tuple[str, ...]
    content: tuple[str, ...]
    links: tuple[str, ...]
    tags: tuple[str, ...]
    repost: bool
    fingerprint: int


def link_name(url: str) -> str | None:
    """Return a link's name for comparing, or None for one that proves nothing (cut short, or a bare home page).

    >>> link_name("https://www.News.example/airline-breaks-guitar/?utm_source=x#top")
    'news.example/airline-breaks-guitar'
    >>> link_name("https://news.example/") is None
    True
    """
    if url.endswith(("\u2026", "...")):
        return None
    bare = re.sub(r"^https?://", "", url, flags=re.IGNORECASE).split("#", 1)[0]
    bare = _TRACKING.sub("", bare).rstrip(".,;:!?)]}'\"/")
    host, _, path = bare.partition("/")
    host = host.lower().removeprefix("www.").removeprefix("m.")
    return f"{host}/{path}"[:160] if len(path) >= 4 else None  # noqa: PLR2004 -- /en, /us: a home page


def _split(bare: str) -> list[str]:
    """Return the words of a text without links, without their apostrophes."""
    if bare.isascii() and "'" not in bare:  # a quarter of the time that the expression takes
        return bare.encode().translate(_GAPS).decode().split()
    words: list[str] = _WORD.findall(bare)
    if "'" in bare or "\u2019" in bare:
        words = [w.replace("\u2019", "'").replace("'", "") for w in words]
    if not bare.isascii() and _WIDE.search(bare):
        words = [p for w in words for p in (_split_wide(w) if _WIDE.match(w) else [w])]
    return words


def _split_wide(word: str) -> list[str]:
    """Take a run of a script without spaces apart into pairs of characters."""
    return [word[i : i + 2] for i in range(max(1, len(word) - 1))]


@lru_cache(maxsize=1024)  # what spreads is repeated word for word
def take_apart(text: str) -> Text:
    """Read `text` (its first `READ_CHARS` characters) for grouping.

    >>> t = take_apart("RT @ann: The hotel lost my booking twice! #lostbooking https://x.example/story/77")
    >>> t.content, t.tags, t.links, t.repost
    (('hotel', 'lost', 'booking', 'twice', 'lostbooking'), ('lostbooking',), ('x.example/story/77',), True)
    >>> take_apart("thanks!").content
    ()
    """
    text = text[:READ_CHARS]
    passed_on = _REPOST.match(text) if "@" in text else None
    bare = text[passed_on.end() :] if passed_on else text
    links: tuple[str, ...] = ()
    if "://" in bare or "www." in bare:
        links = tuple(dict.fromkeys(n for u in _LINK.findall(bare) if (n := link_name(u))))
        bare = _LINK.sub(" ", bare)
    if "@" in bare:
        bare = _HANDLE.sub(" ", bare)
    bare = bare.lower()
    tags = tuple(dict.fromkeys(t[:WORD_CHARS] for t in _TAG.findall(bare))) if "#" in bare or "\uff03" in bare else ()
    words = _split(bare)
    lengths = [*map(len, words)]
    if words and max(lengths) > WORD_CHARS:
        words = [w[:WORD_CHARS] for w in words]
    telling: Iterable[str] = filterfalse(STOP.__contains__, words)
    if 1 in lengths:
        telling = [w for w in telling if len(w) > 1 or w.isdigit()]
    content = tuple(dict.fromkeys(map(intern, telling)))  # the same words stand in many stories
    digest = blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).digest()
    return Text(tuple(words), content, links, tags, passed_on is not None, int.from_bytes(digest, "big") >> 1)


def without_repost_mark(text: str) -> str:
    """Return what was said, without who passed it on.

    >>> without_repost_mark("RT @ann: The hotel lost my booking")
    'The hotel lost my booking'
    """
    return _REPOST.sub("", text)


def shorten(text: str, limit: int) -> str:
    """Return `text` on one line and at most `limit` characters, cut at a word.

    >>> shorten("They lost   my bag again", 18)
    'They lost my bag\u2026'
    """
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return text if flat == text else flat  # the same text is kept but once
    cut = flat[: limit - 1]
    head, _, tail = cut.rpartition(" ")
    return (head if head and len(tail) < limit // 3 else cut).rstrip(" ,;:-") + "\u2026"


def short_name(key: str) -> str:
    """Return `key`, or a digest of one that is long.

    >>> short_name("twitter:77"), len(short_name("x" * 500))
    ('twitter:77', 24)
    """
    return key if len(key) <= 48 else blake2b(key.encode("utf-8", "replace"), digest_size=12).hexdigest()  # noqa: PLR2004
