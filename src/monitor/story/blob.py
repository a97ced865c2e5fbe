"""A story as bytes and back: MessagePack, one story a blob, at most `MOST_BYTES`."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from monitor.story.meaning import Mean
from monitor.story.story import Exemplar, Story
from monitor.story.types import Saying

if TYPE_CHECKING:
    from monitor.story.lexicon import Lexicon

MOST_BYTES = 6_000
VERSION = 1


class StoryBlobError(ValueError):
    """A stored story cannot be read: it is damaged, or of a later version. Replay the mentions to rebuild it."""


class _Blob(msgspec.Struct, array_like=True, frozen=True):
    version: int
    id: str
    umbrella: str
    first_at: float
    last_at: float
    numbers: tuple[float, ...]
    brands: dict[str, int]
    sources: dict[str, int]
    langs: dict[str, int]
    causes: dict[str, int]
    words: dict[str, int]
    exemplars: list[tuple[str, str, float, int, bool]]
    links: tuple[str, ...]
    tags: tuple[str, ...]
    absorbed: tuple[str, ...]
    sayings: tuple[Saying | None, Saying | None, Saying | None]
    returned_after_s: float | None = None
    mean: Mean | None = None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Blob)
_NUMBERS = (
    "size", "own_replies", "read", "complaint", "negative", "positive", "reposts", "unread", "promos", "suspects",
)  # fmt: skip
_numbers = attrgetter(*_NUMBERS)
_WHOLE = {"size", "own_replies", "read", "reposts", "unread", "promos", "suspects"}


def _few(counts: dict[str, int], names: int) -> dict[str, int]:
    if len(counts) <= names:
        return counts
    return dict(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:names])


def _pack(story: Story, exemplars: int, words: int, names: int) -> bytes:
    counts = story.words
    kept = sorted(sorted(counts), key=counts.__getitem__, reverse=True)[:words]  # by count, then by name
    return _ENCODER.encode(
        _Blob(
            VERSION,
            story.id,
            story.umbrella,
            story.first_at,
            story.last_at,
            tuple(map(float, _numbers(story))),
            _few(story.brands, names),
            _few(story.sources, names),
            _few(story.langs, names),
            _few(story.causes, names),
            {word: counts[word] for word in kept},
            [(e.key, e.text, e.at, e.hits, e.promo) for e in story.exemplars[:exemplars]],
            story.links[-2 * names :],
            story.tags[-2 * names :],
            story.absorbed[-2 * names :],
            (story.first, story.biggest, story.latest),
            story.returned_after_s,
            story.mean,
        )
    )


def pack(story: Story) -> bytes:
    """Return the story as bytes; one that is too long (many-byte scripts) keeps fewer exemplars, words and names."""
    blob = _pack(story, len(story.exemplars), 64, 12)
    for exemplars, words, names in ((3, 48, 12), (2, 32, 6), (1, 16, 4), (0, 8, 2), (0, 4, 1)):
        if len(blob) <= MOST_BYTES:
            break
        blob = _pack(story, exemplars, words, names)
    return blob


def unpack(blob: bytes, lexicon: Lexicon) -> Story:
    """Return the story that `pack` wrote. Raises `StoryBlobError`."""
    try:
        kept = _DECODER.decode(blob)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise StoryBlobError(f"a stored story cannot be read: {error}; replay its mentions to rebuild it") from error
    if kept.version != VERSION:
        raise StoryBlobError(f"a stored story is of version {kept.version}, this program reads {VERSION}")
    story = Story(kept.id, kept.umbrella, kept.first_at, lexicon)
    story.last_at = kept.last_at
    for name, number in zip(_NUMBERS, kept.numbers, strict=True):
        setattr(story, name, int(number) if name in _WHOLE else number)
    story.brands, story.sources, story.langs, story.causes = kept.brands, kept.sources, kept.langs, kept.causes
    story.words = kept.words
    story.exemplars = [Exemplar(*row) for row in kept.exemplars]
    story.links, story.tags, story.absorbed = kept.links, kept.tags, kept.absorbed
    story.first, story.biggest, story.latest = kept.sayings
    story.returned_after_s = kept.returned_after_s
    story.mean = kept.mean
    return story
