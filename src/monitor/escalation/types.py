"""What the rules see and what they say."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from monitor.spread.types import Spread, Tide

Severity = Literal["info", "notify", "page", "crisis"]
SEVERITIES: tuple[Severity, ...] = ("info", "notify", "page", "crisis")
Action = Literal["none", "open", "raise", "lower", "close"]


class Quote(Struct, frozen=True):
    """One real mention, shortened, to stand on a page. The text is hostile: escape it wherever it is shown."""

    text: str
    author: str
    followers: int | None
    published_at: float
    url: str | None = None


class StoryView(Struct, frozen=True, kw_only=True):
    """A story or a brand's wave as the rules and the page see it: a value, cut off from the state behind it."""

    umbrella: str
    story: str
    brand: str
    kind: Literal["story", "wave"]
    headline: str
    first_at: float
    last_at: float
    size: int
    voices: int
    own_replies: int
    complaint_share: float
    negative_share: float
    positive_share: float
    repost_share: float
    unread_share: float
    cause: str | None
    sources: tuple[tuple[str, int], ...]
    quotes: tuple[Quote, ...]
    phrases: tuple[str, ...] = ()
    authentic_share: float = 1.0
    promo_share: float = 0.0
    spread: Spread | None = None
    tide: Tide | None = None


class Decision(Struct, frozen=True):
    """What to do about a story, why, and on which evidence. `rules` is the version of the rule file."""

    action: Action
    severity: Severity
    rule: str
    reason: str
    evidence: tuple[tuple[str, float | str], ...] = ()
    rules: str = ""


class RuleMemory(Struct, frozen=True):
    """What the rules remember of one story: since when each condition has held, and at which severity it stands."""

    since: tuple[tuple[str, float], ...] = ()
    severity: Severity | None = None
    calm_since: float | None = None
