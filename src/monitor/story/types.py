"""The values that leave the story room, and its settings."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from monitor.story.settings import MeaningSettings

How = Literal["new", "thread", "duplicate", "link", "hashtag", "meaning", "returned"]
"""Why a mention stands in its story. `returned`: it brought a closed story back."""


class Saying(Struct, frozen=True, array_like=True, gc=False):
    """One real mention, shortened. The text is hostile: escape it wherever it is shown.

    The fields are those of `escalation.types.Quote`; `key` names the mention, so that it can be taken out again.
    """

    text: str
    author: str
    followers: int | None
    published_at: float
    url: str | None = None
    key: str = ""


class Share(Struct, frozen=True, array_like=True, gc=False):
    """What one mention gave to its story: enough to take it out again. About 100 bytes as msgpack.

    `complaint`, `negative` and `positive` are probabilities; they are None when the text could not be read. A repost
    without text of its own has those of what it reposts. `suspect`: a copy of others' words by a young or small
    account. `print` is a 63-bit fingerprint of the text. `copied`: it only repeats what its story says, and
    counts for nothing in the mean of its embeddings.
    """

    key: str
    at: float
    source: str
    own: bool = False
    repost: bool = False
    complaint: float | None = None
    negative: float | None = None
    positive: float | None = None
    cause: str | None = None
    lang: str | None = None
    brands: tuple[str, ...] = ()
    promo: bool = False
    suspect: bool = False
    print: int = 0
    copied: bool = False


class Merge(Struct, frozen=True, array_like=True, gc=False):
    """Story `src` became part of story `into`, for the reason `why`."""

    src: str
    into: str
    why: How = "thread"


class Placement(Struct, frozen=True):
    """Where a mention went and why; `merges` happened just before, so `story` is the surviving one."""

    story: str
    how: How
    merges: tuple[Merge, ...] = ()
    share: Share | None = None
    score: float = 1.0


class Shares(Struct, frozen=True):
    """A story's make-up, each 0 to 1. The first three are means of probabilities over those that could be read."""

    complaint: float = 0.0
    negative: float = 0.0
    positive: float = 0.0
    repost: float = 0.0
    unread: float = 0.0


class StorySettings(Struct, frozen=True, kw_only=True):
    """How stories are grouped. One setting serves all; see docs/stories.md for what each does.

    `idle_s`: a story that nobody spoke of for so long is closed. `max_stories` live ones are kept per umbrella, the
    least useful single mentions going first. `recent_keys` mentions, `closed_stories` closed stories and `max_pending`
    replies whose parent has not come yet are remembered. A reply weighs `thread_weight` in its story's meaning: people
    answer all sorts of things.
    """

    idle_s: float = 72 * 3600.0
    max_stories: int = 20_000
    recent_keys: int = 30_000
    closed_stories: int = 500
    max_pending: int = 5_000
    min_words: int = 4
    duplicate: float = 0.55
    copy: float = 0.85
    copy_words: int = 8
    young_s: float = 30 * 86400.0
    small_followers: int = 20
    thread_weight: float = 0.3
    meaning: MeaningSettings = MeaningSettings()
