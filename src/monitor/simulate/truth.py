"""What really happened in a simulated stream: which story is what, and when it crossed its line."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from monitor.simulate.settings import Settings


class StoryTruth(Struct, frozen=True, kw_only=True):
    """One story. `size` counts mentions of other people: no own replies, edits, deletes or repeated records.

    `line` is the viral line in such mentions; `crossed_at` is when the mention that reached it was published, None
    where none did. `redraws` says how many draws were thrown away because they fizzled, or ran too fast or too slow.
    `ids` are the records that belong to it, own replies among them, in the order of the stream.
    """

    name: str
    kind: str
    viral: bool
    brand: str
    umbrella: str
    cause: str
    tale: str
    size: int
    own_replies: int
    line: int
    first_at: datetime
    last_at: datetime
    crossed_at: datetime | None
    first_followers: int | None
    redraws: int = 0
    ids: tuple[str, ...] = ()

    @property
    def crossing_seconds(self) -> float | None:
        """From the first mention to the line, in seconds."""
        return None if self.crossed_at is None else (self.crossed_at - self.first_at).total_seconds()


class Truth(Struct, frozen=True, kw_only=True):
    """All stories of a stream, in the order of their first mention, and how many records of each sort there are.

    `mentions` is the number of records, repeats included; `chatter` those that belong to no story.
    """

    seed: int
    settings: Settings
    mentions: int
    chatter: int
    noise: int
    own_replies: int
    repeats: int
    edits: int
    deletes: int
    stories: tuple[StoryTruth, ...]

    def story_of(self) -> dict[str, str]:
        """Return the story's name by mention id; a mention of no story is not in it."""
        return {mention: story.name for story in self.stories for mention in story.ids}
