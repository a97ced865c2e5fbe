"""Labels with a bound: what comes from outside must not make series without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "other"


class Bounded:
    """Lets through what is known, and of the rest the first `room` values; everything else becomes `other`.

    >>> source = Bounded(["twitter"], room=1)
    >>> [source(name) for name in ("twitter", "blog", "../../etc", "blog", "")]
    ['twitter', 'blog', 'other', 'blog', 'other']
    """

    def __init__(self, known: Iterable[str] = (), *, room: int = 50, longest: int = 64) -> None:
        self._known = set(known)
        self._room = len(self._known) + room
        self._longest = longest

    def __call__(self, value: str) -> str:
        """Return the label for a value."""
        if value in self._known:
            return value
        if len(self._known) < self._room and value.isprintable() and 0 < len(value) <= self._longest:
            self._known.add(value)
            return value
        return OTHER
