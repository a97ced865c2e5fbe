"""A file of mentions through the production grouping: placements and merges as they happen, stories as they end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from monitor.sentiment.reading import Origin, ReadMention
from monitor.story.ahead import read_ahead
from monitor.story.grouper import Grouper
from monitor.story.read import parents
from monitor.story.recent import Recent
from monitor.story.types import Share, StorySettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.brand.match import BrandMatcher
    from monitor.mention.model import Mention
    from monitor.sentiment.reading import Reading
    from monitor.story.story import Story
    from monitor.story.types import Merge

WHOLE = "all"
"""The umbrella of a file that is read without a brand tree."""
KEPT = 1_000_000
READ_CHARS = 2_000
_NOWHERE = Origin(0, 0, 0.0)


class Placed(Struct, frozen=True):
    """A mention was put into a story."""

    id: str
    story: str


class Counts(Struct):
    """What became of the mentions of a file."""

    placed: int = 0
    repeated: int = 0
    no_brand: int = 0
    edits: int = 0
    deletes: int = 0
    orphans: int = 0
    dead: int = 0


class _Kept(Struct):
    """What is remembered of a placed mention, to take it out again or to find its story."""

    umbrella: str
    story: str
    mention: ReadMention | None
    share: Share | None
    revision: int = 0


class Tally(Struct):
    """What a story's own state does not hold: exact voices, and mentions an hour."""

    voices: set[int]
    hours: Counter[int]


