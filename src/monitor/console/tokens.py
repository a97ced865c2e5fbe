"""Who may use the API: bearer tokens (RFC 6750) with scopes, as configured."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_HEADER = 1_000


class Caller(Struct, frozen=True):
    """Whose token it is, what it is good for, and in whose name it acts (None: the request says)."""

    name: str
    scopes: frozenset[str]
    person: str | None = None


class Tokens:
    """Finds the caller behind an Authorization header. Tokens are kept as hashes, and compared in constant time."""

    def __init__(self, known: Iterable[tuple[str, Caller]]) -> None:
        self._known = [(sha256(token.encode()).digest(), caller) for token, caller in known]

    def caller(self, header: str) -> Caller | None:
        """Return who calls, or None.

        >>> tokens = Tokens([("s3cret", Caller("desk", frozenset({"read"})))])
        >>> tokens.caller("Bearer s3cret").name, tokens.caller("Bearer s3cres"), tokens.caller("")
        ('desk', None, None)
        """
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or len(header) > _MAX_HEADER:
            return None
        given = sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found: Caller | None = None
        for digest, caller in self._known:
            if hmac.compare_digest(digest, given):
                found = caller
        return found
