"""A map that forgets what was written longest ago."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """At most `most` names; writing one makes it the newest.

    >>> recent = Recent[int](2)
    >>> for i, name in enumerate("abac"):
    ...     _ = recent.put(name, i)
    >>> recent.get("b"), recent.get("a")
    (None, 2)
    """

    __slots__ = ("_kept", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, name: str) -> Value | None:
        """Return what is kept under `name`, or None."""
        return self._kept.get(name)

    def put(self, name: str, value: Value) -> tuple[str, Value] | None:
        """Keep `value`; return what was forgotten for it, if anything."""
        self._kept[name] = value
        self._kept.move_to_end(name)
        return self._kept.popitem(last=False) if len(self._kept) > self._most else None

    def pop(self, name: str) -> Value | None:
        """Forget `name` and return what was kept under it."""
        return self._kept.pop(name, None)
