"""From the events of a growing story to what people wrote: one matter in many words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from monitor.mention.model import Author
from monitor.simulate.cast import Node
from monitor.simulate.chatter import own_reply, repost
from monitor.simulate.draft import SOCIAL, Draft
from monitor.simulate.grammar import capital, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.simulate.cascade import Event
    from monitor.simulate.dice import Dice
    from monitor.simulate.people import People
    from monitor.simulate.speech import Speech

FIXED = ("city", "weekday", "flight", "room", "photo")
"""Slots that stay the same throughout one story."""
PLACES = ("twitter",) * 66 + ("bluesky",) * 10 + ("mastodon",) * 7 + ("reddit",) * 8 + ("youtube",) * 6 + ("blog",) * 3


class Story(Struct, kw_only=True):
    """A story that was drawn: its drafts in time order, and what the truth says of it."""

    name: str
    kind: str
    tale: str
    node: Node
    cause: str
    drafts: list[Draft]
    redraws: int = 0
    viral: bool = False


class Telling:
    """Words for one story. `tale` is an entry of tales.toml or decoys.toml; `mood` sets the faces people add."""

    def __init__(
        self, dice: Dice, people: People, speech: Speech, node: Node, tale: Mapping[str, Any], mood: str
    ) -> None:
        self.dice, self.people, self.speech, self.node, self.tale, self.mood = dice, people, speech, node, tale, mood
        self._grammar = speech.grammar
        fixed = {name: speech.grammar.fill(f"a {{{name}}}", dice, {"who": ""})[2:] for name in FIXED}
        fixed["who"] = dice.pick(tale.get("who", words("slots.toml")["kin"]))
        fixed["money"] = dice.pick(words("slots.toml")["sum"])
        fixed["whom"] = stranger(fixed["who"])
        self._fixed = fixed | {capital(name): capital(text) for name, text in fixed.items()}
        self._tags: Sequence[str] = tale.get("tags", ("",))

    def words(self, template: str, **given: str) -> str:
        """Return a template of the story in words."""
        dice = self.dice
        tag = self._tags[0] if dice.chance(0.75) else dice.pick(self._tags)
        text = self._grammar.fill(
            template, dice, {**self._fixed, "brand": dice.pick(self.node.social), "tag": tag, **given}
        )
        return text.strip()

    def typed(self, text: str) -> str:
        """Return `text` with the small marks of whoever typed it."""
        dice = self.dice
        roll = dice.draw() & 1023
        if roll < 140:  # noqa: PLR2004 -- shares of 1,024
            text = f"{text} {dice.pick(words('slots.toml')[f'face_{self.mood}'])}"
        elif roll < 220:  # noqa: PLR2004
            text = text.lower()
        elif roll < 330:  # noqa: PLR2004
            text = text.rstrip(".") + dice.pick(("", "!", "!!", "..."))
        return text

    def post(self, t: float, text: str, **more: Any) -> Draft:
        """Return a post of the story's own."""
        given = {
            "source": "twitter",
            "node": self.node.id,
            "mood": self.mood,
            "wait": self.dice.exponential(1.5),
            **more,
        }
        return Draft(t=t, text=text, **given)

    def again(self, event: Event) -> Draft:
        """Return the matter in somebody's own words, without a link to where it came from."""
        dice = self.dice
        if "deed" in self.tale and dice.chance(0.7):
            deed, outcome = self.words(dice.pick(self.tale["deed"])), self.words(dice.pick(self.tale["outcome"]))
            frame = dice.pick(words("tales.toml")["crowd"]["again"])
            text = self.words(frame, deed=deed, outcome=outcome, Outcome=capital(outcome))
        else:
            text = self.words(dice.pick(self.tale["again"]))
            if self.mood == "bad" and dice.chance(0.3):
                text = f"{dice.pick(words('tales.toml')['crowd']['open'])} {text}"
        source = dice.pick(PLACES)
        kind = "article" if source == "blog" else "post"
        return self.post(event.t, self.typed(text), source=source, kind=kind, author=_at(event, source))

    def follow(self, event: Event, parent: Draft) -> Draft:
        """Return what `event` says to `parent`: a repost, a quote, a reply, or the matter again."""
        dice = self.dice
        if event.kind == "post":
            return self.again(event)
        while parent.kind == "repost" and parent.parent is not None:
            parent = parent.parent  # a repost of a repost is one of the original
        if parent.source not in SOCIAL:
            text = self._said("reply")
            return self.post(
                event.t, self.typed(text), source=parent.source, kind="comment", parent=parent, known=True,
                author=_at(event, parent.source),
            )  # fmt: skip
        if event.kind == "repost":
            draft = repost(event.t, parent, dice, self.people)
            draft.author = event.author
            return draft
        if event.kind == "quote":
            text = self._said("quote")
            return self.post(
                event.t, self.typed(text), source=parent.source, kind="quote", parent=parent, author=event.author,
                known=True,
            )  # fmt: skip
        handle = f"@{parent.author.handle}" if parent.author else ""
        named = dice.chance(0.8)
        to = f"{handle} {self.node.handle}" if named and handle != self.node.handle else handle
        text = f"{to} {self.typed(self._said('reply'))}"
        return self.post(
            event.t, text, source=parent.source, kind="reply", parent=parent, author=event.author, known=not named
        )

    def _said(self, form: str) -> str:
        own: Sequence[str] = self.tale.get(form, ())
        crowd: Sequence[str] = words("tales.toml")["crowd"][form] if self.mood == "bad" and "name" in self.tale else ()
        common = bool(crowd) and (not own or self.dice.chance(0.5))
        return self.words(self.dice.pick(crowd if common else own))

    def tell(self, events: Sequence[Event], first: Draft) -> list[Draft]:
        """Return the drafts of `events`, whose first is told by `first`, in time order."""
        drafts = [first]
        for event in events[1:]:
            drafts.append(self.follow(event, drafts[event.parent]))
        return drafts

    def answered(self, drafts: list[Draft], count: int) -> list[Draft]:
        """Return `drafts` with up to `count` answers of the brand, to the first mention and to some that follow."""
        said = words("tales.toml")["crowd"]["own"]
        asked = [draft for draft in drafts if draft.source in SOCIAL and draft.kind in {"post", "quote", "reply"}]
        answers = []
        for number in range(min(count, len(asked))):
            to = asked[0] if number == 0 else self.dice.pick(asked)
            t = to.t + self.dice.loguniform(1_200, 20_000)
            if t < drafts[-1].t:
                answers.append(own_reply(t, to, self.node, self.dice, self.words(self.dice.pick(said))))
        return sorted([*drafts, *answers], key=lambda draft: draft.t)


def stranger(who: str) -> str:
    """Return who it was, as people say it who do not know them.

    >>> stranger("my grandmother, 84,"), stranger("me"), stranger("a nurse")
    ("someone's grandmother", 'a customer', 'a nurse')
    """
    who = who.partition(",")[0]
    first, _, rest = who.partition(" ")
    if first in {"I", "me"}:
        return "a customer"
    return f"someone's {rest}" if first in {"my", "our"} else who


def _at(event: Event, source: str) -> Author:
    author = event.author
    if source in {"reddit", "youtube", "blog"}:
        return Author(id=author.id, handle=author.handle)
    return author
