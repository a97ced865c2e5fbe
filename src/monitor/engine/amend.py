"""What a mention gave to its story, and what an edit or a delete takes out again."""

from __future__ import annotations

from msgspec import Struct

from monitor.sentiment.reading import ReadMention
from monitor.story.types import Share

Version = tuple[int, int, float, str]
"""Which words of a mention stand, the highest: by revision, then post < edit < delete, then time, then id."""

FINAL = 2**63
"""The revision of a delete that gives none: what its author took back without a number stays gone."""


class Contribution(Struct, frozen=True, array_like=True):
    """What one mention gave, as kept beside its id: enough to take it out again. Deleted, it has no share."""

    share: Share | None
    voice: int
    followers: int | None
    kind: str
    complaint: float | None
    at: float
    version: Version = (0, 0, 0.0, "")
    brands: tuple[str, ...] = ()


class Amendment(Struct, frozen=True, array_like=True):
    """What an edit or delete asks for; a delete has no mention."""

    version: Version
    mention: ReadMention | None = None
