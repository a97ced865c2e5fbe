"""Stories: mentions of one umbrella about the same matter, grouped as they arrive.

`Grouper` places each mention into a story (by thread, near-duplicate text, link, hashtag or meaning) and merges whole
stories when evidence grows; `Story` says what one is made of. `Share` is what a mention gave, for taking it out again.
"""

from monitor.story.ahead import AHEAD, read_ahead
from monitor.story.blob import StoryBlobError
from monitor.story.grouper import Grouper
from monitor.story.story import Story
from monitor.story.types import How, Merge, Placement, Saying, Share, Shares, StorySettings

__all__ = [
    "AHEAD",
    "Grouper",
    "How",
    "Merge",
    "Placement",
    "Saying",
    "Share",
    "Shares",
    "Story",
    "StoryBlobError",
    "StorySettings",
    "read_ahead",
]
