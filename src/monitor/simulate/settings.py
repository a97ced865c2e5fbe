"""What to simulate. Every part can be switched off by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, get_args

from msgspec import Struct

StoryName = Literal[
    "viral", "furious_author", "giveaway", "praise", "old_story", "angry_thread", "busy_hour", "news_wave"
]
STORIES: tuple[StoryName, ...] = get_args(StoryName)
"""Every story that can be asked for: one goes viral, the others are decoys and near misses."""

DEMO: tuple[StoryName, ...] = ("viral", "furious_author", "giveaway", "praise", "old_story")
"""The stories of an ordinary simulated week."""


class Settings(Struct, frozen=True, kw_only=True):
    """A simulated stretch of time.

    Shares are of the ordinary chatter and lie between 0 and 1. Raises ValueError where a number makes no sense.
    """

    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    """The first moment; a Monday by default."""
    days: float = 7.0
    rate: float = 1150.0
    """Mentions of ordinary chatter a day, at the mean over the week; stories come on top."""
    limit: int | None = None
    """Stop after so many records, whatever `days` says."""
    stories: tuple[StoryName, ...] = DEMO
    line: int | None = None
    """The viral line in mentions; None takes the umbrella's from the brand file."""
    seasonal: bool = True
    replies: float = 0.22
    reposts: float = 0.09
    quotes: float = 0.02
    own_replies: float = 0.04
    noise: float = 0.04
    """Texts that name no brand, some of them nearly."""
    abroad: float = 0.015
    """Texts in Spanish, German or French."""
    edits: float = 0.004
    deletes: float = 0.003
    repeats: float = 0.003

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if self.start.tzinfo is None:
            raise ValueError("start needs a time zone, e.g. 2026-03-02T00:00:00Z")
        if not 0 < self.days <= 3660:  # noqa: PLR2004 -- ten years
            raise ValueError(f"days is {self.days}: it must be over 0 and at most 3660")
        if not 0 <= self.rate <= 5e9:  # noqa: PLR2004 -- 58,000 a second
            raise ValueError(f"rate is {self.rate} mentions a day: it must be from 0 to 5e9")
        shares = (
            self.replies, self.reposts, self.quotes, self.own_replies, self.noise, self.abroad,
            self.edits, self.deletes,
        )  # fmt: skip
        if min(*shares, self.repeats) < 0 or sum(shares) > 1 or self.repeats > 1:
            raise ValueError("each share must be at least 0, and together at most 1")
        if unknown := set(self.stories) - set(STORIES):
            raise ValueError(f"no such story: {', '.join(sorted(unknown))}; there are {', '.join(STORIES)}")
        if self.line is not None and self.line < 120:  # noqa: PLR2004 -- decoys need room below it
            raise ValueError(f"line is {self.line}: below 120 mentions decoys would be viral too")
