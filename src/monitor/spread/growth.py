"""How a story grew: voices by time in buckets that are fine for the recent past and coarse for the old.

Buckets lie on a dyadic grid (37 s, 74 s, ...) that does not depend on the story; one is joined with its
neighbour once the story has outlived it by `FINE` of its widths (an exponential histogram, Datar et al. 2002). The
contents depend only on what was counted and on the newest time, not on the order of arrival.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from math import inf
from operator import neg
from sys import byteorder

NOTHING = 1e-9
UNIT = 604_800.0 / 16_384
"""Seconds of the finest bucket, 37: a week is 2^14 of them, so that a shift by whole weeks changes nothing."""

FINE = 8
"""A width's buckets are joined once they are older than so many of their widths."""

LEVELS = 14
"""The coarsest bucket is a week."""

_LEVEL = 31
"""A bucket's key is its number on its grid, shifted left by five bits, and its level in those."""


NEVER = -(1 << 62)
"""A number before all others."""


FARTHEST = 1 << 52
"""Numbers beyond this, some billion years away, count as this."""


def place(numbers: bytearray, number: bytes) -> int:
    """Return where among `numbers`, eight bytes each, the latest that is `number` stands; -1 if it is none of them.

    >>> place(bytearray(range(16)), bytes(range(8, 16))), place(bytearray(range(16)), bytes(range(4, 12)))
    (1, -1)
    """
    at = numbers.rfind(number)
    while at > 0 and at & 7:  # across two of them
        at = numbers.rfind(number, 0, at + 7)
    return at >> 3


def _due(key: int) -> int:
    """Return the newest number at which a bucket is joined with its neighbour; the coarsest never is."""
    level = key & _LEVEL
    return ((key >> 5 & ~1) + FINE) << level if level < LEVELS else -NEVER


