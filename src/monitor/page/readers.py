"""Who reads a page: what they can act on, in which language, and on whose clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["operations", "pr", "manager"]
Language = Literal["en", "de"]
ROLES: tuple[Role, ...] = get_args(Role)
LANGUAGES: tuple[Language, ...] = get_args(Language)


class Reader(Struct, frozen=True):
    """A recipient as the renderer sees them. `zone` is an IANA name, checked when the configuration is read."""

    role: Role = "operations"
    language: Language = "en"
    zone: str = "UTC"


class Readers:
    """The reader behind a recipient's name; who is not known reads as operations, in English, in UTC."""

    def __init__(self, known: Mapping[str, Reader] | None = None) -> None:
        self._known = dict(known or {})
        self._default = Reader()

    def of(self, recipient: str) -> Reader:
        """Return who reads what goes to `recipient`."""
        return self._known.get(recipient, self._default)
