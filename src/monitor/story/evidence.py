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
        self._owner: dict[int, tuple[str, Exemplar]] = {}
        self._links: Recent[str] = Recent(MOST_NAMES)
        self._tags: Recent[str] = Recent(MOST_NAMES)

    def texts_like(self, sketch: Sketch, least: float) -> Iterator[tuple[str, Exemplar, float]]:
        """Yield (story id, exemplar, estimated Jaccard similarity), best first."""
        return ((*self._owner[slot], score) for slot, score in self._texts.find(sketch, least))

    def holds_like(self, story: Story, sketch: Sketch, least: float) -> bool:
        """Return whether the story keeps a text like this one already."""
        if not story.exemplars:
            return False
        return any(self._owner[slot][0] == story.id for slot, _ in self._texts.find(sketch, least))

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
        self._owner[exemplar.slot] = (story.id, exemplar)

    def _drop_text(self, exemplar: Exemplar) -> None:
        self._texts.drop(exemplar.slot)
        self._owner.pop(exemplar.slot, None)

    def forget_text(self, story: Story, key: str) -> None:
        """Drop the exemplars that mention `key` gave."""
        for exemplar in [e for e in story.exemplars if e.key == short_name(key)]:
            self._drop_text(exemplar)
            story.exemplars.remove(exemplar)

    def keep_names(self, story: Story, text: Text, url: str | None) -> None:
        """Let the text's links and tags lead to the story, unless they lead to another already."""
        for names, kept, index in (
            ((*text.links, url) if url else text.links, story.links, self._links),
            (text.tags, story.tags, self._tags),
        ):
            for name in names:
                if len(kept) < MOST_LINKS and index.get(name) is None:
                    index.put(name, story.id)
                    kept.append(name)

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
            self._owner[exemplar.slot] = (into.id, exemplar)
        everything = sorted((*into.exemplars, *src.exemplars), key=lambda e: (-e.hits, e.at, e.key))
        for exemplar in everything[MOST_EXEMPLARS:]:
            self._drop_text(exemplar)
        into.exemplars = everything[:MOST_EXEMPLARS]
        for names, kept, index in ((src.links, into.links, self._links), (src.tags, into.tags, self._tags)):
            for name in names:
                if len(kept) < MOST_LINKS:
                    index.put(name, into.id)
                    kept.append(name)
                else:
                    index.pop(name)

    def forget(self, story: Story) -> None:
        """Drop all that led to a story."""
        for exemplar in story.exemplars:
            self._drop_text(exemplar)
        for names, index in ((story.links, self._links), (story.tags, self._tags)):
            for name in names:
                if index.get(name) == story.id:
                    index.pop(name)
