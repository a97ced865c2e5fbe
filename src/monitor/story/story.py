"""One story's live state: counts, words, exemplars and quotes, in bounded memory."""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct

from monitor.story.types import Saying, Share, Shares
from monitor.story.words import Text, short_name, shorten, take_apart, without_repost_mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.sentiment.reading import ReadMention
    from monitor.story.lexicon import Lexicon
    from monitor.story.meaning import Mean

MOST_WORDS = 64
WORD = 10
"""What a word counts in a mention of full weight; small whole numbers take no memory of their own."""
MOST_EXEMPLARS = 5
MOST_NAMES = 12
MOST_LINKS = 6
MOST_ABSORBED = 24
SAYING_CHARS = 240
EXEMPLAR_CHARS = 320
HEADLINE_CHARS = 120
HOLDS_MOST = 0.6
"""A brand holds most of a story from this share of its mentions on."""
CAUSE_SHARE = 0.5
"""A story has a cause if this share of its complaints has it."""
PHRASE_TEXTS = 10.0
"""Of so many average texts the words are held against a word's use at all, in `Story.phrases`."""


class Exemplar(Struct, gc=False):
    """A real text kept whole (shortened) to find copies by and to take the headline from."""

    key: str
    text: str
    at: float
    hits: int = 1
    promo: bool = False
    slot: int = -1
    story: str = ""


def bump(counts: dict[str, int], name: str, by: int = 1) -> None:
    """Add `by` to a name's count; beyond `MOST_NAMES` names the rarest falls out; a count of 0 goes."""
    now = counts.get(name, 0) + by
    if now <= 0:
        counts.pop(name, None)
        return
    counts[name] = now
    if len(counts) > MOST_NAMES:
        del counts[min((n, k) for k, n in counts.items() if k != name)[1]]


def most(counts: dict[str, int]) -> str | None:
    """Return the commonest name (alphabetical on ties), or None."""
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


