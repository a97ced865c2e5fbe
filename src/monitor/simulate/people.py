"""Who speaks: a crowd with heavy-tailed audiences, customers who write to the brand, and the brand's own accounts."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.mention.model import Author
from monitor.simulate.grammar import words

if TYPE_CHECKING:
    from monitor.simulate.dice import Dice

CROWD = 20_000
CUSTOMERS = 4_000
MEDIAN_FOLLOWERS = 210.0
TAIL_SHARE = 0.03
TAIL_FROM = 5_000.0
TAIL_INDEX = 1.15
MOST_FOLLOWERS = 3_000_000


def followers(dice: Dice) -> int:
    """Draw an audience: log-normal for most, a Pareto tail for few (Kwak et al. 2010 find such a tail on Twitter).

    >>> from monitor.simulate.dice import Dice
    >>> dice = Dice(1, "doc")
    >>> drawn = sorted(followers(dice) for _ in range(9_999))
    >>> 150 < drawn[4_999] < 300 and drawn[-1] > 100_000
    True
    """
    if dice.chance(TAIL_SHARE):
        size = TAIL_FROM * (1 - dice.uniform()) ** (-1 / TAIL_INDEX)
    else:
        size = MEDIAN_FOLLOWERS * math.exp(1.45 * dice.normal())
    return int(min(size, MOST_FOLLOWERS))


class People:
    """The accounts of one simulation, made once: drawing one costs no more than an index."""

    def __init__(self, dice: Dice, before: datetime) -> None:
        slots = words("slots.toml")
        self.crowd = tuple(self._account(dice, slots, number, before) for number in range(CROWD))
        self.quiet = tuple(Author(id=a.id, handle=a.handle) for a in self.crowd)
        self.customers = tuple(
            Author(id=f"c{number:05d}", name=f"{dice.pick(slots['first'])} {dice.pick(slots['last'])}")
            for number in range(CUSTOMERS)
        )

    @staticmethod
    def _account(dice: Dice, slots: dict[str, list[str]], number: int, before: datetime) -> Author:
        first, last, hobby = dice.pick(slots["first"]), dice.pick(slots["last"]), dice.pick(slots["hobby"])
        shape = dice.pick(("{first}_{hobby}", "{first}{last}", "{hobby}with{first}", "the_{last}", "{last}_{first}"))
        audience = followers(dice)
        age = timedelta(days=int(dice.loguniform(20, 5_000)))
        born = (before - age).astimezone(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        return Author(
            id=f"u{number:05d}",
            handle=f"{shape.format(first=first, last=last, hobby=hobby).lower()}{number}",
            name=dice.pick((first, f"{first} {last}", f"{first} {last[0]}.", f"{first} {hobby}")),
            followers=audience,
            verified=True if audience > 50_000 and dice.chance(0.5) else None,  # noqa: PLR2004 -- a well-known account
            created_at=born,
        )

    def anyone(self, dice: Dice, source: str) -> Author:
        """Draw an author for `source`; some write far more often than others."""
        if source in {"phone", "email", "chat"}:
            return dice.pick(self.customers)
        share = dice.draw() / 4_294_967_296
        table = self.quiet if source in {"reddit", "review"} else self.crowd
        return table[int(share * math.sqrt(share) * CROWD)]

    def with_audience(self, dice: Dice, low: int, high: int) -> Author:
        """Draw an author of the crowd whose followers lie between `low` and `high`; the nearest of 400 if none does."""
        best, miss = self.crowd[0], math.inf
        for _ in range(400):
            author = dice.pick(self.crowd)
            count = author.followers or 0
            if low <= count <= high:
                return author
            if (distance := min(abs(count - low), abs(count - high))) < miss:
                best, miss = author, distance
        return best
