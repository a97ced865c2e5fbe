"""A story's state, cut off as the value that rules and pages see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from monitor.escalation.types import Quote, StoryView

if TYPE_CHECKING:
    from monitor.spread.types import Spread
    from monitor.story.story import Story


def story_view(story: Story, brand: str, spread: Spread, brands_hit: int = 1) -> StoryView:
    """Return a story's figures at this moment. What only people read, `in_words` puts in where somebody is told."""
    shares = story.shares()
    return StoryView(
        umbrella=story.umbrella,
        story=story.id,
        brand=brand,
        kind="story",
        headline="",
        first_at=story.first_at,
        last_at=story.last_at,
        size=story.size,
        voices=spread.voices,
        own_replies=story.own_replies,
        complaint_share=shares.complaint,
        negative_share=shares.negative,
        positive_share=shares.positive,
        repost_share=shares.repost,
        unread_share=shares.unread,
        cause=story.cause,
        sources=tuple(sorted(story.sources.items())),
        quotes=(),
        authentic_share=story.authentic_share,
        promo_share=story.promo_share,
        brands_hit=brands_hit,
        biggest_followers=story.biggest.followers if story.biggest is not None else None,
        spread=spread,
    )


def in_words(view: StoryView, story: Story) -> StoryView:
    """Return the view with the story's headline, quotes and phrases: they cost more than all its figures."""
    return structs.replace(
        view,
        headline=story.headline(),
        quotes=tuple(Quote(q.text, q.author, q.followers, q.published_at, q.url) for q in story.quotes()),
        phrases=tuple(story.phrases()),
    )
