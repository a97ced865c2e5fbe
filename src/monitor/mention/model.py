"""A mention, version 1: one public or support utterance, as it comes in.

The fields follow ActivityStreams 2.0 where it has a word for them. `docs/mention.md` and
`docs/mention.schema.json` are made from this file.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

MAX_TEXT = 100_000
"""Characters of text that a mention may have; a longer one is dead-lettered."""

MAX_ID = 512
"""Characters that an id may have."""

Kind = Literal["post", "reply", "quote", "repost", "review", "comment", "article", "ticket", "call", "edit", "delete"]

MAX_COUNT = 2**63 - 1
"""The largest count (followers, likes, revision) that is taken: what a 64-bit column holds. Reach is capped where it is
summed, not here."""

Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Id = Annotated[str, Meta(max_length=MAX_ID)]
Link = Annotated[str, Meta(max_length=4096)]
Tag = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Instant = Annotated[datetime, Meta(tz=True)]


class Author(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The account that wrote a mention."""

    id: Id | None = None
    handle: Id | None = None
    name: Id | None = None
    followers: Count | None = None
    verified: bool | None = None
    created_at: Instant | None = None


class Engagement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often a mention had been liked, reposted, answered and seen when it was observed."""

    likes: Count | None = None
    reposts: Count | None = None
    replies: Count | None = None
    views: Count | None = None


class Mention(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One utterance. Required: `id`, `source`, `published_at`, and `text` (not for reposts and deletes).

    `repost_of` names what a repost repeats or a quote quotes. An edit or a delete has an id of its own and names its
    `target`; of several, the highest `revision` wins whatever the order of arrival. `observed_at` is when the source
    first showed it to us (`decode` fills in the Kafka record's time) and bounds what is believable of `published_at`.
    The bounds on lengths and counts are checked by `decode`, not by the constructor.
    """

    id: Name
    source: Name
    published_at: Instant
    text: Text = ""
    kind: Kind = "post"
    author: Author | None = None
    in_reply_to: Id | None = None
    repost_of: Id | None = None
    target: Id | None = None
    revision: Count = 0
    observed_at: Instant | None = None
    url: Link | None = None
    lang: Tag | None = None
    engagement: Engagement | None = None
    media: Annotated[tuple[Link, ...], Meta(max_length=64)] = ()
    brand: Id | None = None
