"""One umbrella: mentions in, time passes, its stories and tides are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from monitor.engine.amend import FINAL, Amendment, Contribution
from monitor.engine.ask import Ask
from monitor.engine.brands import BrandJudge
from monitor.engine.changes import Merge, SeenRow
from monitor.engine.records import voice_hash
from monitor.engine.state import Mind, UmbrellaSettings, UmbrellaState, slot
from monitor.engine.stories import StoryJudge
from monitor.escalation.types import RuleMemory
from monitor.spread import StorySpread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.brand.tree import BrandTree
    from monitor.engine.changes import Changes, StoryRow, TideRow
    from monitor.escalation.rules import RuleSet
    from monitor.sentiment.reading import ReadMention
    from monitor.story.types import Placement, Share

__all__ = ["Amendment", "UmbrellaEngine", "UmbrellaSettings"]


class UmbrellaEngine:
    """The stories and tides of one umbrella."""

    def __init__(self, name: str, settings: UmbrellaSettings, tree: BrandTree, rules: RuleSet) -> None:
        self.state = UmbrellaState(name, settings, tree)
        self._ask = Ask(self.state, rules)
        self._stories = StoryJudge(self.state, self._ask)
        self._brands = BrandJudge(self.state, self._ask)

    @property
    def live_stories(self) -> int:
        """How many stories are held in memory."""
        return len(self.state.spreads)

    def set_rules(self, rules: RuleSet) -> None:
        """Judge by these rules from now on."""
        self._ask.rules = rules

    def set_tree(self, tree: BrandTree) -> None:
        """Judge by this brand tree from now on."""
        self.state.set_tree(tree)

    def collect(self, changes: Changes) -> None:
        """Hand over the rows of all that this batch touched, and whether the input is held to be down now."""
        self.state.collect(changes)
        if (since := self.state.pulse.down_since) is not None:
            changes.down[self.state.name] = since

    def restore(self, stories: Iterable[StoryRow], tides: Iterable[TideRow], clock: float) -> None:
        """Take up what the store kept, as it stood at `clock`."""
        self.state.restore(stories, tides, clock)

    # -- mentions in

    def take(self, m: ReadMention, key: bytes, related: str | None, *, behind: bool, changes: Changes) -> SeenRow:
        """Put a mention where it belongs; return what is to be remembered of it."""
        self.state.clock = max(self.state.clock, m.observed_at)
        self.state.hear(m.published_at, m.observed_at)
        related = self._resolve(related)
        if m.own and related is None:
            return SeenRow(key, self.state.name, "stored", m.published_at)  # the brand's own words are no voice
        placement = self._place(m, related, changes)
        story = placement.story
        spread = self.state.spreads[story]
        if m.own:
            return SeenRow(key, self.state.name, "stored", m.published_at, story)
        voice = voice_hash(m.voice)
        share = placement.share
        complaint = share.complaint if share is not None else None
        spread.observe(m.published_at, voice, m.followers, m.kind, complaint)
        self.state.dirty.add(story)
        if not m.repost_of and spread.voices < TIDE_VOICES:
            self._hear(m, complaint, voice, share.cause if share is not None else None)
        version = (m.revision, 0, m.published_at, m.id)
        given = Contribution(share, voice, m.followers, m.kind, complaint, m.published_at, version, m.brands)
        self._stories.story_if_due(story, changes, watch_only=behind)
        if behind and slot(self.state.clock, self.state.settings.tide_s) > self.state.tide_slot:
            # A backlog is read far faster than ticks come: what holds must have held before the last of them.
            self._brands.all(changes, watch_only=True)
        return SeenRow(key, self.state.name, "stored", m.published_at, story, m.revision, msgspec.msgpack.encode(given))

    def _place(self, m: ReadMention, related: str | None, changes: Changes) -> Placement:
        """Let the grouper place a mention, and follow its merges."""
        placement = self.state.grouper.place(m, related)
        for merge in placement.merges:
            self._merge(merge.src, merge.into, changes)
        story = placement.story
        self.state.touched.add(story)
        self.state.erased.discard(story)
        if story not in self.state.spreads:
            self.state.spreads[story] = StorySpread()
            self.state.minds.setdefault(story, Mind())
        return placement

    @staticmethod
    def amendment(m: ReadMention) -> Amendment:
        """Return what an edit or delete asks for, as it is kept until its target comes."""
        if m.kind == "delete":
            return Amendment((m.revision or FINAL, 2, m.published_at, m.id))
        return Amendment((m.revision, 1, m.published_at, m.id), m)

    def amend(self, row: SeenRow, amendment: Amendment, at: float, changes: Changes) -> SeenRow:
        """Apply an edit or delete to a mention already counted; the highest version wins, whatever the order."""
        self.state.clock = max(self.state.clock, at)
        self.state.hear(at, at)
        if row.share is None:
            return row  # the brand's own words gave nothing
        given = msgspec.msgpack.decode(row.share, type=Contribution)
        if amendment.version <= given.version:
            return row
        story = self._resolve(row.story)
        share = given.share
        if share is not None and story is not None and story in self.state.spreads and story in self.state.grouper:
            self.state.grouper.withdraw(story, share)
            self.state.spreads[story].withdraw(given.at, given.voice, given.followers, given.kind, given.complaint)
            self.state.touched.add(story)
            self.state.dirty.add(story)
            if story not in self.state.grouper:
                self.state.erased.add(story)
            share = None
        if share is None and amendment.mention is not None:  # else it is deleted, or its story is closed for long
            story, share = self._again(amendment.mention, given, story, changes)
        complaint = share.complaint if share is not None else None
        new = msgspec.structs.replace(given, share=share, complaint=complaint, version=amendment.version)
        revision = max(row.revision, min(amendment.version[0], FINAL - 1))
        return msgspec.structs.replace(row, revision=revision, share=msgspec.msgpack.encode(new), story=story)

    def _again(
        self, edit: ReadMention, given: Contribution, story: str | None, changes: Changes
    ) -> tuple[str, Share | None]:
        """Place a mention whose words were taken out with its new ones: same id, time and brands as before."""
        mention = msgspec.structs.replace(
            edit,
            umbrella=self.state.name,
            brands=given.brands,
            id=edit.target or edit.id,
            kind=given.kind,
            published_at=given.at,
            target=None,
            own=False,
        )
        placement = self._place(mention, story, changes)
        share = placement.share
        complaint = share.complaint if share is not None else None
        self.state.spreads[placement.story].observe(given.at, given.voice, given.followers, given.kind, complaint)
        self.state.dirty.add(placement.story)
        return placement.story, share

    def _resolve(self, story: str | None) -> str | None:
        while story is not None and story in self.state.aliases:
            story = self.state.aliases[story]
        return story

    def _merge(self, src: str, into: str, changes: Changes) -> None:
        gone = self.state.spreads.pop(src, None)
        mind = self.state.minds.pop(src, None)
        self.state.dirty.discard(src)
        self.state.held.discard(src)
        self.state.touched.discard(src)
        self.state.aliases[src] = into
        self.state.merged.append((src, into))
        if gone is not None:
            self.state.spreads.setdefault(into, StorySpread()).absorb(gone)
        kept = self.state.minds.setdefault(into, Mind())
        if mind is not None and _more(mind.memory, kept.memory):
            self.state.remember(into, kept, mind.memory)
        if mind is not None and mind.crossed_at is not None and kept.crossed_at is None:
            kept.crossed_at = mind.crossed_at
        changes.events.append(Merge(self.state.clock, self.state.name, src, into))

    def _hear(self, m: ReadMention, complaint: float | None, voice: int, cause: str | None) -> None:
        for brand in self.state.roll_up(m.brands or (self.state.name,)):
            self.state.watch(brand).hear(m, complaint, voice, cause)
            self.state.touched_brands.add(brand)

    # -- time passes

    def tick(
        self, now: float, *, behind: bool, caught_up_since: float | None, changes: Changes, hush: bool = False
    ) -> None:
        """Let time pass to `now`: judge what waits, close what is idle.

        `caught_up_since`: a backlog that began then ends here, so what still holds is decided now. `hush`: what is
        decided now is only remembered; nobody is told.
        """
        self.state.clock = max(self.state.clock, now)
        self.state.wait()
        self.state.hushed = hush
        if caught_up_since is not None:
            for story in sorted(self.state.spreads):
                if story in self.state.grouper:
                    self._stories.story(story, changes, since=caught_up_since)
            self._brands.all(changes, since=caught_up_since)
        else:
            for story in sorted(self._due(now)):
                if story in self.state.grouper:
                    self._stories.story(story, changes, watch_only=behind)
            self._stories.ask_shadows(now, changes, watch_only=behind)
            if slot(now, self.state.settings.tide_s) > self.state.tide_slot:
                self._brands.all(changes, watch_only=behind)
        if slot(now, self.state.settings.expire_s) > self.state.expire_slot:
            self.state.expire_slot = slot(now, self.state.settings.expire_s)
            self._expire(now - self._unheard(now))
        self.state.hushed = False

    def _due(self, now: float) -> list[str]:
        pace = self.state.settings.pace_s
        due = [story for story in self.state.dirty if now - self.state.minds[story].judged_at >= pace]
        settle = self.state.settings.settle_s
        due += [
            s for s in self.state.held if s not in self.state.dirty and now - self.state.minds[s].judged_at >= settle
        ]
        return due

    def _unheard(self, now: float) -> float:
        """Return the seconds without input of late: stories do not grow old in them."""
        idle = self.state.grouper.settings.idle_s
        return min(self.state.pulse.lost(now - idle), MOST_UNHEARD_S)

    def _expire(self, now: float) -> None:
        for story in self.state.grouper.expire(now):
            if story in self.state.grouper:
                continue  # it came back since
            self.state.spreads.pop(story, None)
            self.state.minds.pop(story, None)
            self.state.dirty.discard(story)
            self.state.held.discard(story)
            self.state.touched.discard(story)
            self.state.closed.append(story)


def _more(one: RuleMemory, other: RuleMemory) -> bool:
    """Return whether `one` has more to remember than `other`: where two stories stand when they become one."""
    if (one.severity is None) != (other.severity is None):
        return one.severity is not None
    return other == RuleMemory()


MOST_UNHEARD_S = 14 * 86_400.0
"""Seconds without input after which stories close all the same."""

TIDE_VOICES = 8
"""A mention of a story with so many voices is judged with it, not with the brand's tide: one matter, one page."""
