"""The stories of a stream by name: the one that goes viral, the decoys, and the near misses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from monitor.mention.model import Author
from monitor.simulate.cascade import Event, Growth, grow
from monitor.simulate.grammar import words
from monitor.simulate.telling import Story, Telling
from monitor.simulate.week import DAY, HOUR, busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.simulate.cast import Cast
    from monitor.simulate.dice import Dice
    from monitor.simulate.draft import Draft
    from monitor.simulate.people import People
    from monitor.simulate.settings import StoryName
    from monitor.simulate.speech import Speech

MOST_DRAWS = 2_000
FASTEST, SLOWEST = 1.5 * HOUR, 24 * HOUR
NEAR = 1.5
"""The crossing comes within this factor of the time that was drawn for it, so that slow stories are no rarity."""
PATIENCE = 300
"""After so many draws any crossing between the fastest and the slowest will do."""
AMPLE = 1.25
"""A viral story ends at this multiple of its line at least, so that its crossing is no accident of counting."""
KINDS = ("repost",) * 47 + ("quote",) * 13 + ("reply",) * 26 + ("post",) * 14
TALK = ("reply",) * 7 + ("repost",) * 2 + ("quote",)
PROMOTION = ("repost",) * 70 + ("quote",) * 6 + ("reply",) * 20 + ("post",) * 4


class Stage:
    """What every story needs: the stretch of time, the line, the brands, the people and their ways of speaking."""

    def __init__(self, start: float, end: float, line: int, cast: Cast, people: People, speech: Speech) -> None:
        self.start, self.end, self.line, self.cast, self.people, self.speech = start, end, line, cast, people, speech

    def moment(self, dice: Dice, early: float, late: float, *, lively: float = 0.0) -> float:
        """Draw a moment between two shares of the stretch, at an hour at least so busy."""
        for _ in range(200):
            t = dice.uniform(self.start + early * (self.end - self.start), self.start + late * (self.end - self.start))
            if busy(t) >= lively:
                break
        return t

    def telling(self, dice: Dice, tale: dict[str, Any], mood: str) -> Telling:
        """Return words for one telling of `tale`."""
        return Telling(dice, self.people, self.speech, self.cast.nodes[tale["brand"]], tale, mood)


def draw_story(stage: Stage, name: StoryName, dice: Dice) -> Story:
    """Draw the story `name`. Raises ValueError where the stretch of time is too short for it."""
    return _MAKERS[name](stage, dice)


def _after(dice: Dice) -> Callable[[str], str]:
    return lambda kind: dice.pick(TALK if kind in {"reply", "comment"} else KINDS)


def audience(dice: Dice) -> tuple[int, int]:
    """Draw between which numbers of followers the first author of a viral story lies: from nobody to a known name."""
    low = dice.loguniform(60, 30_000)
    return int(low), int(1.6 * low)


def crossing(drafts: list[Draft], line: int) -> float | None:
    """Return when the mention that reaches `line` is published, counting other people's only; None if none does."""
    counted = 0
    for draft in drafts:
        counted += draft.counted
        if counted >= line:
            return draft.t
    return None


def _viral(stage: Stage, dice: Dice) -> Story:
    tale = dice.pick(words("tales.toml")["tale"])
    days = (stage.end - stage.start) / DAY
    early, late = (2 / days, 6 / days) if days >= 7 else (0.3, 0.7)  # noqa: PLR2004 -- the days 3 to 6 of a week
    t = stage.moment(dice, early, late)
    wanted = dice.loguniform(FASTEST, SLOWEST)
    for redraws in range(MOST_DRAWS):
        author = stage.people.with_audience(dice, *audience(dice))
        growth = Growth(
            reproduction=dice.loguniform(1.6, 3.4),
            fade_s=dice.loguniform(10 * HOUR, 72 * HOUR),
            people=int(stage.line * dice.loguniform(1.8, 9.0)),
            stretch=(wanted / (4 * HOUR)) ** 0.6,
        )
        first = Event(t, author, "post", -1)
        events = grow(dice, growth, first, stage.end, lambda: dice.pick(stage.people.crowd), _after(dice))
        if len(events) < AMPLE * stage.line:
            continue
        took = events[stage.line - 1].t - t
        near = NEAR if redraws < PATIENCE else SLOWEST / FASTEST
        if not max(FASTEST, wanted / near) <= took <= min(SLOWEST, wanted * near) or t + took > stage.end - 0.5 * HOUR:
            continue
        telling = stage.telling(dice, tale, "bad")
        drafts = telling.tell(events, telling.post(t, telling.words(dice.pick(tale["opening"])), author=author))
        drafts = telling.answered(drafts, dice.pick((0, 0, 1, 1, 2, 3)))
        return Story(
            name="viral", kind="viral", tale=tale["name"], node=telling.node, cause=tale["cause"], drafts=drafts,
            redraws=redraws, viral=True,
        )  # fmt: skip
    raise ValueError(
        f"no viral story fits into {days:.2f} days with a line of {stage.line}: "
        "ask for more days, a lower line, or leave `viral` out of the stories"
    )


