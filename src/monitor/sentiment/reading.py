"""What the model says of a mention, and a mention as the later stages see it: read, and resolved to one umbrella."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from monitor.mention.model import Author, Engagement, Kind

Label = Literal["negative", "neutral", "positive"]


UNCLEAR: Final = "unclear"
"""A cause's id where no cause fits well enough."""


class Sentiment(Struct, frozen=True, array_like=True):
    """Probabilities of the three classes; they sum to 1."""

    negative: float
    neutral: float
    positive: float

    @property
    def label(self) -> Label:
        """The most probable class; ties go to the calmer one.

        >>> Sentiment(0.2, 0.7, 0.1).label
        'neutral'
        """
        best = max(self.negative, self.neutral, self.positive)
        if best == self.neutral:
            return "neutral"
        return "positive" if best == self.positive else "negative"


class Cause(Struct, frozen=True, array_like=True):
    """Why people complain: `id` may be `unclear`; `best` is the forced choice all the same."""

    id: str
    p: float
    best: str


class Reading(Struct, frozen=True, array_like=True):
    """What one model version says of one text.

    A text that the model cannot read has `unread` (the reason) and neither sentiment nor complaint.
    `vector` is the embedding, float16 little-endian bytes, or None.
    """

    model: str
    sentiment: Sentiment | None = None
    complaint: float | None = None
    cause: Cause | None = None
    lang: str | None = None
    unread: str | None = None
    vector: bytes | None = None


class Origin(Struct, frozen=True, array_like=True):
    """Where in the `mentions` topic a mention came from, and when it was appended there (seconds since the epoch)."""

    partition: int
    offset: int
    appended_at: float


class ReadMention(Struct, frozen=True, array_like=True, tag="mention"):
    """A mention with its reading, as one umbrella sees it. Times are seconds since the epoch.

    A mention that names brands of two umbrellas becomes two of these; only the first has `counted`, so that the
    account of mentions adds up. `brands` are the named nodes, most specific first, without their ancestors.
    `own` marks the brand's own accounts: never a voice, always an answer. `text` is cut to 2,000 characters.
    """

    umbrella: str
    brands: tuple[str, ...]
    id: str
    source: str
    kind: Kind
    published_at: float
    observed_at: float
    text: str
    origin: Origin
    reading: Reading | None = None
    author: Author | None = None
    in_reply_to: str | None = None
    repost_of: str | None = None
    target: str | None = None
    revision: int = 0
    url: str | None = None
    engagement: Engagement | None = None
    own: bool = False
    counted: bool = True

    @property
    def key(self) -> str:
        """The mention's name within its umbrella."""
        return f"{self.source}:{self.id}"

    @property
    def voice(self) -> str:
        """The name under which its author is counted once; a mention without author is a voice of its own."""
        author = self.author
        if author is None or not (author.id or author.handle):
            return f"?{self.key}"
        return f"{self.source}@{author.id or author.handle}"

    @property
    def followers(self) -> int | None:
        """The author's followers, if known."""
        return self.author.followers if self.author else None
