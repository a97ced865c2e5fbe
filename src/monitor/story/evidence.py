"""Which links, hashtags and repeated texts belong to which story. Bounded; follows merges by being rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.story.duplicates import Duplicates, signature
from monitor.story.recent import Recent
from monitor.story.story import EXEMPLAR_CHARS, MOST_EXEMPLARS, MOST_LINKS, Exemplar, Story
from monitor.story.words import Text, short_name, take_apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.story.duplicates import Sketch

MOST_NAMES = 20_000
COMMON_TAGS = frozenset(
    """fail epicfail fails customerservice customersupport customerexperience service badservice
    worstservice neveragain complaint complaints help travel travelling flight flights airline
    airlines hotel hotels airport love thanks thankyou happy sad angry annoyed disappointed
    frustrated unacceptable ridiculous worst best awesome news breaking breakingnews business
    marketing socialmedia win giveaway contest sale deal deals jobs job hiring follow followme
    monday tuesday wednesday thursday friday saturday sunday weekend morning today omg lol wtf smh
    ff tbt fyi fml rant seriously""".split()  # noqa: SIM905 -- a word list is read as text
)


class Evidence:
    """The umbrella's index of what stories were made of."""

    def __init__(self) -> None:
        self._texts = Duplicates()
        self._kept: dict[int, Exemplar] = {}
        self._links: Recent[str] = Recent(MOST_NAMES)
        self._tags: Recent[str] = Recent(MOST_NAMES)

    def texts_like(self, sketch: Sketch, least: float) -> Iterator[tuple[str, Exemplar, float]]:
        """Yield (story id, exemplar, estimated Jaccard similarity), best first."""
        for slot, score in self._texts.find(sketch, least):
            exemplar = self._kept[slot]
            yield exemplar.story, exemplar, score

    def holds_like(self, story: Story, sketch: Sketch, least: float) -> bool:
        """Return whether the story keeps a text like this one already."""
        if not story.exemplars:
            return False
        found = self._texts.find(sketch, least)
        return bool(found) and any(self._kept[slot].story == story.id for slot, _ in found)

    def by_link(self, text: Text, url: str | None) -> str | None:
        """Return the story that first brought one of the text's links."""
        names = (*text.links, url) if url else text.links
        return next((story for name in names if (story := self._links.get(name))), None)

    def by_tag(self, tag: str) -> str | None:
        """Return the story that first brought a hashtag, unless it is one that everybody uses."""
        return None if tag in COMMON_TAGS else self._tags.get(tag)

    def keep_text(self, story: Story, exemplar: Exemplar, sketch: Sketch) -> None:
        """Make `exemplar` findable. A story full of exemplars lets the newest of the least repeated go."""
        if len(story.exemplars) >= MOST_EXEMPLARS:
            weakest = min(story.exemplars, key=lambda e: (e.hits, -e.at))
            self._drop_text(weakest)
            story.exemplars.remove(weakest)
        story.exemplars.append(exemplar)
        exemplar.slot = self._texts.add(sketch)
        exemplar.story = story.id
        self._kept[exemplar.slot] = exemplar

    def _drop_text(self, exemplar: Exemplar) -> None:
        self._texts.drop(exemplar.slot)
        self._kept.pop(exemplar.slot, None)

    def forget_text(self, story: Story, key: str) -> None:
        """Drop the exemplars that mention `key` gave."""
        for exemplar in [e for e in story.exemplars if e.key == short_name(key)]:
            self._drop_text(exemplar)
            story.exemplars.remove(exemplar)

    def keep_names(self, story: Story, text: Text, url: str | None) -> None:
        """Let the text's links and tags lead to the story, unless they lead to another already."""
        for name in (*text.links, url) if url else text.links:
            if len(story.links) < MOST_LINKS and self._links.get(name) is None:
                self._links.put(name, story.id)
                story.links = (*story.links, name)
        for name in text.tags:
            if len(story.tags) < MOST_LINKS and self._tags.get(name) is None:
                self._tags.put(name, story.id)
                story.tags = (*story.tags, name)

    def adopt(self, story: Story) -> None:
        """Index all that a restored story holds."""
        kept, story.exemplars = story.exemplars, []
        for exemplar in kept:
            self.keep_text(story, exemplar, signature(take_apart(exemplar.text[:EXEMPLAR_CHARS]).words))
        for names, index in ((story.links, self._links), (story.tags, self._tags)):
            for name in names:
                index.put(name, story.id)

    def hand_over(self, src: Story, into: Story) -> None:
        """Let all that led to `src` lead to `into`; the most repeated exemplars of both are kept."""
        for exemplar in src.exemplars:
            exemplar.story = into.id
        everything = sorted((*into.exemplars, *src.exemplars), key=lambda e: (-e.hits, e.at, e.key))
        for exemplar in everything[MOST_EXEMPLARS:]:
            self._drop_text(exemplar)
        into.exemplars = everything[:MOST_EXEMPLARS]
        into.links = _handed(src.links, into, into.links, self._links)
        into.tags = _handed(src.tags, into, into.tags, self._tags)

    def forget(self, story: Story) -> None:
        """Drop all that led to a story."""
        for exemplar in story.exemplars:
            self._drop_text(exemplar)
        for names, index in ((story.links, self._links), (story.tags, self._tags)):
            for name in names:
                if index.get(name) == story.id:
                    index.pop(name)


def _handed(names: tuple[str, ...], into: Story, kept: tuple[str, ...], index: Recent[str]) -> tuple[str, ...]:
    """Let `names` lead to `into` as far as there is room beside those kept; return all that it has then."""
    room = max(0, MOST_LINKS - len(kept))
    for name in names[:room]:
        index.put(name, into.id)
    for name in names[room:]:
        index.pop(name)
    return (*kept, *names[:room])