def _decoy(name: str, telling: Telling, drafts: list[Draft], redraws: int = 0) -> Story:
    return Story(
        name=name, kind="decoy", tale=name, node=telling.node, cause=telling.tale["cause"], redraws=redraws,
        drafts=sorted(drafts, key=lambda draft: draft.t),
    )  # fmt: skip


def _wave(
    stage: Stage, dice: Dice, telling: Telling, first: Draft, growth: Growth, least: int
) -> tuple[list[Draft], int]:
    """Grow a wave from `first` until a draw has at least `least` mentions; returns it and how many draws fizzled."""
    kinds = PROMOTION if telling.tale["cause"] == "promotion" else KINDS
    author = first.author or Author()
    drafts: list[Draft] = [first]
    for redraws in range(MOST_DRAWS):
        events = grow(
            dice, growth, Event(first.t, author, "post", -1), stage.end, lambda: dice.pick(stage.people.crowd),
            lambda kind: dice.pick(TALK if kind == "reply" else kinds),
        )  # fmt: skip
        if len(events) >= least:
            return telling.tell(events, first), redraws
        if redraws % 50 == 49:  # noqa: PLR2004 -- an unlucky hour, such as the stream's last: ask for less
            least //= 2
    return drafts, MOST_DRAWS


def _furious_author(stage: Stage, dice: Dice) -> Story:
    tale = words("decoys.toml")["furious_author"]
    telling = stage.telling(dice, tale, "bad")
    author = stage.people.with_audience(dice, 40, 900)
    t = stage.moment(dice, 0.2, 0.95, lively=0.5)
    drafts = []
    for at in sorted(dice.uniform(t, t + HOUR) for _ in range(dice.whole(22, 45))):
        text = telling.words(
            dice.pick(tale["texts"]), tagged=dice.pick(tale["tagged"]), tagged2=dice.pick(tale["tagged"])
        )
        drafts.append(telling.post(at, telling.typed(text), author=author))
    for _ in range(dice.whole(3, 9)):
        to = dice.pick(drafts[: len(drafts)])
        event = Event(to.t + dice.exponential(1_200), dice.pick(stage.people.crowd), "reply", 0)
        drafts.append(telling.follow(event, to))
    return _decoy("furious_author", telling, drafts)