class Growth:
    """Voices by time.

    >>> growth = Growth()
    >>> for minute in range(600):
    ...     growth.add(60.0 * minute, 1.0)
    >>> ages, voices = growth.curve(36_000.0)
    >>> len(growth.cells) < 60, 530 < arrived(ages, voices, 3600.0) < 550, round(age_of(ages, voices, 0.5) / 3600)
    (True, True, 5)
    """

    __slots__ = ("_due", "_dues", "_keys", "_weights", "newest")

    def __init__(self) -> None:
        self.restore({}, NEVER)

    @property
    def cells(self) -> dict[int, float]:
        """Voices by key of every bucket."""
        return dict(self.pairs())

    def pairs(self) -> list[tuple[int, float]]:
        """Return key and voices of every bucket."""
        return list(zip(array("q", bytes(self._keys)).tolist(), self._weights.tolist(), strict=True))

    def restore(self, cells: dict[int, float], newest: int) -> None:
        """Hold `cells`, as they stood at `newest`."""
        self._keep(cells)
        self.newest = newest
        """The newest number on the finest grid."""
        self._due = NEVER
        """At which newest number a bucket has to be joined at the earliest."""

    def _keep(self, cells: dict[int, float]) -> None:
        self._keys = bytearray(array("q", cells))
        """The buckets' keys, eight bytes each."""
        self._weights = array("d", cells.values())
        """Their voices."""
        self._dues = array("q", map(_due, cells))
        """At which newest number each is joined."""

    def add(self, t: float, weight: float) -> None:
        """Count `weight` voices at time `t`; negative to take them back."""
        at = _number(t)
        if at > self.newest:
            self._pass(at)
        level = self._level(at)
        key = (at >> level) << 5 | level
        raw = key.to_bytes(8, byteorder, signed=True)
        found = place(self._keys, raw)
        if found < 0:
            if abs(weight) >= NOTHING:
                self._due = min(self._due, self._open(key, raw, weight))
        elif abs(self._weights[found] + weight) < NOTHING:
            self._drop(found)
        else:
            self._weights[found] += weight

    def touch(self, t: float) -> None:
        """Let time pass until `t`."""
        at = _number(t)
        if at > self.newest:
            self._pass(at)

    def _pass(self, at: int) -> None:
        self.newest = at
        if at >= self._due:
            self._join()

    def curve(self, now: float) -> tuple[list[float], list[float]]:
        """Return the growth curve up to `now` as ages (seconds, falling) and the voices that had come by then."""
        spans = []
        for key, weight in self.cells.items():
            if weight > 0.0:
                width = UNIT * (1 << (key & _LEVEL))
                start = (key >> 5) * width
                spans.append((start, width, weight))
        spans.sort()
        ages, voices, total, last = [], [], 0.0, inf
        for start, width, weight in spans:
            begins = min(max(now - start, 0.0), last)
            last = min(max(now - start - width, 0.0), begins)
            ages += [begins, last]
            voices += [total, total + weight]
            total += weight
        return ages, voices

    def spans(self) -> list[tuple[float, float]]:
        """Return where somebody spoke: the start and the width of every bucket that holds a voice, in no order."""
        widths = ((key, UNIT * (1 << (key & _LEVEL))) for key, weight in self.cells.items() if weight >= NOTHING)
        return [((key >> 5) * width, width) for key, width in widths]

    def merge(self, other: Growth) -> None:
        """Add everything that `other` counted."""
        self.newest = max(self.newest, other.newest)
        for key, weight in other.cells.items():
            self._raise(key, weight)
        self._join()

    def scale(self, by: float) -> None:
        """Multiply all counts."""
        self._weights = array("d", [weight * by for weight in self._weights])

    def _level(self, at: int) -> int:
        """The level that keeps number `at` of the finest grid.

        Both halves of a bucket are joined at the same moment, so that the level belongs to the bucket.
        """
        level, newest = 0, self.newest
        while level < LEVELS and (newest >> level) - (at >> level & ~1) >= FINE:
            level += 1
        return level

    def _open(self, key: int, raw: bytes, weight: float) -> int:
        """Keep a bucket more; return when it is due."""
        due = _due(key)
        self._keys += raw
        self._weights.append(weight)
        self._dues.append(due)
        return due

    def _drop(self, found: int) -> float:
        """Keep a bucket no longer; return what it held."""
        del self._keys[8 * found : 8 * found + 8], self._dues[found]
        return self._weights.pop(found)

    def _join(self) -> None:
        """Raise buckets that have become old to their level."""
        newest = self.newest
        old = [found for found, due in enumerate(self._dues) if due <= newest]
        for gone, found in enumerate(old):  # those raised go to the end, and are not due
            at = found - gone
            key = int.from_bytes(self._keys[8 * at : 8 * at + 8], byteorder, signed=True)
            self._raise(key, self._drop(at))
        self._due = min(self._dues, default=NEVER)

    def _raise(self, key: int, weight: float) -> None:
        level, at = key & _LEVEL, key >> 5
        up = max(level, self._level(at << level))
        to = (at >> (up - level)) << 5 | up
        raw = to.to_bytes(8, byteorder, signed=True)
        found = place(self._keys, raw)
        if found < 0:
            self._open(to, raw, weight)
        else:
            self._weights[found] += weight


def _number(t: float) -> int:
    """The number of the finest bucket at `t`."""
    return int(min(max(t // UNIT, -FARTHEST), FARTHEST))


def arrived(ages: list[float], voices: list[float], age: float, before: list[float] | None = None) -> float:
    """Return how many voices had come at `age` before now, between the curve's points by proportion.

    `before` is the ages with their signs turned, for whoever asks often.
    """
    if not ages or age >= ages[0]:
        return 0.0
    i = bisect_left(ages, -age, key=neg) if before is None else bisect_left(before, -age)
    if i >= len(ages):
        return voices[-1]
    span = ages[i - 1] - ages[i]
    part = (ages[i - 1] - age) / span if span > 0.0 else 1.0
    return voices[i - 1] + (voices[i] - voices[i - 1]) * part


def age_of(ages: list[float], voices: list[float], share: float) -> float:
    """Return the age at which `share` of all voices had come."""
    if not ages:
        return 0.0
    wanted = share * voices[-1]
    i = max(bisect_left(voices, wanted), 1)
    span = voices[i] - voices[i - 1]
    part = (wanted - voices[i - 1]) / span if span > 0.0 else 1.0
    return ages[i - 1] + (ages[i] - ages[i - 1]) * part
