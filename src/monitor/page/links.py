"""The links on a page: signed, good for a while, once, and only for what they say.

A link is a capability: who holds it can do that one thing as that one person. Opening it (which mail scanners and chat
previews do) changes nothing; its page has a button, and what the button posts acts. Signature: HMAC-SHA256 (RFC 2104),
cut to 128 bits. Links are made from the page alone, so that every try of a page carries the same.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
from msgspec import Struct

from monitor.page.compose import MANY, OVER, Link
from monitor.page.words import say

if TYPE_CHECKING:
    from monitor.page.readers import Reader
    from monitor.page.types import Page

LinkVerb = Literal["ack", "own", "dismiss"]
VERBS: tuple[LinkVerb, ...] = get_args(LinkVerb)
PATH = "/link/"
CHART = "/chart/"
_CHART_VERB = "chart"
_TAG = 16
_MAX_TOKEN = 1_000


class BadLinkError(Exception):
    """The link cannot be used; the text says why, for the person who holds it."""


class Grant(Struct, frozen=True, array_like=True):
    """What a link allows: `verb` on this cycle of the incident, as `recipient`, until `expires`; `page` is whose."""

    verb: str
    incident: str
    cycle: int
    recipient: str
    expires: int
    page: bytes

    @property
    def name(self) -> str:
        """What the link is called where used links are kept."""
        return sha256(msgspec.msgpack.encode(self)).hexdigest()[:40]


class Linker:
    """Makes and reads links.

    Args:
        base: where `monitor serve` is reached from outside, as https://host.
        secret: signs; a changed secret makes all links that are out worthless.
        lasting_s: how long a link is good, from the page's making.
    """

    def __init__(self, base: str, secret: str, *, lasting_s: float = 86_400.0) -> None:
        self._base = base.rstrip("/")
        self._key = hmac.digest(secret.encode(), b"mention-monitor links", "sha256")
        self._lasting_s = lasting_s

    def links(self, page: Page, reader: Reader) -> tuple[Link, ...]:
        """Return the links of a page: none where there is nothing to act on."""
        if page.purpose in MANY or page.purpose == "test" or page.facts.get("about") in OVER:
            return ()
        return tuple(
            Link(verb, say(reader, verb), f"{self._base}{PATH}{self._sign(self._grant(page, verb))}") for verb in VERBS
        )

    def chart(self, page: Page) -> str | None:
        """Return where the page's chart is shown as a picture; None if there is nothing to show."""
        if page.facts.get("forecast") is None or page.facts.get("about") in OVER:
            return None
        return f"{self._base}{CHART}{self._sign(self._grant(page, _CHART_VERB))}.png"

    def read(self, token: str, now: float, *, chart: bool = False) -> Grant:
        """Return what a link allows.

        Raises:
            BadLinkError: it is not ours, not whole, or too old.
        """
        payload, _, tag = token.partition(".")
        try:
            raw, given = _plain(payload), _plain(tag)
        except ValueError:
            raise BadLinkError("This link is not whole: copy all of it.") from None
        if not hmac.compare_digest(self._tag(raw), given):
            raise BadLinkError("This link is not whole: copy all of it.")
        try:
            grant = msgspec.msgpack.decode(raw, type=Grant)
        except msgspec.DecodeError:
            raise BadLinkError("This link is from another version: use a newer page's.") from None
        if (grant.verb == _CHART_VERB) is not chart:
            raise BadLinkError("This link is for something else.")
        if now >= grant.expires:
            raise BadLinkError("This link is too old: use a newer page's, or the command line.")
        return grant

    def _grant(self, page: Page, verb: str) -> Grant:
        cycle = int((page.facts.get("incident") or {}).get("cycle", 1))
        expires = int(page.created_at + self._lasting_s)
        return Grant(verb, page.incident, cycle, page.recipient, expires, sha256(page.key.encode()).digest()[:6])

    def _sign(self, grant: Grant) -> str:
        raw = msgspec.msgpack.encode(grant)
        return f"{_text(raw)}.{_text(self._tag(raw))}"

    def _tag(self, raw: bytes) -> bytes:
        return hmac.digest(self._key, raw, "sha256")[:_TAG]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _plain(text: str) -> bytes:
    if not text.isascii() or len(text) > _MAX_TOKEN:
        raise ValueError(text)
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:  # one spelling only
        raise ValueError(text)
    return raw