def _giveaway(stage: Stage, dice: Dice) -> Story:
    telling = stage.telling(dice, words("decoys.toml")["giveaway"], "good")
    own = telling.node.own[0]
    t = stage.moment(dice, 0.15, 0.9, lively=1.0)
    first = telling.post(t, telling.words(dice.pick(telling.tale["opening"])), author=own, own=True)
    growth = Growth(
        reproduction=0.4,
        fade_s=12 * HOUR,
        people=int(0.75 * stage.line),
        first=stage.line * dice.uniform(0.9, 1.8),
        stretch=dice.uniform(1.0, 3.0),
    )
    drafts, redraws = _wave(stage, dice, telling, first, growth, stage.line // 4)
    return _decoy("giveaway", telling, drafts, redraws)


def _praise(stage: Stage, dice: Dice) -> Story:
    telling = stage.telling(dice, words("decoys.toml")["praise"], "good")
    author = stage.people.with_audience(dice, 300, 8_000)
    t = stage.moment(dice, 0.15, 0.9, lively=0.8)
    first = telling.post(t, telling.words(dice.pick(telling.tale["opening"])), author=author)
    growth = Growth(
        reproduction=dice.uniform(0.7, 1.0),
        fade_s=18 * HOUR,
        people=int(0.6 * stage.line),
        first=dice.uniform(40, 90),
        stretch=1.5,
    )
    drafts, redraws = _wave(stage, dice, telling, first, growth, 40)
    return _decoy("praise", telling, drafts, redraws)


def _old_story(stage: Stage, dice: Dice) -> Story:
    telling = stage.telling(dice, words("decoys.toml")["old_story"], "bad")
    author = stage.people.with_audience(dice, 500, 20_000)
    t = stage.moment(dice, 0.15, 0.9, lively=0.6)
    old = telling.post(
        stage.start - dice.uniform(30, 300) * DAY, telling.words(dice.pick(telling.tale["opening"])), author=author
    )
    old.id = f"n-old-{dice.whole(1, 999):06d}"
    growth = Growth(
        reproduction=dice.uniform(0.35, 0.6),
        fade_s=10 * HOUR,
        people=max(40, int(0.3 * stage.line)),
        first=dice.uniform(60, 110),
    )
    stand_in = structs.replace(old, t=t)
    drafts, redraws = _wave(stage, dice, telling, stand_in, growth, 25)
    for draft in drafts[1:]:
        if draft.parent is stand_in:
            draft.parent = old
    return _decoy("old_story", telling, drafts[1:], redraws)


def _angry_thread(stage: Stage, dice: Dice) -> Story:
    tale = words("decoys.toml")["angry_thread"]
    telling = stage.telling(dice, tale, "bad")
    three = [stage.people.with_audience(dice, 60, 2_000) for _ in range(3)]
    t = stage.moment(dice, 0.2, 0.95, lively=0.6)
    drafts = [telling.post(t, telling.words(dice.pick(tale["opening"])), author=three[0])]
    for _ in range(60):
        t += 20 + dice.exponential(130)
        parent = drafts[-1] if dice.chance(0.8) else dice.pick(drafts)
        author = dice.pick([one for one in three if one is not parent.author])
        handle = parent.author.handle if parent.author else ""
        text = f"@{handle} {telling.node.handle} {telling.words(dice.pick(tale['texts']))}"
        drafts.append(telling.post(t, text, kind="reply", parent=parent, author=author))
    return _decoy("angry_thread", telling, drafts)


def _busy_hour(stage: Stage, dice: Dice) -> Story:
    tale = words("decoys.toml")["busy_hour"]
    telling = stage.telling(dice, tale, "plans")
    t = stage.moment(dice, 0.2, 0.95, lively=1.0)
    drafts = []
    for _ in range(int(stage.line * dice.uniform(0.2, 0.4))):
        at = t + 1.6 * HOUR * (dice.uniform() + dice.uniform()) / 2
        text = telling.words(
            dice.pick(tale["texts"]), flight=telling.speech.grammar.fill("ZN{number}{digit}{digit}", dice, {})
        )
        drafts.append(telling.post(at, telling.typed(text), author=dice.pick(stage.people.crowd)))
    for _ in range(len(drafts) // 8):
        to = dice.pick(drafts)
        event = Event(to.t + dice.exponential(900), dice.pick(stage.people.crowd), "reply", 0)
        drafts.append(telling.follow(event, to))
    return _decoy("busy_hour", telling, drafts)


def _news_wave(stage: Stage, dice: Dice) -> Story:
    tale = words("decoys.toml")["news_wave"]
    telling = stage.telling(dice, tale, "plans")
    t = stage.moment(dice, 0.2, 0.95, lively=0.8)
    million, title = str(dice.whole(210, 940)), dice.pick(tale["titles"])
    percent = str(dice.whole(2, 11))
    drafts = []
    for at in sorted(t + dice.exponential(1.5 * HOUR) for _ in range(dice.whole(30, 90))):
        wire = dice.pick(tale["wire"])
        line = telling.words(title, money0=million, number=percent)
        text = telling.words(dice.pick(tale["texts"]), title=line, wire=wire)
        paper = Author(id=f"press-{wire.replace(' ', '-').lower()}", name=wire)
        drafts.append(
            telling.post(at, text, source="news", kind="article", author=paper, wait=5 + dice.exponential(20))
        )
    return _decoy("news_wave", telling, drafts)


_MAKERS: dict[StoryName, Callable[[Stage, Dice], Story]] = {
    "viral": _viral,
    "furious_author": _furious_author,
    "giveaway": _giveaway,
    "praise": _praise,
    "old_story": _old_story,
    "angry_thread": _angry_thread,
    "busy_hour": _busy_hour,
    "news_wave": _news_wave,
}
