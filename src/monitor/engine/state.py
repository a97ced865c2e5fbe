"""What is known of one umbrella: its stories, how they spread, its brands' tides. To and from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from monitor.engine.changes import StoryRow, TideRow
from monitor.engine.waves import BrandWatch
from monitor.escalation.types import RuleMemory
from monitor.spread import Pulse, StorySpread
from monitor.story.grouper import Grouper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.brand.tree import BrandTree
    from monitor.engine.changes import Changes
    from monitor.escalation.types import StoryView
    from monitor.spread.types import ViralLine


BUDGET_S = 300.0
"""Seconds of event time between two looks at the budgets: as long as their shortest window."""


class UmbrellaSettings(Struct, frozen=True):
    """How an umbrella is judged. Seconds of event time.

    `min_voices`: fewer distinct authors never count as spreading. `pace_s`: a story is judged at most this often while
    mentions come in, and an unchanged one with an incident every `settle_s`. `tide_s`: how often a brand is judged.
    `grace_s`: mentions come so late; until then a story's silence says nothing about it.
    """

    min_voices: int = 3
    pace_s: float = 5.0
    settle_s: float = 60.0
    tide_s: float = 60.0
    grace_s: float = 60.0
    expire_s: float = 600.0


class Mind(Struct, array_like=True):
    """What is remembered of one story beside its words and numbers."""

    memory: RuleMemory = RuleMemory()
    judged_at: float = 0.0
    crossed_at: float | None = None
    shadows: dict[str, RuleMemory] = {}


class Kept(Struct, array_like=True):
    """What the store keeps of a live story."""

    story: bytes
    spread: bytes
    mind: Mind


class UmbrellaState:
    """The state that an umbrella's engine and its judges share. Not thread-safe."""

    def __init__(self, name: str, settings: UmbrellaSettings, tree: BrandTree) -> None:
        self.name = name
        self.settings = settings
        self.tree = tree
        self.names = tree.words_of(name)
        """The words of the umbrella's own names, and of all below it."""
        self.grouper = Grouper(name, names=self.names)
        self.spreads: dict[str, StorySpread] = {}
        self.minds: dict[str, Mind] = {}
        self.brands: dict[str, BrandWatch] = {}
        self.pulse = Pulse()
        """Whether anything is heard of the umbrella at all."""
        self._followed = 0
        self.lines: dict[str, ViralLine] = {}
        self.aliases: dict[str, str] = {}
        self.dirty: set[str] = set()
        """Stories observed since last judged."""
        self.held: set[str] = set()
        """Stories of which the rules remember something: time alone may change what they say."""
        self.shadowed: dict[str, float] = {}
        """Stories that shadow rules remember, and when they were last asked."""
        self.touched: set[str] = set()
        self.touched_brands: set[str] = set()
        """What is to be written with this batch."""
        self.merged: list[tuple[str, str]] = []
        self.closed: list[str] = []
        self.erased: set[str] = set()
        """Stories of which nothing is left."""
        self.clock = 0.0
        self.hushed = False
        """What is decided now is only remembered; nobody is told."""
        self.tide_slot = 0.0
        self.budget_slot = 0.0
        self.expire_slot = 0.0

    def set_tree(self, tree: BrandTree) -> None:
        """Judge by this brand tree from now on."""
        self.tree = tree
        self.names = self.grouper.lexicon.names = tree.words_of(self.name)
        self.lines.clear()

    def watch(self, brand: str) -> BrandWatch:
        """Return a brand's tide, a new one if nothing was heard of it yet."""
        watch = self.brands.get(brand)
        if watch is None:
            watch = self.brands[brand] = BrandWatch(self.name, brand)
            self._hang_on(watch)
        return watch

    def _hang_on(self, watch: BrandWatch) -> None:
        """Let a brand know what is known of the input; the root's row keeps it."""
        if watch.brand == self.name:
            watch.pulse = self.pulse
        watch.tide.follow(self.pulse.gaps(), self.pulse.down_since)

    def hear(self, published: float, observed: float) -> None:
        """Take note that something was heard of the umbrella, before it is counted anywhere."""
        changed = self.pulse.hear(published, observed)
        if changed:
            self.watch(self.name)
            self.touched_brands.add(self.name)
        self._follow(write=changed)

    def wait(self) -> None:
        """Take note that time has passed: the input may be down."""
        self._follow(write=self.pulse.tick(self.clock))

    def _follow(self, *, write: bool) -> None:
        """Tell the brands when the input was down, if that has changed."""
        if self.pulse.version == self._followed:
            return
        self._followed = self.pulse.version
        gaps = self.pulse.gaps()
        for brand, watch in self.brands.items():
            watch.tide.follow(gaps, self.pulse.down_since)
            if write:  # else a gap goes on, which the next tick finds again
                self.touched_brands.add(brand)

    def roll_up(self, brands: tuple[str, ...]) -> Iterable[str]:
        """Return the brands and all above them."""
        out = dict.fromkeys(brands)
        for brand in brands:
            out.update(dict.fromkeys(self.tree.ancestors(brand)))
        return out

    def above(self, view: StoryView) -> str | None:
        """Return the story of the umbrella's own incident, if that speaks for what is about to open: one cause."""
        root = self.brands.get(self.name)
        kept = root.together if root is not None else None
        if kept is None or not kept.standing or kept.cause is None or view.kind == "umbrella":
            return None
        if view.cause != kept.cause:
            return None
        kept.linked = [*kept.linked[-63:], view.story]
        self.touched_brands.add(self.name)
        return kept.story

    def remember(self, story: str, mind: Mind, memory: RuleMemory) -> None:
        """Keep what the rules remember of a story."""
        mind.memory = memory
        if memory == RuleMemory():
            self.held.discard(story)
        else:
            self.held.add(story)

    def collect(self, changes: Changes) -> None:
        """Hand over the rows of all that this batch touched."""
        for src, into in self.merged:
            changes.stories.pop((self.name, src), None)
            changes.stories[self.name, src] = StoryRow(
                self.name, src, "", "story", "", 0, 0, 0.0, self.clock, None, closed=True, merged_into=into, state=b""
            )
        self.merged.clear()
        for story in self.touched:
            if story in self.grouper:  # else a flood has pushed it out of memory
                changes.stories[self.name, story] = self._row(story)
            elif story in self.erased:
                changes.stories[self.name, story] = StoryRow(
                    self.name, story, "", "story", "", 0, 0, 0.0, self.clock, None, closed=True, merged_into=None,
                    state=b"",
                )  # fmt: skip
        self.touched.clear()
        self.erased.clear()
        changes.closed += [(self.name, story) for story in self.closed if story not in self.grouper]
        self.closed.clear()
        for brand in self.touched_brands:
            changes.tides[self.name, brand] = TideRow(self.name, brand, self.brands[brand].dump())
        self.touched_brands.clear()

    def _row(self, story: str) -> StoryRow:
        spread = self.spreads[story]
        entry = self.grouper.story(story)
        mind = self.minds[story]
        kept = Kept(self.grouper.dump(story), spread.dump(), mind)
        return StoryRow(
            self.name,
            story,
            entry.brand() or self.name,
            "story",
            entry.headline(),
            entry.size,
            round(spread.voices),
            entry.first_at,
            entry.last_at,
            mind.crossed_at,
            closed=False,
            merged_into=None,
            state=msgspec.msgpack.encode(kept),
        )

    def restore(self, stories: Iterable[StoryRow], tides: Iterable[TideRow], clock: float) -> None:
        """Take up what the store kept, as it stood at `clock`."""
        self.clock = clock
        self.tide_slot = slot(clock, self.settings.tide_s)
        self.budget_slot = slot(clock, BUDGET_S)
        self.expire_slot = slot(clock, self.settings.expire_s)
        blobs = []
        for row in stories:
            if row.merged_into is not None:
                self.aliases[row.story] = row.merged_into
                continue
            kept = msgspec.msgpack.decode(row.state, type=Kept)
            blobs.append(kept.story)
            self.spreads[row.story] = StorySpread.load(kept.spread)
            self.minds[row.story] = kept.mind
            self.dirty.add(row.story)  # its last mention may not have been judged
            if kept.mind.shadows:
                self.shadowed[row.story] = clock
            if kept.mind.memory != RuleMemory():
                self.held.add(row.story)
        self.grouper.restore(blobs)
        for tide in tides:
            watch = BrandWatch(self.name, tide.brand)
            watch.restore(tide.state)
            self.brands[tide.brand] = watch
            if tide.brand == self.name and watch.pulse is not None:
                self.pulse = watch.pulse
        self._followed = self.pulse.version
        for watch in self.brands.values():
            self._hang_on(watch)


def slot(now: float, every: float) -> float:
    """Return which stretch of `every` seconds `now` lies in: what happens once a stretch needs no memory of its own."""
    return now // every
