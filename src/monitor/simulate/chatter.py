"""The ordinary week: posts, calls and reviews with the rhythm of the week, and the small threads they start.

Threads are a branching process seen from the child: each new mention answers an earlier one with a fixed probability
(below 1, so every thread dies), at an age drawn from a power law. Only the last few thousand mentions are remembered,
so memory does not grow with the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.simulate.cascade import delay
from monitor.simulate.draft import SOCIAL, Draft
from monitor.simulate.week import busy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.simulate.cast import Cast, Node
    from monitor.simulate.dice import Dice
    from monitor.simulate.people import People
    from monitor.simulate.settings import Settings
    from monitor.simulate.speech import Speech

REMEMBERED = 4096
BLOCK_SECONDS = 1800.0
BLOCK_MENTIONS = 4096
SOURCES = (
    ("twitter",) * 60 + ("bluesky",) * 8 + ("mastodon",) * 6 + ("reddit",) * 7
    + ("review",) * 7 + ("email",) * 5 + ("phone",) * 4 + ("chat",) * 3
)  # fmt: skip
KINDS = {"review": "review", "email": "ticket", "chat": "ticket", "phone": "call"}
THREADS = (*SOCIAL, "reddit")


class Chatter:
    """Yields drafts in time order, from `settings.start` on, without end other than `settings.days`."""

    def __init__(self, settings: Settings, dice: Dice, cast: Cast, people: People, speech: Speech) -> None:
        self._settings, self._dice, self._cast, self._people, self._speech = settings, dice, cast, people, speech
        self._past: list[Draft] = []
        self._next = 0
        shares = (
            (settings.replies, self._reply), (settings.reposts, self._repost), (settings.quotes, self._quote),
            (settings.own_replies, self._own), (settings.edits, self._edit), (settings.deletes, self._delete),
            (settings.noise, self._noise),
            (settings.abroad, self._abroad),
        )  # fmt: skip
        self._ways = []
        bound = 0.0
        for share, way in shares:
            bound += share
            self._ways.append((bound, way))

    def __iter__(self) -> Iterator[Draft]:
        settings, dice = self._settings, self._dice
        start = settings.start.timestamp()
        end = start + settings.days * 86_400
        per_second = settings.rate / 86_400
        step = min(BLOCK_SECONDS, BLOCK_MENTIONS / per_second) if per_second else BLOCK_SECONDS
        now, block = start, 0
        while now < end:
            block += 1
            until = min(end, start + block * step)
            rate = per_second * (busy((now + until) / 2) if settings.seasonal else 1.0)
            for t in dice.times(now, until, rate * (until - now)):
                yield self._one(t, rate)
            now = until

    def _one(self, t: float, rate: float) -> Draft:
        roll = self._dice.uniform()
        for bound, way in self._ways:
            if roll < bound:
                draft = way(t, rate) or self._post(t)
                break
        else:
            draft = self._post(t)
        if draft.mood and draft.kind != "repost":  # without a mood (noise, changes, the brand's own) it is not answered
            self._remember(draft)
        return draft

    def _remember(self, draft: Draft) -> None:
        if len(self._past) < REMEMBERED:
            self._past.append(draft)
        else:
            self._past[self._next] = draft
        self._next = (self._next + 1) % REMEMBERED

    def _earlier(self, rate: float, sources: tuple[str, ...] = THREADS) -> Draft | None:
        """Return a remembered draft at a power-law age, or None if there is none to be had."""
        count = len(self._past)
        for _ in range(3):
            back = 1 + int(delay(self._dice) * rate)
            if back > count:
                back = 1 + back % count if count == REMEMBERED else 0
            if back:
                draft = self._past[(self._next - back) % count] if count == REMEMBERED else self._past[-back]
                if draft.source in sources:
                    return draft
        return None

    def _post(self, t: float) -> Draft:
        dice = self._dice
        node: Node = dice.pick(self._cast.talked)
        source = dice.pick(SOURCES)
        text, mood = self._speech.ordinary(dice, node, source)
        kind = KINDS.get(source, "post")
        return Draft(
            t=t,
            text=text,
            source=source,
            kind=kind,  # type: ignore[arg-type]
            author=self._people.anyone(dice, source),
            wait=dice.exponential(1.5) if kind == "post" else 5 + dice.exponential(30) % 200,
            node=node.id,
            known=kind != "post",
            mood=mood,
        )

    def _reply(self, t: float, rate: float) -> Draft | None:
        parent = self._earlier(rate)
        if parent is None:
            return None
        dice, node = self._dice, self._cast.nodes[parent.node]
        text, named = self._speech.answer(dice, parent.mood, node.trade), False
        if parent.source in SOCIAL:
            named = dice.chance(0.8)
            handle = parent.author.handle if parent.author else ""
            text = f"@{handle} {node.handle} {text}" if named else f"@{handle} {text}"
        return Draft(
            t=t,
            text=text,
            source=parent.source,
            kind="reply" if parent.source in SOCIAL else "comment",
            author=self._people.anyone(dice, parent.source),
            wait=dice.exponential(1.5),
            parent=parent,
            node=node.id,
            known=not named,
            mood=parent.mood,
        )

    def _repost(self, t: float, rate: float) -> Draft | None:
        parent = self._earlier(rate, SOCIAL)
        return None if parent is None else repost(t, parent, self._dice, self._people)

    def _quote(self, t: float, rate: float) -> Draft | None:
        parent = self._earlier(rate, SOCIAL)
        if parent is None:
            return None
        dice, node = self._dice, self._cast.nodes[parent.node]
        return Draft(
            t=t,
            text=self._speech.quote(dice, parent.mood, node),
            source=parent.source,
            kind="quote",
            author=self._people.anyone(dice, parent.source),
            wait=dice.exponential(1.5),
            parent=parent,
            node=node.id,
            mood=parent.mood,
        )

    def _own(self, t: float, rate: float) -> Draft | None:
        parent = self._earlier(rate, SOCIAL)
        if parent is None or parent.mood != "bad":
            return None
        node = self._cast.nodes[parent.node]
        return own_reply(t, parent, node, self._dice, self._speech.answer(self._dice, "own", node.trade))

    def _edit(self, t: float, rate: float) -> Draft | None:
        target = self._earlier(rate, ("reddit", "mastodon", "review", "bluesky"))
        if target is None or target.revision < 0:
            return None
        target.revision += 1
        added = {
            "bad": "Edit: still no answer.",
            "good": "Edit: typo.",
            "question": "Edit: found it, thanks.",
            "plans": "Edit: next week!",
        }[target.mood]
        return self._change(t, target, "edit", target.revision, f"{target.text} {added}")

    def _delete(self, t: float, rate: float) -> Draft | None:
        target = self._earlier(rate)
        if target is None or target.revision < 0:
            return None
        last, target.revision = target.revision, -1
        return self._change(t, target, "delete", last + 1, "")

    def _change(self, t: float, target: Draft, kind: str, revision: int, text: str) -> Draft:
        return Draft(
            t=t,
            text=text,
            source=target.source,
            kind=kind,  # type: ignore[arg-type]
            author=target.author,
            wait=self._dice.exponential(1.5),
            parent=target,
            node=target.node,
            known=True,
            revision=revision,
        )

    def _abroad(self, t: float, _rate: float) -> Draft:
        dice, source = self._dice, self._dice.pick(SOCIAL)
        node = dice.pick(self._cast.talked)
        lang, text = self._speech.abroad(dice, node)
        return Draft(
            t=t,
            text=text,
            source=source,
            author=self._people.anyone(dice, source),
            wait=dice.exponential(1.5),
            node=node.id,
            lang=lang,
        )

    def _noise(self, t: float, _rate: float) -> Draft:
        source = self._dice.pick(SOCIAL)
        return Draft(
            t=t,
            text=self._speech.noise(self._dice),
            source=source,
            author=self._people.anyone(self._dice, source),
            wait=self._dice.exponential(1.5),
            noise=True,
        )


def repost(t: float, parent: Draft, dice: Dice, people: People) -> Draft:
    """Return a repost of `parent`: its text behind `RT`, its bare text, or no text at all, as the source does it."""
    handle = parent.author.handle if parent.author else ""
    text = f"RT @{handle}: {parent.text}" if parent.source == "twitter" else dice.pick((parent.text, ""))
    return Draft(
        t=t,
        text=text,
        source=parent.source,
        kind="repost",
        author=people.anyone(dice, parent.source),
        wait=dice.exponential(1.5),
        parent=parent,
        node=parent.node,
        known=not text or parent.known,
        mood=parent.mood,
    )


def own_reply(t: float, parent: Draft, node: Node, dice: Dice, text: str) -> Draft:
    """Return the brand's own public answer to `parent`."""
    handle = parent.author.handle if parent.author else ""
    return Draft(
        t=t,
        text=f"@{handle} {text}",
        source=parent.source,
        kind="reply",
        author=dice.pick(node.own),
        wait=dice.exponential(1.5),
        parent=parent,
        node=node.id,
        known=True,
        own=True,
    )