class Replay:
    """Groups mentions in the order given. Each is placed when it is taken, whatever comes later.

    Args:
        settings: of the grouping.
        matcher: resolves brands; without one everything is one umbrella, and a mention's `brand` its only brand.
    """

    def __init__(self, settings: StorySettings | None = None, matcher: BrandMatcher | None = None) -> None:
        self._settings = settings or StorySettings()
        self._matcher = matcher
        self._groupers: dict[str, Grouper] = {}
        self._kept: Recent[list[_Kept]] = Recent(KEPT)
        self._waiting: Recent[tuple[Mention, Reading | None]] = Recent(KEPT // 10)
        self._into: dict[str, str] = {}
        self._grown: dict[str, Story] = {}
        self._tallies: dict[str, Tally] = {}
        self._clock = 0.0
        self.counts = Counts()

    @staticmethod
    def expect(mentions: Sequence[Mention], readings: Sequence[Reading | None]) -> None:
        """Read mentions that will be taken next ahead: they are placed quicker, and no differently."""
        read_ahead(
            (mention.text[:READ_CHARS], reading.vector if reading else None)
            for mention, reading in zip(mentions, readings, strict=True)
        )

    def take(self, mention: Mention, reading: Reading | None) -> Iterator[Placed | Merge]:
        """Place a mention; yield what happened, merges before the placement that they belong to."""
        key = f"{mention.source}:{mention.id}"
        if self._kept.get(key) is not None:
            self.counts.repeated += 1
            return
        self._clock = max(self._clock, mention.published_at.timestamp())
        if mention.kind in {"edit", "delete"}:
            yield from self._amend(mention, reading)
            return
        homes = self._homes(mention)
        if not homes:
            self.counts.no_brand += 1
            return
        kept: list[_Kept] = []
        for umbrella, brands in homes:
            m = self._read(mention, reading, umbrella, brands)
            yield from self._place(m, kept, self._related(m))
        self._kept.put(key, kept)
        self.counts.placed += 1
        if (late := self._waiting.pop(key)) is not None:
            self.counts.orphans -= 1
            yield from self._amend(*late)

    def _homes(self, mention: Mention) -> list[tuple[str, tuple[str, ...]]]:
        if self._matcher is None:
            return [(WHOLE, (mention.brand,) if mention.brand else ())]
        hits = self._matcher.match(mention)
        if hits:
            return [(hit.umbrella, hit.brands) for hit in hits]
        above = (
            self._kept.get(f"{mention.source}:{name}") for name in (mention.in_reply_to, mention.repost_of) if name
        )
        return [(kept.umbrella, ()) for found in above if found for kept in found[:1]]

    def _read(
        self, mention: Mention, reading: Reading | None, umbrella: str, brands: tuple[str, ...], name: str | None = None
    ) -> ReadMention:
        at = mention.published_at.timestamp()
        return ReadMention(
            umbrella,
            brands,
            name or mention.id,
            mention.source,
            mention.kind,
            at,
            at,
            mention.text[:READ_CHARS],
            _NOWHERE,
            reading,
            mention.author,
            mention.in_reply_to,
            mention.repost_of,
            mention.target,
            mention.revision,
            mention.url,
            mention.engagement,
            own=self._matcher is not None and self._matcher.is_own(mention),
        )

    def _related(self, m: ReadMention) -> str | None:
        for parent in parents(m):
            for kept in self._kept.get(parent) or ():
                if kept.umbrella == m.umbrella:
                    return kept.story
        return None

    def _place(self, m: ReadMention, kept: list[_Kept], related: str | None) -> Iterator[Placed | Merge]:
        grouper = self._groupers.get(m.umbrella)
        if grouper is None:
            names = self._matcher.tree.words_of(m.umbrella) if self._matcher is not None else frozenset()
            grouper = self._groupers[m.umbrella] = Grouper(m.umbrella, self._settings, names=names)
        grouper.expire(self._clock)
        placement = grouper.place(m, related)
        for merge in placement.merges:
            self._merge(merge)
            yield merge
        story = placement.story
        kept.append(_Kept(m.umbrella, story, m if m.text else None, placement.share, m.revision))
        if not m.own:
            tally = self._tallies.setdefault(story, Tally(set(), Counter()))
            tally.voices.add(hash(m.voice))
            tally.hours[int(m.published_at // 3600)] += 1
        live = grouper.story(story)
        if live.size > 1:
            self._grown[story] = live
        yield Placed(m.id, story)

    def _merge(self, merge: Merge) -> None:
        self._into[merge.src] = merge.into
        self._grown.pop(merge.src, None)
        gone = self._tallies.pop(merge.src, None)
        if gone is not None:
            tally = self._tallies.setdefault(merge.into, Tally(set(), Counter()))
            tally.voices |= gone.voices
            tally.hours.update(gone.hours)

    def _amend(self, mention: Mention, reading: Reading | None) -> Iterator[Placed | Merge]:
        """Apply an edit or delete: the highest revision wins; one that comes before its target waits for it."""
        target = f"{mention.source}:{mention.target}"
        found = self._kept.get(target)
        if found is None:
            waiting = self._waiting.get(target)
            if waiting is None or mention.revision >= waiting[0].revision:
                self._waiting.put(target, (mention, reading))
            self.counts.orphans += waiting is None
            return
        self.counts.deletes += mention.kind == "delete"
        self.counts.edits += mention.kind == "edit"
        for kept in found:
            if mention.revision < kept.revision or kept.share is None:
                continue
            grouper = self._groupers[kept.umbrella]
            story = self.resolve(kept.story)
            old, kept.share, kept.revision = kept.share, None, mention.revision
            if story not in grouper:
                continue
            if mention.kind == "edit":
                m = self._read(mention, reading, kept.umbrella, old.brands, mention.target)
                fresh: list[_Kept] = []
                for event in self._place(m, fresh, story):
                    if not isinstance(event, Placed):
                        yield event
                kept.share = fresh[0].share
                self._tallies[self.resolve(story)].hours[int(m.published_at // 3600)] -= 1
            grouper.withdraw(story, old, kept.mention)

    def resolve(self, story: str) -> str:
        """Return the id under which a story goes on after all merges so far."""
        while story in self._into:
            story = self._into[story]
        return story

    def grown(self) -> list[tuple[Story, Tally]]:
        """Return the stories that came to more than one mention, closed ones too, the biggest first."""
        found = [(story, self._tallies[name]) for name, story in self._grown.items() if name in self._tallies]
        return sorted(found, key=lambda pair: (-pair[0].size, pair[0].first_at, pair[0].id))
