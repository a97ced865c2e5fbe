"""A brand's tide with what a page needs to speak of it, and what the rules remember of its wave and its budgets."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from monitor.escalation.types import Quote, RuleMemory, StoryView
from monitor.spread import BrandTide, Pulse
from monitor.story.words import take_apart

if TYPE_CHECKING:
    from monitor.escalation.types import Kind
    from monitor.sentiment.reading import ReadMention
    from monitor.spread.types import Burn, Tide

RECENT = 48
"""Complaints kept in words per brand: enough to quote and to name, small enough to be written with every batch."""


class Heard(Struct, frozen=True, array_like=True):
    """A complaint kept to be quoted."""

    at: float
    text: str
    author: str
    followers: int | None
    url: str | None
    voice: int
    source: str
    sentiment: str
    cause: str | None = None


class Remembered(Struct, array_like=True):
    """What the rules remember of a budget, or of the umbrella; `story` is the name that its incident goes by.

    `explained`: somebody was paged about a story or wave that is behind it. `linked` are the incidents' stories that
    were put below it.
    """

    story: str
    memory: RuleMemory = RuleMemory()
    explained: bool = False
    shadows: dict[str, RuleMemory] = {}
    linked: list[str] = []
    cause: str | None = None

    @property
    def standing(self) -> bool:
        """Whether it has an incident now."""
        return self.memory.severity is not None


class _State(Struct, array_like=True):
    tide: bytes
    heard: list[Heard]
    memory: RuleMemory
    wave: str | None
    explained: bool = False
    shadows: dict[str, RuleMemory] = {}
    budgets: dict[str, Remembered] = {}
    together: Remembered | None = None
    pulse: bytes | None = None


class BrandWatch:
    """One brand node: its baseline, its wave, and the words of those who complain."""

    def __init__(self, umbrella: str, brand: str) -> None:
        self.umbrella = umbrella
        self.brand = brand
        self.tide = BrandTide()
        self.heard: deque[Heard] = deque(maxlen=RECENT)
        self.memory = RuleMemory()
        self.shadows: dict[str, RuleMemory] = {}
        self.wave: str | None = None
        self.explained = False  # a story that somebody was paged about is behind the wave
        self.stirred = True  # something was heard since it was last judged
        self.budgets: dict[str, Remembered] = {}  # by cause: those that the rules remember anything of
        self.together: Remembered | None = None  # of a root: what is remembered of the whole umbrella
        self.pulse: Pulse | None = None  # of a root: whether anything is heard of the umbrella at all
        self.seen: Tide | None = None  # as it was last judged

    def hear(self, m: ReadMention, complaint: float | None, voice: int, cause: str | None) -> None:
        """Count a mention; keep its words if it is a complaint."""
        self.stirred = True
        self.tide.observe(m.published_at, complaint, voice, cause)
        if complaint is not None and complaint >= 0.5:  # noqa: PLR2004 -- more likely than not
            author = m.author
            self.heard.append(
                Heard(
                    m.published_at,
                    m.text[:280],
                    (author.handle or author.name or "") if author else "",
                    m.followers,
                    m.url,
                    voice,
                    m.source,
                    m.reading.sentiment.label if m.reading and m.reading.sentiment else "unread",
                    cause,
                )
            )

    def story_id(self, tide: Tide) -> str | None:
        """Return the wave's name while there is one; the same wave keeps its name."""
        if tide.wave_since is None:
            self.wave = None
        elif self.wave is None:
            self.wave = name("w", self.umbrella, self.brand, tide.wave_since)
        return self.wave

    def end_wave(self) -> None:
        """Forget the wave, and what the rules remember of it."""
        self.wave = None
        self.explained = False
        self.memory = RuleMemory()
        self.shadows = {}

    def cause(self, tide: Tide) -> str | None:
        """Return what the wave is about: the cause that stands out, or the one that most of its complaints name."""
        if tide.topic is not None:
            return tide.topic
        heard = self._of_wave(tide)
        causes = Counter(h.cause for h in heard if h.cause is not None)
        most, count = min(causes.items(), key=lambda kv: (-kv[1], kv[0]), default=(None, 0))
        return most if 2 * count > len(heard) else None

    def view(self, story: str, tide: Tide) -> StoryView:
        """Return what the rules and the page see of the wave."""
        view = self._view(story, "wave", self._of_wave(tide), _since(tide), tide.at)
        size, voices = round(tide.observed), tide.voices
        return msgspec.structs.replace(view, size=size, voices=voices, cause=self.cause(tide), tide=tide)

    def _of_wave(self, tide: Tide) -> list[Heard]:
        return [h for h in self.heard if h.at >= _since(tide) - tide.window_s] or list(self.heard)

    def budget_view(self, story: str, burn: Burn) -> StoryView:
        """Return what the rules and the page see of a cause's budget."""
        window, _, people, _ = burn.fastest()
        since = burn.at - {"hour": 3600.0, "6 h": 6 * 3600.0, "3 days": 3 * 86_400.0}[window]
        heard = [h for h in self.heard if h.cause == burn.cause]
        view = self._view(story, "budget", heard, since, burn.at)
        return msgspec.structs.replace(view, size=burn.people_3d, voices=people, cause=burn.cause, burn=burn)

    def _view(self, story: str, kind: Kind, heard: list[Heard], since: float, at: float) -> StoryView:
        """Return a view of complaints, in people's own words."""
        words: Counter[str] = Counter()
        for h in heard:
            words.update(set(take_apart(h.text).content))
        common = {word: n for word, n in words.items() if n > 1}
        central = max(
            heard, key=lambda h: (sum(common.get(w, 0) for w in set(take_apart(h.text).content)), h.at), default=None
        )
        quotes: dict[int, Quote] = {}
        if heard:
            biggest = max(heard, key=lambda h: (h.followers or 0, h.at))
            for said in (biggest, heard[0], heard[-1]):
                quotes.setdefault(id(said), Quote(said.text, said.author, said.followers, said.at, said.url))
        phrases = tuple(word for word, _ in sorted(common.items(), key=lambda kv: (-kv[1], kv[0]))[:4])
        negative = sum(h.sentiment == "negative" for h in heard) / len(heard) if heard else 0.0
        return StoryView(
            umbrella=self.umbrella,
            story=story,
            brand=self.brand,
            kind=kind,
            headline=central.text if central else "",
            first_at=since,
            last_at=heard[-1].at if heard else at,
            size=len(heard),
            voices=len({h.voice for h in heard}),
            own_replies=0,
            complaint_share=1.0,
            negative_share=negative,
            positive_share=0.0,
            repost_share=0.0,
            unread_share=0.0,
            cause=None,
            sources=tuple(sorted(Counter(h.source for h in heard).items())),
            quotes=tuple(quotes.values())[:3],
            phrases=phrases,
        )

    def dump(self) -> bytes:
        """Return the state as bytes."""
        # The tide's bitmaps are mostly zeros, and this is written with every batch.
        tide = zlib.compress(self.tide.dump(), 1)
        state = _State(
            tide, list(self.heard), self.memory, self.wave, self.explained, self.shadows, self.budgets,
            self.together, self.pulse.dump() if self.pulse is not None else None,
        )  # fmt: skip
        return msgspec.msgpack.encode(state)

    def restore(self, blob: bytes) -> None:
        """Take up a dumped state."""
        state = msgspec.msgpack.decode(blob, type=_State)
        self.tide = BrandTide.load(zlib.decompress(state.tide))
        self.heard = deque(state.heard, maxlen=RECENT)
        self.memory = state.memory
        self.wave = state.wave
        self.explained = state.explained
        self.shadows = state.shadows
        self.budgets = state.budgets
        self.together = state.together
        self.pulse = Pulse.load(state.pulse) if state.pulse is not None else None


def _since(tide: Tide) -> float:
    return tide.wave_since if tide.wave_since is not None else tide.at - tide.window_s


def name(letter: str, umbrella: str, brand: str, since: float, cause: str = "") -> str:
    """Return the name of a wave, a budget or an umbrella's trouble: the same on every machine and in every replay.

    >>> name("w", "aurora", "aurora-air", 7.2) == name("w", "aurora", "aurora-air", 7.9)
    True
    """
    seed = "\0".join([umbrella, brand, str(int(since)), *filter(None, [cause])]).encode()
    return letter + blake2b(seed, digest_size=6).hexdigest()
