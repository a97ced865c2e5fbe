"""A mention in the making: it knows its parent as an object, and gets its number when its turn in the stream comes."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from monitor.mention.model import Author, Kind, Mention

SOCIAL = ("twitter", "bluesky", "mastodon")
"""Where people repost, quote, and write handles."""


class Draft(Struct, kw_only=True):
    """One utterance, published at `t` (seconds since the epoch) and observed `wait` seconds later."""

    t: float
    text: str
    source: str
    kind: Kind = "post"
    author: Author | None = None
    wait: float = 0.0
    parent: Draft | None = None
    node: str = ""
    known: bool = False
    mood: str = ""
    story: int = -1
    own: bool = False
    noise: bool = False
    revision: int = 0
    lang: str = "en"
    id: str = ""

    @property
    def counted(self) -> bool:
        """Whether it adds to its story's size."""
        return not self.own and self.kind not in {"edit", "delete"}

    def mention(self) -> Mention:
        """Return the record. Its own `id` and its parent's must be set."""
        published = datetime.fromtimestamp(round(self.t, 3), UTC)
        parent = self.parent.id if self.parent is not None else None
        kind, author = self.kind, self.author
        return Mention(
            id=self.id,
            source=self.source,
            published_at=published,
            text=self.text,
            kind=kind,
            author=author,
            in_reply_to=parent if kind in {"reply", "comment"} else None,
            repost_of=parent if kind in {"repost", "quote"} else None,
            target=parent if kind in {"edit", "delete"} else None,
            revision=self.revision,
            observed_at=datetime.fromtimestamp(round(self.t, 3) + round(self.wait, 3), UTC),
            url=f"https://{self.source}.example/{author.handle}/{self.id}" if author and author.handle else None,
            lang=self.lang if self.text else None,
            brand=self.node if self.known else None,
        )
