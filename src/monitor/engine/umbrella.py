"""One umbrella: its stories, how they spread, its brands' tides, and what the rules make of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from monitor.engine.changes import Act, Changes, Crossing, Merge, SeenRow, ShadowAct, StoryRow, TideRow
from monitor.engine.records import voice_hash
from monitor.engine.views import in_words, story_view
from monitor.engine.waves import BrandWatch
from monitor.escalation.rules import evaluate
from monitor.escalation.types import RuleMemory
from monitor.sentiment.reading import ReadMention
from monitor.spread import StorySpread
from monitor.spread.types import ViralLine
from monitor.story.grouper import Grouper
from monitor.story.types import Share

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.brand.tree import BrandTree
    from monitor.escalation.rules import RuleSet
    from monitor.escalation.types import Decision, StoryView
    from monitor.story.story import Story
    from monitor.story.types import Placement


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


Version = tuple[int, int, float, str]
"""Which words of a mention stand, the highest: by revision, then post < edit < delete, then time, then id."""

FINAL = 2**63
"""The revision of a delete that gives none: what its author took back without a number stays gone."""


class Contribution(Struct, frozen=True, array_like=True):
    """What one mention gave, as kept beside its id: enough to take it out again. Deleted, it has no share."""

    share: Share | None
    voice: int
    followers: int | None
    kind: str
    complaint: float | None
    at: float
    version: Version = (0, 0, 0.0, "")
    brands: tuple[str, ...] = ()


class Amendment(Struct, frozen=True, array_like=True):
    """What an edit or delete asks for; a delete has no mention."""

    version: Version
    mention: ReadMention | None = None


class _Mind(Struct, array_like=True):
    """What is remembered of one story beside its words and numbers."""

    memory: RuleMemory = RuleMemory()
    judged_at: float = 0.0
    crossed_at: float | None = None
    shadows: dict[str, RuleMemory] = {}


class _Kept(Struct, array_like=True):
    story: bytes
    spread: bytes
    mind: _Mind


class UmbrellaEngine:
    """The stories and tides of one umbrella."""

    def __init__(self, name: str, settings: UmbrellaSettings, tree: BrandTree, rules: RuleSet) -> None:
        self.name = name
        self.rules = rules
        self._settings = settings
        self._tree = tree
        self._grouper = Grouper(name)
        self._spreads: dict[str, StorySpread] = {}
        self._minds: dict[str, _Mind] = {}
        self._brands: dict[str, BrandWatch] = {}
        self._names = _names(tree, name)
        self._lines: dict[str, ViralLine] = {}
        self._aliases: dict[str, str] = {}
        self._dirty: set[str] = set()  # observed since last judged
        self._held: set[str] = set()  # the rules remember something: time alone may change what they say
        self._shadowed: dict[str, float] = {}  # stories that shadow rules remember, and when they were last asked
        self._touched: set[str] = set()  # to be written with this batch
        self._touched_brands: set[str] = set()
        self._merged: list[tuple[str, str]] = []
        self._closed: list[str] = []
        self._erased: set[str] = set()  # nothing is left of them
        self._clock = 0.0
        self._hushed = False
        self._tide_slot = 0.0
        self._expire_slot = 0.0

    @property
    def live_stories(self) -> int:
        """How many stories are held in memory."""
        return len(self._spreads)

    def set_tree(self, tree: BrandTree) -> None:
        """Judge by this brand tree from now on."""
        self._tree = tree
        self._names = _names(tree, self.name)
        self._lines.clear()

    # -- mentions in

    def take(self, m: ReadMention, key: bytes, related: str | None, *, behind: bool, changes: Changes) -> SeenRow:
        """Put a mention where it belongs; return what is to be remembered of it."""
        self._clock = max(self._clock, m.observed_at)
        related = self._resolve(related)
        if m.own and related is None:
            return SeenRow(key, self.name, "stored", m.published_at)  # the brand's own words are no voice
        placement = self._place(m, related, changes)
        story = placement.story
        spread = self._spreads[story]
        if m.own:
            return SeenRow(key, self.name, "stored", m.published_at, story)
        voice = voice_hash(m.voice)
        share = placement.share
        complaint = share.complaint if share is not None else None
        spread.observe(m.published_at, voice, m.followers, m.kind, complaint)
        self._dirty.add(story)
        if not m.repost_of and spread.voices < TIDE_VOICES:
            self._hear(m, complaint, voice, share.cause if share is not None else None)
        version = (m.revision, 0, m.published_at, m.id)
        given = Contribution(share, voice, m.followers, m.kind, complaint, m.published_at, version, m.brands)
        self._judge_if_due(story, changes, watch_only=behind)
        if behind and _slot(self._clock, self._settings.tide_s) > self._tide_slot:
            # A backlog is read far faster than ticks come: what holds must have held before the last of them.
            self._judge_tides(changes, watch_only=True)
        return SeenRow(key, self.name, "stored", m.published_at, story, m.revision, msgspec.msgpack.encode(given))

    def _place(self, m: ReadMention, related: str | None, changes: Changes) -> Placement:
        """Let the grouper place a mention, and follow its merges."""
        placement = self._grouper.place(m, related)
        for merge in placement.merges:
            self._merge(merge.src, merge.into, changes)
        story = placement.story
        self._touched.add(story)
        self._erased.discard(story)
        if story not in self._spreads:
            self._spreads[story] = StorySpread()
            self._minds.setdefault(story, _Mind())
        return placement

    @staticmethod
    def amendment(m: ReadMention) -> Amendment:
        """Return what an edit or delete asks for, as it is kept until its target comes."""
        if m.kind == "delete":
            return Amendment((m.revision or FINAL, 2, m.published_at, m.id))
        return Amendment((m.revision, 1, m.published_at, m.id), m)

    def amend(self, row: SeenRow, amendment: Amendment, at: float, changes: Changes) -> SeenRow:
        """Apply an edit or delete to a mention already counted; the highest version wins, whatever the order."""
        self._clock = max(self._clock, at)
        if row.share is None:
            return row  # the brand's own words gave nothing
        given = msgspec.msgpack.decode(row.share, type=Contribution)
        if amendment.version <= given.version:
            return row
        story = self._resolve(row.story)
        share = given.share
        if share is not None and story is not None and story in self._spreads and story in self._grouper:
            self._grouper.withdraw(story, share)
            self._spreads[story].withdraw(given.at, given.voice, given.followers, given.kind, given.complaint)
            self._touched.add(story)
            self._dirty.add(story)
            if story not in self._grouper:
                self._erased.add(story)
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
            umbrella=self.name,
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
        self._spreads[placement.story].observe(given.at, given.voice, given.followers, given.kind, complaint)
        self._dirty.add(placement.story)
        return placement.story, share

    def _resolve(self, story: str | None) -> str | None:
        while story is not None and story in self._aliases:
            story = self._aliases[story]
        return story

    def _merge(self, src: str, into: str, changes: Changes) -> None:
        gone = self._spreads.pop(src, None)
        mind = self._minds.pop(src, None)
        self._dirty.discard(src)
        self._held.discard(src)
        self._touched.discard(src)
        self._aliases[src] = into
        self._merged.append((src, into))
        if gone is not None:
            self._spreads.setdefault(into, StorySpread()).absorb(gone)
        kept = self._minds.setdefault(into, _Mind())
        if mind is not None and _more(mind.memory, kept.memory):
            self._remember(into, kept, mind.memory)
        if mind is not None and mind.crossed_at is not None and kept.crossed_at is None:
            kept.crossed_at = mind.crossed_at
        changes.events.append(Merge(self._clock, self.name, src, into))

    def _hear(self, m: ReadMention, complaint: float | None, voice: int, cause: str | None) -> None:
        for brand in self._roll_up(m.brands or (self.name,)):
            watch = self._brands.get(brand)
            if watch is None:
                watch = self._brands[brand] = BrandWatch(self.name, brand)
            watch.hear(m, complaint, voice, cause)
            self._touched_brands.add(brand)

    def _roll_up(self, brands: tuple[str, ...]) -> Iterable[str]:
        out = dict.fromkeys(brands)
        for brand in brands:
            out.update(dict.fromkeys(self._tree.ancestors(brand)))
        return out

    # -- time passes

    def tick(
        self, now: float, *, behind: bool, caught_up_since: float | None, changes: Changes, hush: bool = False
    ) -> None:
        """Let time pass to `now`: judge what waits, close what is idle.

        `caught_up_since`: a backlog that began then ends here, so what still holds is decided now. `hush`: what is
        decided now is only remembered; nobody is told.
        """
        self._clock = max(self._clock, now)
        self._hushed = hush
        if caught_up_since is not None:
            for story in sorted(self._spreads):
                if story in self._grouper:
                    self._judge(story, changes, since=caught_up_since)
            self._judge_tides(changes, since=caught_up_since)
        else:
            for story in sorted(self._due(now)):
                if story in self._grouper:
                    self._judge(story, changes, watch_only=behind)
            self._ask_shadows(now, changes, watch_only=behind)
            if _slot(now, self._settings.tide_s) > self._tide_slot:
                self._judge_tides(changes, watch_only=behind)
        if _slot(now, self._settings.expire_s) > self._expire_slot:
            self._expire_slot = _slot(now, self._settings.expire_s)
            self._expire(now)
        self._hushed = False

    def _due(self, now: float) -> list[str]:
        pace = self._settings.pace_s
        due = [story for story in self._dirty if now - self._minds[story].judged_at >= pace]
        settle = self._settings.settle_s
        due += [s for s in self._held if s not in self._dirty and now - self._minds[s].judged_at >= settle]
        return due

    def _expire(self, now: float) -> None:
        for story in self._grouper.expire(now):
            if story in self._grouper:
                continue  # it came back since
            self._spreads.pop(story, None)
            self._minds.pop(story, None)
            self._dirty.discard(story)
            self._held.discard(story)
            self._touched.discard(story)
            self._closed.append(story)

    # -- judging

    def _judge_if_due(self, story: str, changes: Changes, *, watch_only: bool) -> None:
        if self._clock - self._minds[story].judged_at >= self._settings.pace_s and story in self._grouper:
            self._judge(story, changes, watch_only=watch_only)

    def _judge(self, story: str, changes: Changes, *, watch_only: bool = False, since: float | None = None) -> None:
        mind = self._minds[story]
        spread = self._spreads[story]
        self._dirty.discard(story)
        mind.judged_at = self._clock
        if spread.voices < self._settings.min_voices and mind.memory.severity is None:
            return
        view = self._view(story, spread)
        now = self._clock
        figures = view.spread
        if mind.crossed_at is None and figures is not None and figures.forecast.minutes_to_viral == 0.0:
            mind.crossed_at = now
            self._touched.add(story)
            changes.events.append(Crossing(now, self.name, story, figures.size, figures.line.size))
        decision, memory = evaluate(self.rules, view, mind.memory, now)
        changes.rule_errors.update(decision.errors)
        shadows = self._shadow(view, mind.shadows, changes, watch_only=watch_only)
        if watch_only or (decision.action == "open" and self._already_told(story, view, decision)):
            memory = _undecided(memory, mind.memory)
        elif decision.action != "none":
            self._conclude(in_words(view, self._grouper.story(story)), decision, since, changes)
        self._keep_shadows(story, mind, shadows)
        if memory != mind.memory:
            self._remember(story, mind, memory)
            self._touched.add(story)

    def _keep_shadows(self, story: str, mind: _Mind, shadows: dict[str, RuleMemory]) -> None:
        """Remember what the shadow rules remember of a story, and to ask them again as time passes."""
        if shadows:
            self._shadowed[story] = self._clock
        else:
            self._shadowed.pop(story, None)
        if shadows != mind.shadows:
            mind.shadows = shadows
            self._touched.add(story)

    def _ask_shadows(self, now: float, changes: Changes, *, watch_only: bool) -> None:
        """Let time pass for the shadow rules alone: the live ones are judged as if there were none."""
        for story in sorted(self._shadowed):
            if now - self._shadowed[story] < self._settings.settle_s:
                continue
            if story not in self._grouper or story not in self._spreads:
                self._shadowed.pop(story)
                continue
            mind = self._minds[story]
            view = self._view(story, self._spreads[story])
            self._keep_shadows(story, mind, self._shadow(view, mind.shadows, changes, watch_only=watch_only))

    def _shadow(
        self, view: StoryView, memories: dict[str, RuleMemory], changes: Changes, *, watch_only: bool
    ) -> dict[str, RuleMemory]:
        """Record what each shadow rule would have done; returns what they remember."""
        kept: dict[str, RuleMemory] = {}
        for rule in self.rules.scope(view.kind, view.brand, view.umbrella).shadows:
            before = memories.get(rule.name, RuleMemory())
            decision, memory = evaluate(self.rules, view, before, self._clock, shadow=rule.name)
            changes.rule_errors.update(decision.errors)
            if watch_only:
                memory = _undecided(memory, before)
            elif decision.action != "none" and not self._hushed:
                changes.shadows.append(ShadowAct(self._clock, self.name, view.brand, view.story, rule.name, decision))
            if memory != RuleMemory():
                kept[rule.name] = memory
        return kept

    def _remember(self, story: str, mind: _Mind, memory: RuleMemory) -> None:
        mind.memory = memory
        if memory == RuleMemory():
            self._held.discard(story)
        else:
            self._held.add(story)

    def _conclude(self, view: StoryView, decision: Decision, since: float | None, changes: Changes) -> None:
        if decision.action != "none" and not self._hushed:
            changes.events.append(Act(self._clock, view, decision, since))

    def _judge_tides(self, changes: Changes, *, watch_only: bool = False, since: float | None = None) -> None:
        now = self._clock
        self._tide_slot = max(self._tide_slot, _slot(now, self._settings.tide_s))
        self._lines.clear()
        for brand in sorted(self._brands):
            watch = self._brands[brand]
            if not watch.stirred and watch.wave is None:
                watch.tide.tick(now)
                continue  # nothing was heard: it cannot have become a wave
            watch.stirred = False
            tide = watch.tide.assess(now)
            story = watch.wave
            if tide.wave_since is not None and story is None:
                if self._wave_nearby(brand):
                    continue  # the same wave, seen from above or below: one page
                story = watch.story_id(tide)
                self._touched_brands.add(brand)
            if story is None:
                continue
            if watch.memory.severity is None and not watch.explained and self._paged_about(brand):
                watch.explained = True
            if watch.explained and tide.wave_since is not None:
                continue  # people retell the story that somebody was already paged about: one matter, one page
            view = watch.view(story, tide)
            decision, memory = evaluate(self.rules, view, watch.memory, now)
            changes.rule_errors.update(decision.errors)
            watch.shadows = self._shadow(view, watch.shadows, changes, watch_only=watch_only)
            if watch_only:
                memory = _undecided(memory, watch.memory)
            else:
                self._conclude(view, decision, since, changes)
            self._touched_brands.add(brand)
            watch.memory = memory
            if tide.wave_since is None and memory.severity is None:
                watch.wave = None
                watch.explained = False
                watch.memory = RuleMemory()
                watch.shadows = {}

    def _wave_nearby(self, brand: str) -> bool:
        family = set(self._tree.ancestors(brand))
        return any(
            watch.wave is not None and (other in family or brand in self._tree.ancestors(other))
            for other, watch in self._brands.items()
            if other != brand
        )

    def _paged_about(self, brand: str) -> list[str]:
        """Return the stories of this brand, of those above and of those below it, that stand at page or crisis now."""
        paged = []
        for story in self._held:
            if self._minds[story].memory.severity in {"page", "crisis"} and story in self._grouper:
                other = self._grouper.story(story).brand() or self.name
                if other == brand or other in self._tree.ancestors(brand) or brand in self._tree.ancestors(other):
                    paged.append(story)
        return paged

    def _already_told(self, story: str, view: StoryView, decision: Decision) -> bool:
        """Whether somebody was already paged about this matter: told in other words it began as a story of its own.

        It is held to be the same matter if it is about the same brand, began later than a story that stands paged, and
        shares telling words with it. If it shares one only, it still pages where it is almost sure to go viral, or
        bigger: whoever was paged is at work on this brand's storm, and most of what grows beside one is a part of it.
        """
        if decision.severity not in {"page", "crisis"}:
            return False
        entry = self._grouper.story(story)
        words = _telling(entry) - self._names  # two matters of one brand both name it
        likely = view.spread.forecast.p_viral >= ANOTHER_P if view.spread is not None else True
        for other in self._paged_about(entry.brand() or self.name):
            paged = self._grouper.story(other)
            if other == story or paged.first_at > entry.first_at:
                continue
            shared = len(words & _telling(paged))
            if shared >= SAME_WORDS or (shared and not likely and view.voices < self._spreads[other].voices):
                return True
        return False

    def _line(self, brand: str) -> ViralLine:
        line = self._lines.get(brand)
        if line is None:
            configured = self._tree.viral_line(brand)
            if configured is not None:
                line = ViralLine(configured[0], configured[1], "configured")
            else:
                watch = self._brands.get(brand)
                line = watch.tide.line() if watch else BrandWatch(self.name, brand).tide.line()
            self._lines[brand] = line
        return line

    def _view(self, story: str, spread: StorySpread) -> StoryView:
        entry = self._grouper.story(story)
        brand = entry.brand() or self.name
        figures = spread.assess(self._clock - self._settings.grace_s, self._line(brand))
        return story_view(entry, brand, figures, self._brands_hit(entry))

    def _brands_hit(self, story: Story) -> int:
        """Count the brands, none an ancestor of another, that each hold a tenth of the story or more."""
        least = max(story.size / 10, 3)
        named = {brand for brand, n in story.brands.items() if n >= least}
        above = {ancestor for brand in named for ancestor in self._tree.ancestors(brand)}
        return max(len(named - above), 1)

    # -- to and from the store

    def collect(self, changes: Changes) -> None:
        """Hand over the rows of all that this batch touched."""
        for src, into in self._merged:
            changes.stories.pop((self.name, src), None)
            changes.stories[self.name, src] = StoryRow(
                self.name, src, "", "story", "", 0, 0, 0.0, self._clock, None, closed=True, merged_into=into, state=b""
            )
        self._merged.clear()
        for story in self._touched:
            if story in self._grouper:  # else a flood has pushed it out of memory
                changes.stories[self.name, story] = self._row(story)
            elif story in self._erased:
                changes.stories[self.name, story] = StoryRow(
                    self.name, story, "", "story", "", 0, 0, 0.0, self._clock, None, closed=True, merged_into=None,
                    state=b"",
                )  # fmt: skip
        self._touched.clear()
        self._erased.clear()
        changes.closed += [(self.name, story) for story in self._closed if story not in self._grouper]
        self._closed.clear()
        for brand in self._touched_brands:
            changes.tides[self.name, brand] = TideRow(self.name, brand, self._brands[brand].dump())
        self._touched_brands.clear()

    def _row(self, story: str) -> StoryRow:
        spread = self._spreads[story]
        entry = self._grouper.story(story)
        mind = self._minds[story]
        kept = _Kept(self._grouper.dump(story), spread.dump(), mind)
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
        self._clock = clock
        self._tide_slot = _slot(clock, self._settings.tide_s)
        self._expire_slot = _slot(clock, self._settings.expire_s)
        blobs = []
        for row in stories:
            if row.merged_into is not None:
                self._aliases[row.story] = row.merged_into
                continue
            kept = msgspec.msgpack.decode(row.state, type=_Kept)
            blobs.append(kept.story)
            self._spreads[row.story] = StorySpread.load(kept.spread)
            self._minds[row.story] = kept.mind
            self._dirty.add(row.story)  # its last mention may not have been judged
            if kept.mind.shadows:
                self._shadowed[row.story] = clock
            if kept.mind.memory != RuleMemory():
                self._held.add(row.story)
        self._grouper.restore(blobs)
        for tide in tides:
            watch = BrandWatch(self.name, tide.brand)
            watch.restore(tide.state)
            self._brands[tide.brand] = watch


def _undecided(new: RuleMemory, old: RuleMemory) -> RuleMemory:
    """Return what is remembered when nothing may be decided: hold-downs run on, the severity stays."""
    return msgspec.structs.replace(new, severity=old.severity, calm_since=old.calm_since)


def _slot(now: float, every: float) -> float:
    """Return which stretch of `every` seconds `now` lies in: what happens once a stretch needs no memory of its own."""
    return now // every


def _more(one: RuleMemory, other: RuleMemory) -> bool:
    """Return whether `one` has more to remember than `other`: where two stories stand when they become one."""
    if (one.severity is None) != (other.severity is None):
        return one.severity is not None
    return other == RuleMemory()


def _telling(story: Story) -> set[str]:
    """Return the words that tell a story from others."""
    return {word for phrase in story.phrases(8) for word in phrase.split()}


def _names(tree: BrandTree, umbrella: str) -> frozenset[str]:
    """Return the words of an umbrella's names, and of all below it; without a tree those of its id."""
    nodes = [node for node in tree.nodes if tree.umbrella_of(node.id) == umbrella]
    said = {umbrella, *(name for node in nodes for name in (*node.aliases, *node.handles))}
    return frozenset(word for name in said for word in name.replace("-", " ").split())


SAME_WORDS = 2
"""Telling words that two stories of one brand share if they are one matter told twice."""

ANOTHER_P = 0.9
"""Probability of going viral from which on a second matter of a brand that stands paged is worth a page of its own."""

TIDE_VOICES = 8
"""A mention of a story with so many voices is judged with it, not with the brand's tide: one matter, one page."""
