"""The whole stream: ordinary chatter and the stories in it, merged by time and numbered."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.simulate.cast import load_cast
from monitor.simulate.chatter import Chatter
from monitor.simulate.dice import Dice
from monitor.simulate.people import People
from monitor.simulate.settings import Settings
from monitor.simulate.speech import Speech
from monitor.simulate.stories import Stage, crossing, draw_story
from monitor.simulate.truth import StoryTruth, Truth
from monitor.simulate.week import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.mention.model import Mention
    from monitor.simulate.draft import Draft
    from monitor.simulate.telling import Story


class Simulation:
    """One simulated stretch of time: the same for the same settings and seed.

    `mentions()` may be asked for as often as one likes; `truth()` runs through the stream once if nobody has yet.
    Memory does not grow with the stream's length. Raises ValueError where the settings cannot be met.

    >>> from monitor.simulate import Settings, Simulation
    >>> week = Simulation(Settings(days=7, rate=100), seed=7)
    >>> first = next(week.mentions())
    >>> first.id, first.published_at >= Settings().start
    ('n-000001', True)
    >>> [story.name for story in week.truth().stories if story.crossed_at]
    ['viral']
    """

    def __init__(self, settings: Settings | None = None, seed: int = 0) -> None:
        self.settings = settings or Settings()
        self.seed = seed
        self._cast = load_cast()
        self.line = self.settings.line or self._cast.viral_line
        self._people = People(Dice(seed, "people"), self.settings.start)
        self._speech = Speech()
        self._stories = self._draw()
        self._truth: Truth | None = None

    def mentions(self) -> Iterator[Mention]:
        """Yield the records in the order of `published_at`."""
        told = Tally(self)
        dice = Dice(self.seed, "repeats")
        repeats, limit = self.settings.repeats, self.settings.limit
        for draft in self._drafts():
            if told.records == limit:
                break
            draft.id = f"n-{told.records - told.repeats + 1:06d}"
            told.count(draft)
            mention = draft.mention()
            yield mention
            if repeats and dice.chance(repeats) and told.records != limit:
                told.repeat()
                yield mention
        self._truth = told.truth()

    def truth(self) -> Truth:
        """Return what really happens in the stream."""
        if self._truth is None:
            for _ in self.mentions():
                pass
        if self._truth is None:  # pragma: no cover -- a stream that ends leaves it behind
            raise RuntimeError("the stream ended without its truth")
        return self._truth

    @property
    def stories(self) -> list[Story]:
        """The stories as they were drawn, in the order of their first mention."""
        return self._stories

    def _draw(self) -> list[Story]:
        start = self.settings.start.timestamp()
        stage = Stage(start, start + self.settings.days * DAY, self.line, self._cast, self._people, self._speech)
        drawn = [draw_story(stage, name, Dice(self.seed, name)) for name in dict.fromkeys(self.settings.stories)]
        drawn.sort(key=lambda story: story.drafts[0].t)
        for index, story in enumerate(drawn):
            story.drafts = [draft for draft in story.drafts if draft.t < stage.end]
            for draft in story.drafts:
                draft.story = index
        return drawn

    def _drafts(self) -> Iterator[Draft]:
        """Yield chatter and stories merged by time."""
        chatter = iter(Chatter(self.settings, Dice(self.seed, "chatter"), self._cast, self._people, self._speech))
        told = sorted((draft for story in self._stories for draft in story.drafts), key=lambda draft: draft.t)
        place, due = 0, told[0].t if told else math.inf
        for draft in chatter:
            while due <= draft.t:
                yield told[place]
                place += 1
                due = told[place].t if place < len(told) else math.inf
            yield draft
        yield from told[place:]


class Tally:
    """Counts what a run emits, for the truth."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._told: list[list[Draft]] = [[] for _ in simulation.stories]
        self.records = self.repeats = 0
        self._chatter = self._noise = self._own = self._edits = self._deletes = 0

    def count(self, draft: Draft) -> None:
        """Count a record that is new."""
        self.records += 1
        if draft.story >= 0:
            self._told[draft.story].append(draft)
        else:
            self._chatter += 1
            self._noise += draft.noise
            self._own += draft.own
            self._edits += draft.kind == "edit"
            self._deletes += draft.kind == "delete"

    def repeat(self) -> None:
        """Count a record that came before."""
        self.records += 1
        self.repeats += 1

    def truth(self) -> Truth:
        """Return the truth of what was counted; a story of which nothing was emitted is not in it."""
        simulation = self._simulation
        pairs = zip(simulation.stories, self._told, strict=True)
        return Truth(
            seed=simulation.seed,
            settings=simulation.settings,
            mentions=self.records,
            chatter=self._chatter,
            noise=self._noise,
            own_replies=self._own,
            repeats=self.repeats,
            edits=self._edits,
            deletes=self._deletes,
            stories=tuple(story_truth(story, drafts, simulation.line) for story, drafts in pairs if drafts),
        )


def story_truth(story: Story, drafts: list[Draft], line: int) -> StoryTruth:
    """Return what is true of `story`, of which `drafts` were emitted."""
    crossed = crossing(drafts, line)
    author = drafts[0].author
    return StoryTruth(
        name=story.name,
        kind=story.kind,
        viral=crossed is not None,
        brand=story.node.id,
        umbrella=story.node.umbrella,
        cause=story.cause,
        tale=story.tale,
        size=sum(draft.counted for draft in drafts),
        own_replies=sum(draft.own for draft in drafts),
        line=line,
        first_at=moment(drafts[0].t),
        last_at=moment(drafts[-1].t),
        crossed_at=None if crossed is None else moment(crossed),
        first_followers=author.followers if author else None,
        redraws=story.redraws,
        ids=tuple(draft.id for draft in drafts),
    )


def moment(t: float) -> datetime:
    """Return `t` as it stands in `published_at`: milliseconds, UTC."""
    return datetime.fromtimestamp(round(t, 3), UTC)