class Story:
    """Mentions of one matter. Own accounts' mentions are answers: they count in `own_replies` and nowhere else.

    `size` counts mentions of others. `brands`, `sources`, `langs` and `causes` are bounded counts of the commonest.
    `returned_after_s` is set when the story had been closed and came back: the seconds it had been silent.
    """

    __slots__ = (
        "absorbed",
        "biggest",
        "brands",
        "causes",
        "complaint",
        "exemplars",
        "first",
        "first_at",
        "id",
        "langs",
        "last_at",
        "latest",
        "lexicon",
        "links",
        "mean",
        "negative",
        "own_replies",
        "positive",
        "promos",
        "read",
        "reposts",
        "returned_after_s",
        "size",
        "sources",
        "suspects",
        "tags",
        "umbrella",
        "unread",
        "words",
    )  # fmt: skip

    def __init__(self, story_id: str, umbrella: str, at: float, lexicon: Lexicon) -> None:
        self.id = story_id
        self.umbrella = umbrella
        self.lexicon = lexicon
        self.first_at = at
        self.last_at = at
        self.size = 0
        self.own_replies = 0
        self.read = 0
        self.complaint = 0.0
        self.negative = 0.0
        self.positive = 0.0
        self.reposts = 0
        self.unread = 0
        self.promos = 0
        self.suspects = 0
        self.brands: dict[str, int] = {}
        self.sources: dict[str, int] = {}
        self.langs: dict[str, int] = {}
        self.causes: dict[str, int] = {}
        self.words: dict[str, int] = {}
        self.exemplars: list[Exemplar] = []
        self.links: tuple[str, ...] = ()  # mostly empty, which takes no memory in a tuple
        self.tags: tuple[str, ...] = ()
        self.absorbed: tuple[str, ...] = ()
        self.first: Saying | None = None
        self.biggest: Saying | None = None
        self.latest: Saying | None = None
        self.mean: Mean | None = None
        self.returned_after_s: float | None = None

    def add(self, m: ReadMention, text: Text, share: Share, weight: float = 1.0) -> None:
        """Count a mention in, keep its words `weight` times, and quote it if it is first, latest or biggest."""
        self.first_at = min(self.first_at, share.at)
        self.last_at = max(self.last_at, share.at)
        self._count(share, 1)
        if share.own:
            return
        self.add_words(text.content, round(weight * WORD))
        if m.text and not m.text.isspace():
            self._quote(m, short_name(share.key))

    def remove(self, share: Share, text: Text | None = None) -> None:
        """Take a mention's share out again; with its `text` the words go too. Its quotes and exemplars always go."""
        self._count(share, -1)
        if text is not None and not share.own:
            self.add_words(text.content, -WORD)
        self.first, self.biggest, self.latest = (
            None if saying and saying.key == short_name(share.key) else saying
            for saying in (self.first, self.biggest, self.latest)
        )

    def _count(self, share: Share, by: int) -> None:
        if share.own:
            self.own_replies += by
            return
        self.size += by
        bump(self.sources, share.source, by)
        for brand in share.brands:
            bump(self.brands, brand, by)
        if share.lang:
            bump(self.langs, share.lang, by)
        self.reposts += by * share.repost
        self.promos += by * share.promo
        self.suspects += by * share.suspect
        if share.complaint is None and share.negative is None:
            self.unread += by
            return
        self.read += by
        self.complaint += by * (share.complaint or 0.0)
        self.negative += by * (share.negative or 0.0)
        self.positive += by * (share.positive or 0.0)
        if share.cause:
            bump(self.causes, share.cause, by)

    def add_words(self, words: Iterable[str], by: int) -> None:
        """Add `by` to each word's count; the commonest `MOST_WORDS` are kept."""
        counts = self.words
        for word in words:
            counts[word] = counts.get(word, 0) + by
        if by < 0:
            self.words = {word: n for word, n in counts.items() if n > 0}
        elif len(counts) > 2 * MOST_WORDS:
            self.words = dict(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:MOST_WORDS])

    def _quote(self, m: ReadMention, key: str) -> None:
        at, followers = m.published_at, m.followers or 0
        first = self.first is None or at < self.first.published_at
        latest = self.latest is None or at >= self.latest.published_at
        biggest = self.biggest is None or followers > (self.biggest.followers or 0)
        if not (first or latest or biggest):
            return
        author = m.author
        name = (author.handle or author.name or author.id or "") if author else ""
        url = m.url if m.url and len(m.url) <= SAYING_CHARS else None
        saying = Saying(shorten(m.text, SAYING_CHARS), name[:64], m.followers, at, url, key)
        self.first = saying if first else self.first
        self.latest = saying if latest else self.latest
        self.biggest = saying if biggest else self.biggest

    def absorb(self, other: Story) -> None:
        """Take another story in whole. Exemplars, links and tags are handed over by the grouper."""
        self.first_at = min(self.first_at, other.first_at)
        self.last_at = max(self.last_at, other.last_at)
        for field in (
            "size",
            "own_replies",
            "read",
            "complaint",
            "negative",
            "positive",
            "reposts",
            "unread",
            "promos",
        ):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.suspects += other.suspects
        for mine, theirs in (
            (self.brands, other.brands),
            (self.sources, other.sources),
            (self.langs, other.langs),
            (self.causes, other.causes),
        ):
            for name, n in theirs.items():
                bump(mine, name, n)
        for word, used in other.words.items():
            self.add_words((word,), used)
        pairs = (self.first, other.first), (self.latest, other.latest), (self.biggest, other.biggest)
        first, latest, biggest = ([s for s in pair if s] for pair in pairs)
        self.first = min(first, key=lambda s: s.published_at, default=None)
        self.latest = max(latest, key=lambda s: s.published_at, default=None)
        self.biggest = max(biggest, key=lambda s: s.followers or 0, default=None)
        self.absorbed = (*self.absorbed, *other.absorbed, other.id)[-MOST_ABSORBED:]

    def shares(self) -> Shares:
        """Say what the story is made of."""
        size, read = max(self.size, 1), max(self.read, 1)
        return Shares(
            complaint=_part(self.complaint, read),
            negative=_part(self.negative, read),
            positive=_part(self.positive, read),
            repost=_part(self.reposts, size),
            unread=_part(self.unread, size),
        )

    @property
    def promo_share(self) -> float:
        """The share of giveaways, job adverts and spam."""
        return _part(self.promos, max(self.size, 1))

    @property
    def authentic_share(self) -> float:
        """The share that is not a copy of others' words by a young or small account (a rough estimate)."""
        return 1.0 - _part(self.suspects, max(self.size, 1))

    def authentic_interval(self) -> tuple[float, float]:
        """Return the Wilson 95 % interval of `authentic_share` (Wilson 1927); (0, 1) for an empty story."""
        n, p, z = self.size, self.authentic_share, 1.96
        if n <= 0:
            return 0.0, 1.0
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def cause(self) -> str | None:
        """The commonest cause, if a good part of the complaints has it; else None."""
        name = most(self.causes)
        return name if name and self.causes[name] >= CAUSE_SHARE * self.complaint else None

    def brand(self) -> str:
        """Return the brand that holds most of the story, the most specific first; else the umbrella.

        A mention names its brands most specific first, so a node that holds `HOLDS_MOST` of it is the deepest.
        """
        name = most(self.brands)
        return name if name and self.brands[name] >= HOLDS_MOST * max(self.size, 1) else self.umbrella

    def quotes(self) -> tuple[Saying, ...]:
        """Return the biggest, the first and the latest voice's words, in this order, none twice."""
        found = {s.key: s for s in (self.biggest, self.first, self.latest) if s is not None}
        return tuple(found.values())

    def phrases(self, n: int = 5) -> tuple[str, ...]:
        """Return up to `n` words or pairs of words that tell this story from the others.

        Class-based TF-IDF (Grootendorst, "BERTopic", 2022): a word's share of the story's words, times
        log(1 + words of ten average texts / how often the word is used at all). A pair replaces its words where
        the exemplars use it.
        """
        ranked = sorted(self._weights().items(), key=lambda kv: (-kv[1], kv[0]))
        best = [word for word, _ in ranked[: 2 * n]]
        pairs = self._pairs(set(best))
        found: list[str] = []
        used: set[str] = set()
        for word in best:
            if word in used:
                continue
            phrase = next((p for p in pairs if word in p and not used & set(p)), (word,))
            used.update(phrase)
            found.append(" ".join(phrase))
        return tuple(found[:n])

    def _pairs(self, best: set[str]) -> list[tuple[str, str]]:
        counts: dict[tuple[str, str], int] = {}
        for exemplar in self.exemplars:
            words = take_apart(exemplar.text).words
            for pair in {p for p in pairwise(words) if p[0] in best and p[1] in best and p[0] != p[1]}:
                counts[pair] = counts.get(pair, 0) + exemplar.hits
        least = 2 if self.size > 1 else 1
        return [p for p, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])) if n >= least]

    def _weights(self, some: set[str] | None = None) -> dict[str, float]:
        """Return how much each of the story's words tells it from the others; only those among `some`, if given."""
        counts, known = self.words, self.lexicon.counts
        total = sum(counts.values()) or 1.0
        usual = self.lexicon.words / max(self.lexicon.texts, 1.0) * PHRASE_TEXTS
        words = counts if some is None else counts.keys() & some
        return {w: counts[w] / total * log(1.0 + usual / max(known.get(w, 1.0), 1.0)) for w in words}

    def headline(self) -> str:
        """Return the most central real mention, shortened; promotion only if there is nothing else."""
        if self.exemplars:
            kept = self.exemplars[0] if len(self.exemplars) == 1 else self._most_central()
            return shorten(without_repost_mark(kept.text), HEADLINE_CHARS)
        said = self.biggest or self.first or self.latest
        return shorten(without_repost_mark(said.text), HEADLINE_CHARS) if said else ""

    def _most_central(self) -> Exemplar:
        contents = [take_apart(exemplar.text).content for exemplar in self.exemplars]
        weights = self._weights({word for content in contents for word in content})

        def central(exemplar: Exemplar, content: tuple[str, ...]) -> tuple[bool, float]:
            score = sum([weights.get(word, 0.0) for word in content]) / sqrt(len(content) + 2.0)
            return not exemplar.promo, score * log(1.0 + exemplar.hits + 1.0)

        ranks = [*map(central, self.exemplars, contents)]
        return self.exemplars[ranks.index(max(ranks))]

    def top_words(self, n: int = 12) -> set[str]:
        """Return the `n` commonest words."""
        return {word for word, _ in sorted(self.words.items(), key=itemgetter(1), reverse=True)[:n]}


def _part(some: float, whole: float) -> float:
    return min(1.0, max(0.0, some / whole))
