"""How a story grows: each mention excites more, by its author's audience, after waiting times with a power-law tail.

The memory kernel is the one that Zhao, Erdogdu, He, Rajaraman and Leskovec measured for reposts on Twitter ("SEISMIC: A
Self-Exciting Point Process Model for Predicting Tweet Popularity", KDD 2015): flat for five minutes, then falling as
the age to the power of -1.242. Infectiousness fades with time, follows the hours in which people are awake, and ends as
those who might care have heard of it.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from msgspec import Struct

from monitor.mention.model import Author
from monitor.simulate.week import awake

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.simulate.dice import Dice

FLAT_SECONDS = 300.0
TAIL = 0.242
FLAT_SHARE = TAIL / (1 + TAIL)
LONGEST_SECONDS = 3 * 86_400.0
AUDIENCE_POWER = 0.6
MEAN_AUDIENCE = 37.0
VOICE = {"post": 1.0, "repost": 1.0, "quote": 1.2, "reply": 0.3, "comment": 0.3}


def delay(dice: Dice) -> float:
    """Draw a waiting time in seconds from SEISMIC's kernel, cut off at three days.

    >>> from monitor.simulate.dice import Dice
    >>> dice = Dice(1, "doc")
    >>> waits = sorted(delay(dice) for _ in range(9_999))
    >>> 1_000 < waits[4_999] < 4_000 and waits[-1] <= LONGEST_SECONDS
    True
    """
    roll = dice.uniform()
    if roll < FLAT_SHARE:
        return FLAT_SECONDS * roll / FLAT_SHARE
    rest = (1 - roll) / (1 - FLAT_SHARE)
    return min(FLAT_SECONDS * float(rest ** (-1 / TAIL)), LONGEST_SECONDS)


class Growth(Struct, frozen=True, kw_only=True):
    """The numbers behind a story.

    `reproduction` is how many mentions a mention of mean audience brings about at first, in the day; `fade_s` the time
    in which that falls to a third; `people` how many would ever say something: a size the story cannot pass.
    `first` overrides how many the first mention itself brings about; `stretch` multiplies all waiting times: some
    circles answer within minutes, others look in the evening.
    """

    reproduction: float
    fade_s: float
    people: int
    first: float | None = None
    stretch: float = 1.0


class Event(Struct):
    """One mention of a growing story: its moment, its author, its kind, and the index of what it follows (-1: none)."""

    t: float
    author: Author
    kind: str
    parent: int


def pull(author: Author, kind: str) -> float:
    """Return how strongly a mention excites others, about 1 on average: its audience to the power of 0.6."""
    return VOICE.get(kind, 1.0) * float((author.followers or 0) ** AUDIENCE_POWER) / MEAN_AUDIENCE


def grow(
    dice: Dice,
    growth: Growth,
    first: Event,
    end: float,
    anyone: Callable[[], Author],
    kind: Callable[[str], str],
) -> list[Event]:
    """Let a story grow from `first` until `end` (seconds since the epoch), in time order, `first` among them.

    `anyone` draws an author and `kind` the kind of a mention that follows one of the kind it is given.
    Cost: a heap operation for each event that is drawn, kept or not.
    """
    events = [first]
    waiting: list[tuple[float, int, int]] = []
    drawn = 0

    def excite(index: int, mean: float) -> None:
        nonlocal drawn
        for _ in range(dice.poisson(mean)):
            drawn += 1
            at = events[index].t + delay(dice) * growth.stretch
            if at < end:
                heapq.heappush(waiting, (at, drawn, index))

    root = growth.reproduction * pull(first.author, first.kind) if growth.first is None else growth.first
    excite(0, root)
    while waiting and len(events) < growth.people:
        at, _, parent = heapq.heappop(waiting)
        keen = math.exp(-(at - first.t) / growth.fade_s) * awake(at) * (1 - len(events) / growth.people)
        if not dice.chance(keen):
            continue
        events.append(Event(at, anyone(), kind(events[parent].kind), parent))
        excite(len(events) - 1, growth.reproduction * pull(events[-1].author, events[-1].kind))
    return events
