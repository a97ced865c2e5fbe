"""Grouping: one pass over the mentions of one umbrella, each into exactly one story, never moved afterwards."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec.structs import replace

from monitor.story.blob import pack, unpack
from monitor.story.duplicates import signature
from monitor.story.evidence import Evidence
from monitor.story.lexicon import Lexicon
from monitor.story.meaning import Meaning
from monitor.story.read import Known, borrow, is_suspect, known, make_share, parents
from monitor.story.recent import Recent
from monitor.story.story import EXEMPLAR_CHARS, WORD, Exemplar, Story
from monitor.story.types import How, Merge, Placement, Share, StorySettings
from monitor.story.words import Text, link_name, short_name, take_apart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.sentiment.reading import ReadMention
    from monitor.story.duplicates import Sketch
    from monitor.story.meaning import Vector

Found = tuple[str, How, float]
"""A story, why, and how sure (0 to 1)."""

BRIDGE_WORDS = 6
BRIDGE = 0.7
"""A mention of one story's thread that repeats another's text joins the two from so many content words and this
similarity on."""

TAG_WORDS = 2
"""A hashtag leads to its story if so many of the other words are the story's too."""


class Grouper:
    """Puts mentions into stories: by thread, near-duplicate text, link, rare hashtag or meaning, or into a new one.

    Deterministic: the same mentions in the same order give the same stories with the same ids. Memory is bounded by
    `settings`. Not thread-safe. A mention must be placed once; telling repeats is the caller's task. `names` are the
    words of the umbrella's own names and of all below it: by meaning they are no evidence.
    """

    def __init__(
        self, umbrella: str, settings: StorySettings | None = None, *, names: frozenset[str] = frozenset()
    ) -> None:
        self.umbrella = umbrella
        self.settings = settings or StorySettings()
        self._stories: OrderedDict[str, Story] = OrderedDict()
        self._singles: OrderedDict[str, None] = OrderedDict()
        self._aliases: Recent[str] = Recent(2 * self.settings.max_stories)
        self._keys: Recent[Known] = Recent(self.settings.recent_keys)
        self._awaited: Recent[str] = Recent(self.settings.max_pending)
        self._closed: Recent[Story] = Recent(self.settings.closed_stories)
        self._closed_texts = Evidence()
        self._gone: list[str] = []
        self._evidence = Evidence()
        self.lexicon = Lexicon(names)
        self._meaning = Meaning(umbrella, self.lexicon, self.settings.meaning)

    # What can be asked

    def __len__(self) -> int:
        return len(self._stories)

    def __contains__(self, story_id: str) -> bool:
        return self.resolve(story_id) in self._stories

    def resolve(self, story_id: str) -> str:
        """Return the id under which a story goes on after its merges; any other id comes back as it is."""
        while story_id not in self._stories and (into := self._aliases.get(story_id)) is not None:
            story_id = into
        return story_id

    def story(self, story_id: str) -> Story:
        """Return a live story; a merged one's survivor. Raises KeyError for one that is closed."""
        return self._stories[self.resolve(story_id)]

    def live(self) -> list[str]:
        """Return the ids of the live stories, the one that waits longest for a mention first."""
        return list(self._stories)

    # Placing

    def place(self, m: ReadMention, related: str | None = None) -> Placement:
        """Put a mention into a story. `related` is the story of what it answers, repeats, quotes or corrects, if known.

        A `related` story that is closed and not remembered here is passed over: `revive` it first. An edit is placed
        like a mention of its own after its old share was withdrawn. Raises ValueError for a delete.
        """
        if m.kind == "delete":
            raise ValueError("a delete is not placed: withdraw its target's share")
        text = take_apart(m.text)
        share = make_share(m, text)
        above = parents(m)
        found = self._by_thread(m, share.key, above, related)
        sketch = self._sketch(text, share)
        if not share.own:
            found += self._by_text(sketch, text, m, bridge=bool(found), promo=share.promo)
            if not found:
                found += self._by_name(text, m)
        returned = self._returned(sketch, text, m) if not found and not share.own else None
        copied = self._says_nothing_new(m, found)
        raw, x = (None, None) if copied else self._embedded(m, text)
        if x is not None and not found and returned is None:
            alike = self._meaning.find(x, text.content, lambda story: self._same_brand(m, story))
            found = [(alike[0].id, "meaning", alike[1])] if alike else []
        story, how, score, merges = self._settle(found, returned, m)
        if share.complaint is None and share.negative is None and not share.own and not text.words:
            origin = next((kept for key in above if (kept := self._keys.get(key))), None)
            share = borrow(share, origin, story)
        suspect = how == "duplicate" and is_suspect(m, text, self.settings)
        if suspect or copied:
            share = replace(share, suspect=suspect, copied=copied)
        self._count_in(story, m, text=text, share=share, sketch=sketch, above=above, how=how)
        if raw is not None and x is not None:
            self._meaning.learn(story, raw, x, m.brands, self._weight(how))
            story, more = self._grown(story, x)
            merges += more
        elif copied:
            self._meaning.repeat(story)
        return Placement(story.id, how, merges, share, score)

    def _embedded(self, m: ReadMention, text: Text) -> tuple[Vector | None, Vector | None]:
        """Return the mention's embedding and its direction; nothing for an own or empty text."""
        if m.own or m.reading is None or not text.content:
            return None, None
        raw = self._meaning.read(m.reading.model, m.reading.vector)
        return raw, None if raw is None else self._meaning.direction(raw, m.brands)

    def _says_nothing_new(self, m: ReadMention, found: list[Found]) -> bool:
        """Whether it only says again what its story says, so that what that is about stays as it is."""
        if not found:
            return False
        _, how, score = found[0]
        return m.kind == "repost" or (how == "duplicate" and score >= self.settings.copy)

    def _weight(self, how: How) -> float:
        return self.settings.thread_weight if how == "thread" else 1.0

    def _grown(self, story: Story, x: Vector) -> tuple[Story, tuple[Merge, ...]]:
        """Merge the story that just grew with another about the same matter, if there is one."""
        near = self._meaning.near(story, x, lambda other: _share_brand(story, other))
        if near is None:
            return story, ()
        story, merge = self._merge(story, near[0], "meaning")
        return story, (merge,)

    def _by_thread(self, m: ReadMention, key: str, above: tuple[str, ...], related: str | None) -> list[Found]:
        """Find the stories of its parents, of those that await it, and of those that await the same parent."""
        ids: dict[str, None] = {}
        if related is not None:
            ids[self._wake(related, m.published_at)] = None
        for parent in above:
            if (kept := self._keys.get(parent)) is not None:
                ids[self._wake(kept.story, m.published_at)] = None
            elif (waiting := self._awaited.get(parent)) is not None:
                ids[self.resolve(waiting)] = None
        if (waiting := self._awaited.pop(key)) is not None:
            ids[self.resolve(waiting)] = None
        return [(story_id, "thread", 1.0) for story_id in ids if story_id in self._stories]

    def _wake(self, story_id: str, now: float) -> str:
        """Return the id to go on with; a closed story that is still remembered is brought back."""
        story_id = self.resolve(story_id)
        if story_id not in self._stories and (story := self._closed.get(story_id)) is not None:
            self._bring_back(story, now)
        return story_id

    def _sketch(self, text: Text, share: Share) -> Sketch | None:
        if share.own or len(text.content) < self.settings.min_words:
            return None
        return signature(text.words)

    def _by_text(self, sketch: Sketch | None, text: Text, m: ReadMention, *, bridge: bool, promo: bool) -> list[Found]:
        """Find the story whose exemplar the text repeats. To bridge two stories more is asked."""
        if sketch is None or (bridge and (promo or len(text.content) < BRIDGE_WORDS)):
            return []
        least = BRIDGE if bridge else self.settings.duplicate
        for story_id, exemplar, score in self._evidence.texts_like(sketch, least):
            copied = score >= self.settings.copy and len(text.content) >= self.settings.copy_words
            if copied or self._same_brand(m, self._stories[story_id]):
                exemplar.hits += 1
                return [(story_id, "duplicate", score)]
        return []

    def _by_name(self, text: Text, m: ReadMention) -> list[Found]:
        """Find the story by a link or a rare hashtag."""
        if not (text.links or text.tags or m.url):
            return []
        story_id = self._evidence.by_link(text, self._url(m))
        if story_id is not None and self._same_brand(m, self._stories[story_id]):
            return [(story_id, "link", 0.9)]
        for tag in text.tags:
            story_id = self._evidence.by_tag(tag)
            if story_id is None or not self._same_brand(m, story := self._stories[story_id]):
                continue
            if len(story.top_words() & set(text.content) - {tag}) >= TAG_WORDS:
                return [(story_id, "hashtag", 0.7)]
        return []

    @staticmethod
    def _url(m: ReadMention) -> str | None:
        return link_name(m.url) if m.url and m.kind == "article" else None

    @staticmethod
    def _same_brand(m: ReadMention, story: Story) -> bool:
        return not story.brands or not m.brands or not story.brands.keys().isdisjoint(m.brands)

    def _returned(self, sketch: Sketch | None, text: Text, m: ReadMention) -> str | None:
        """Find a closed story that this mention brings back: it repeats its text or its link."""
        if not self._closed:
            return None
        story_id = self._closed_texts.by_link(text, self._url(m))
        if story_id is None and sketch is not None:
            story_id = next((found for found, _, _ in self._closed_texts.texts_like(sketch, BRIDGE)), None)
        story = self._closed.get(story_id) if story_id else None
        if story is None or not self._same_brand(m, story):
            return None
        self._bring_back(story, m.published_at)
        return story.id

    def _settle(
        self, found: list[Found], returned: str | None, m: ReadMention
    ) -> tuple[Story, How, float, tuple[Merge, ...]]:
        if returned is not None:
            return self._stories[returned], "returned", 1.0, ()
        if not found:
            return self._open(m), "new", 1.0, ()
        story_id, how, score = found[0]
        story = self._stories[story_id]
        merges: list[Merge] = []
        for other_id, why, _ in found[1:]:
            other = self._stories[self.resolve(other_id)]
            if other is not story:
                story, merge = self._merge(story, other, why)
                merges.append(merge)
        return story, how, score, tuple(merges)

    def _open(self, m: ReadMention) -> Story:
        name = blake2b(f"{self.umbrella}\0{m.key}".encode("utf-8", "replace"), digest_size=8).hexdigest()
        story_id = f"s{name}"
        if story_id in self._stories:
            return self._stories[story_id]
        self._aliases.pop(story_id)
        self._forget_closed(story_id)
        story = Story(story_id, self.umbrella, m.published_at, self.lexicon)
        self._stories[story_id] = story
        return story

    def _merge(self, one: Story, two: Story, why: How) -> tuple[Story, Merge]:
        """Make one story of two, the smaller into the larger (on ties the younger into the older)."""
        into, src = sorted((one, two), key=lambda s: (-(s.size + s.own_replies), s.first_at, s.id))
        self._evidence.hand_over(src, into)
        into.absorb(src)
        self._meaning.merge(src, into)
        del self._stories[src.id]
        self._singles.pop(src.id, None)
        self._aliases.put(src.id, into.id)
        return into, Merge(src.id, into.id, why)

    def _count_in(
        self,
        story: Story,
        m: ReadMention,
        *,
        text: Text,
        share: Share,
        sketch: Sketch | None,
        above: tuple[str, ...],
        how: How,
    ) -> None:
        story.add(m, text, share, self._weight(how))
        self._keys.put(share.key, known(share, story))
        for parent in above:
            if self._keys.get(parent) is None:
                self._awaited.put(parent, story.id)
        if not share.own:
            self.lexicon.learn(text.content)
            self._evidence.keep_names(story, text, self._url(m))
        if sketch is not None and how != "duplicate" and not self._known(story, sketch):
            exemplar = Exemplar(short_name(share.key), m.text[:EXEMPLAR_CHARS], m.published_at, 1, share.promo)
            self._evidence.keep_text(story, exemplar, sketch)
        self._touch(story)

    def _known(self, story: Story, sketch: Sketch) -> bool:
        return self._evidence.holds_like(story, sketch, self.settings.duplicate)

    def _touch(self, story: Story) -> None:
        self._stories.move_to_end(story.id)
        self._mark(story)
        if len(self._stories) > self.settings.max_stories:
            oldest = next((single for single in self._singles if single != story.id), None)
            self._close(oldest or next(iter(self._stories)))

    def _mark(self, story: Story) -> None:
        """Keep the list of single mentions, which go first when there are too many stories."""
        if story.size + story.own_replies <= 1:
            self._singles[story.id] = None
            self._singles.move_to_end(story.id)
        else:
            self._singles.pop(story.id, None)

    # Leaving and coming back

    def withdraw(self, story_id: str, share: Share, m: ReadMention | None = None) -> None:
        """Take a mention's share out of its story again (it was deleted, edited or erased).

        With the mention itself its words go too. A story with nothing left is closed. Raises KeyError if the story is
        closed.
        """
        story = self.story(story_id)
        text = take_apart(m.text) if m else None
        story.remove(share, text)
        if m is not None and text is not None and not share.copied:
            raw = self._embedded(m, text)[0]
            if raw is not None:
                self._meaning.withdraw(story, raw, m.brands, 1.0)
        self._evidence.forget_text(story, share.key)
        self._keys.pop(share.key)
        if story.size + story.own_replies <= 0:
            self._close(story.id, remember=False)
        else:
            self._mark(story)

    def expire(self, now: float) -> list[str]:
        """Close the stories idle at `now`. Returns all ids closed since the last call, those evicted by a flood too."""
        before = now - self.settings.idle_s
        while self._stories and (oldest := next(iter(self._stories.values()))).last_at < before:
            self._close(oldest.id)
        gone, self._gone = self._gone, []
        return gone

    def _close(self, story_id: str, *, remember: bool = True) -> None:
        story = self._stories.pop(story_id)
        story.mean = self._meaning.export(story_id) or story.mean
        self._meaning.drop(story_id)
        self._singles.pop(story_id, None)
        self._evidence.forget(story)
        for old in story.absorbed:
            self._aliases.pop(old)
        self._gone.append(story_id)
        if remember and story.size > 1:
            self._remember(story)

    def _remember(self, story: Story) -> None:
        forgotten = self._closed.put(story.id, story)
        self._closed_texts.adopt(story)
        if forgotten is not None:
            self._closed_texts.forget(forgotten[1])

    def _forget_closed(self, story_id: str) -> None:
        if (story := self._closed.pop(story_id)) is not None:
            self._closed_texts.forget(story)

    def dump(self, story_id: str) -> bytes:
        """Return a live story as bytes, at most `blob.MOST_BYTES`. Raises KeyError if it is closed."""
        story = self.story(story_id)
        story.mean = self._meaning.export(story.id) or story.mean
        return pack(story)

    def restore(self, blobs: Iterable[bytes]) -> None:
        """Take stored live stories in, as after a start. Raises `StoryBlobError` for one that cannot be read."""
        for story in sorted((unpack(blob, self.lexicon) for blob in blobs), key=lambda s: (s.last_at, s.id)):
            self.lexicon.relearn({word: max(1, n // WORD) for word, n in story.words.items()}, story.size)
            self._admit(story)
            self._meaning.adopt(story, story.mean)

    def revive(self, blob: bytes, now: float | None = None) -> str:
        """Take a closed story back and return its id; with `now` its `returned_after_s` says how long it was silent."""
        story = unpack(blob, self.lexicon)
        if story.id not in self._stories:
            self._bring_back(story, now)
        return story.id

    def _bring_back(self, story: Story, now: float | None) -> None:
        self._forget_closed(story.id)
        story.returned_after_s = None if now is None else max(0.0, now - story.last_at)
        self._admit(story)
        self._meaning.adopt(story, story.mean, learn=False)

    def _admit(self, story: Story) -> None:
        self._forget_closed(story.id)
        if story.id in self._stories:
            self._evidence.forget(self._stories[story.id])
        self._stories[story.id] = story
        self._evidence.adopt(story)
        for old in story.absorbed:
            if old not in self._stories:
                self._aliases.put(old, story.id)
        self._touch(story)


def _share_brand(one: Story, two: Story) -> bool:
    return not one.brands or not two.brands or not one.brands.keys().isdisjoint(two.brands)
