"""From a mention to its share: what it gives to its story's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from monitor.sentiment.reading import UNCLEAR
from monitor.story.promo import promo_kind
from monitor.story.types import Share, StorySettings

if TYPE_CHECKING:
    from monitor.sentiment.reading import ReadMention
    from monitor.story.story import Story
    from monitor.story.words import Text


def parents(m: ReadMention) -> tuple[str, ...]:
    """Return the keys of what a mention answers, repeats, quotes or corrects; never its own."""
    names = (m.in_reply_to, m.repost_of, m.target)
    if not any(names):
        return ()
    keys = dict.fromkeys(f"{m.source}:{name}" for name in names if name)
    keys.pop(m.key, None)
    return tuple(keys)


def make_share(m: ReadMention, text: Text) -> Share:
    """Return what the mention says by itself."""
    reading = m.reading
    sentiment = reading.sentiment if reading and not reading.unread and not m.own else None
    return Share(
        key=m.key,
        at=m.published_at,
        source=m.source,
        own=m.own,
        repost=m.kind == "repost" or text.repost,
        complaint=reading.complaint if reading and not reading.unread and not m.own else None,
        negative=sentiment.negative if sentiment else None,
        positive=sentiment.positive if sentiment else None,
        cause=_cause(m),
        lang=(reading.lang or None) if reading else None,
        brands=m.brands,
        promo=not m.own and promo_kind(m.text) is not None,
        print=text.fingerprint,
    )


def _cause(m: ReadMention) -> str | None:
    """Return why the mention complains; None where that is unclear: many unclear causes are not one cause."""
    cause = m.reading.cause if m.reading and not m.own else None
    return cause.id if cause is not None and cause.id != UNCLEAR else None


class Known(Struct, frozen=True, gc=False):
    """What is remembered of a mention: its story, and as what a repost of it without text is read."""

    story: str
    complaint: float | None
    negative: float | None
    positive: float | None
    cause: str | None
    promo: bool


def known(share: Share, story: Story) -> Known:
    """Return what to remember of a mention of `story`."""
    return Known(story.id, share.complaint, share.negative, share.positive, share.cause, share.promo)


def borrow(share: Share, origin: Known | None, story: Story) -> Share:
    """Return the share of a repost without text: read as what it reposts, or as its story is on average.

    `share` comes back as it is when neither is known.
    """
    if origin is not None and (origin.complaint is not None or origin.negative is not None):
        return replace(
            share,
            complaint=origin.complaint,
            negative=origin.negative,
            positive=origin.positive,
            cause=origin.cause,
            promo=origin.promo,
        )
    if story.read > 0:
        shares = story.shares()
        return replace(
            share,
            complaint=shares.complaint,
            negative=shares.negative,
            positive=shares.positive,
            cause=story.cause,
            promo=2 * story.promos > story.size,
        )
    return share


def is_suspect(m: ReadMention, text: Text, settings: StorySettings) -> bool:
    """Say whether a copy of others' words comes from a young or small account. Reposts are honest copies."""
    if m.own or m.kind == "repost" or text.repost or m.author is None:
        return False
    created, followers = m.author.created_at, m.author.followers
    young = created is not None and m.published_at - created.timestamp() < settings.young_s
    return young or (followers is not None and followers < settings.small_followers)
