"""A brand's recent past in five-minute bins, and its older past in hours: who complained, who spoke, about what.

Voices are counted by bitmaps, which join without counting anybody twice (linear counting, Whang et al. 1990).
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from monitor.spread.scores import BITS, voices_of
from monitor.spread.voices import MASK64, mix

BIN = 300.0
PER_HOUR = 12
REACH = 12
"""Hours within which a voice that complains again is not counted again for its cause."""

OPEN = (REACH + 1) * PER_HOUR
"""Bins kept as they are; older ones are an hour's figure."""

MOST_BLOCKS = 2 * OPEN
"""Hours of bins that are remembered."""

FEW = 200
"""Bits up to which a map is written as places."""

TOPICS = 64
"""Causes told apart within a bin; the rest count in the whole only."""

Causes = dict[str, float]
_NOTHING: Causes = {}


class Bin(Struct):
    """Five minutes: bitmaps of the complaining voices and of all voices.

    `plain` is complaints that came as a mere number; `fresh` the voices that had not complained for `REACH` hours.
    """

    bad: int = 0
    both: int = 0
    plain: float = 0.0
    fresh: float = 0.0
    packed: tuple[bytes, bytes] | None = None


class Block(NamedTuple):
    """An hour of bins that ends anywhere.

    Attributes:
        bad: the bitmap of the complaining voices.
        complaints: how many they are, the plain number with them.
        voices: how many spoke, likewise.
        plain: complaints that came as a mere number.
        causes: its voices by cause.
    """

    bad: int
    complaints: float
    voices: float
    plain: float
    causes: Causes


class Saved(Struct, frozen=True, array_like=True):
    """What `Bins.save` hands out."""

    bins: list[tuple[int, bytes, bytes, float, float]]
    causes: list[tuple[int, Causes]]
    hours: list[tuple[int, float, float]]
    hour_causes: list[tuple[int, Causes]]


class Bins:
    """Counts commute: a late mention goes to the bin of its time, as long as that is open (13 hours)."""

    __slots__ = ("_blocks", "_kept_to", "_known", "bins", "causes", "hour_causes", "hourly", "hours", "newest")

    def __init__(self) -> None:
        self.newest = -(10**9)
        """The newest bin that holds anything."""
        self.bins: dict[int, Bin] = {}
        self.causes: dict[int, Causes] = {}
        """Bin -> voices that first complained then, by cause."""
        self.hours: dict[int, tuple[float, float]] = {}
        """Hour -> complaining voices and voices, of hours that are no longer open."""
        self.hour_causes: dict[int, Causes] = {}
        self.hourly: dict[int, int] = {}
        """Hour -> bitmap of its complaining voices."""
        self._blocks: dict[int, Block] = {}
        self._kept_to = -(10**9)
        self._known: tuple[int, int] | None = None

    def add(self, at: int, voice: int, topic: str | None, *, complains: bool) -> None:
        """Count a voice in bin number `at`."""
        entry = self.bins.get(at)
        if entry is None:
            entry = self._open(at)
        if at <= self._kept_to:
            self._forget_blocks()
        bit = 1 << (mix(voice & MASK64) >> 52)
        entry.packed = None
        entry.both |= bit
        if complains:
            self._count(at, bit, entry, topic)
            entry.bad |= bit

    def add_plain(self, at: int, number: float) -> None:
        """Count complaints that come as a mere number."""
        entry = self.bins.get(at)
        if entry is None:
            entry = self._open(at)
        if at <= self._kept_to:
            self._forget_blocks()
        entry.plain += number

    def _open(self, at: int) -> Bin:
        self.newest = max(self.newest, at)
        entry = self.bins[at] = Bin()
        return entry

    def complaints(self, at: int) -> float:
        """Return the voices of one bin that had not complained for hours."""
        entry = self.bins.get(at)
        return entry.fresh + entry.plain if entry else 0.0

    def block(self, first: int, last: int) -> tuple[int, int, float]:
        """Return the joint bitmaps and the plain number of the bins `first` to `last`."""
        bad = both = 0
        plain = 0.0
        for at in range(first, last + 1):
            entry = self.bins.get(at)
            if entry is not None:
                bad |= entry.bad
                both |= entry.both
                plain += entry.plain
        return bad, both, plain

    def past_hour(self, last: int, *, keep: bool) -> Block:
        """Return what the twelve bins up to number `last` hold; with `keep` it is remembered for the next time."""
        block = self._blocks.get(last)
        if block is not None:
            return block
        first = last - PER_HOUR + 1
        bad, both, plain = self.block(first, last)
        causes: Causes = {}
        self.by_cause(first, last, causes)
        block = Block(bad, voices_of(bad) + plain, voices_of(both) + plain, plain, causes)
        if keep:
            if len(self._blocks) >= MOST_BLOCKS:
                self._forget_blocks()
            self._blocks[last] = block
            self._kept_to = max(self._kept_to, last)
        return block

    def _forget_blocks(self) -> None:
        self._blocks = {}
        self._kept_to = -(10**9)

    def by_cause(self, first: int, last: int, into: Causes) -> None:
        """Add the bins' voices by cause."""
        for at in range(first, last + 1):
            for topic, count in self.causes.get(at, _NOTHING).items():
                into[topic] = into.get(topic, 0.0) + count

    def told(self) -> set[int]:
        """Return the hours that hold anything."""
        return {*self.hours, *(at // PER_HOUR for at in self.bins)}

    def hour(self, hour: int) -> tuple[float, float]:
        """Return an hour's complaining voices and voices."""
        closed = self.hours.get(hour)
        if closed is not None:
            return closed
        bad, both, plain = self.block(hour * PER_HOUR, (hour + 1) * PER_HOUR - 1)
        return voices_of(bad) + plain, voices_of(both) + plain

    def hour_by_cause(self, hour: int) -> Causes:
        """Return an hour's voices by cause."""
        if hour in self.hours:
            return self.hour_causes.get(hour, _NOTHING)
        causes: Causes = {}
        self.by_cause(hour * PER_HOUR, (hour + 1) * PER_HOUR - 1, causes)
        return causes

    def close(self, newest: int, keep: int) -> None:
        """Turn bins that are no longer open into hours; forget hours older than `keep`. `newest` is a bin's number."""
        oldest = (newest - OPEN) // PER_HOUR + 1
        for hour in sorted({at // PER_HOUR for at in self.bins if at // PER_HOUR < oldest}):
            self.hours[hour], causes = self.hour(hour), self.hour_by_cause(hour)
            if causes:
                self.hour_causes[hour] = causes
            for at in range(hour * PER_HOUR, (hour + 1) * PER_HOUR):
                self.bins.pop(at, None)
                self.causes.pop(at, None)
                self._blocks.pop(at + PER_HOUR - 1, None)
                self._blocks.pop(at, None)
        for figures in (self.hourly, self.hours, self.hour_causes):
            limit = oldest if figures is self.hourly else oldest - keep
            for hour in [h for h in figures if h < limit]:
                del figures[hour]
        self._known = None

    def save(self) -> Saved:
        """Return everything, ready for a dump."""
        bins = []
        for at, entry in self.bins.items():
            if entry.packed is None:
                entry.packed = pack(entry.bad), pack(entry.both)
            bins.append((at, *entry.packed, entry.plain, entry.fresh))
        hours = [(hour, *figures) for hour, figures in self.hours.items()]
        return Saved(bins, list(self.causes.items()), hours, list(self.hour_causes.items()))

    @classmethod
    def restore(cls, saved: Saved) -> Bins:
        """Read what `save` handed out."""
        bins = cls()
        for at, bad, both, plain, fresh in saved.bins:
            entry = bins.bins[at] = Bin(unpack(bad), unpack(both), plain, fresh, (bad, both))
            bins.hourly[at // PER_HOUR] = bins.hourly.get(at // PER_HOUR, 0) | entry.bad
            bins.newest = max(bins.newest, at)
        bins.causes = dict(saved.causes)
        bins.hours = {hour: (bad, both) for hour, bad, both in saved.hours}
        bins.hour_causes = dict(saved.hour_causes)
        return bins

    def _count(self, at: int, bit: int, entry: Bin, topic: str | None) -> None:
        """Count a complaint as fresh, and for its cause, unless its voice complained within `REACH` hours."""
        hour = at // PER_HOUR
        if self._known is not None and self._known[0] == hour:
            known = self._known[1]
        else:
            known = 0
            for h in range(hour - REACH, hour + REACH + 1):
                known |= self.hourly.get(h, 0)
        self.hourly[hour] = self.hourly.get(hour, 0) | bit
        self._known = hour, known | bit
        if known & bit:
            return
        weight = BITS / max(BITS - known.bit_count(), 1)
        entry.fresh += weight
        if topic is not None:
            counts = self.causes.setdefault(at, {})
            if topic in counts or len(counts) < TOPICS:
                counts[topic] = counts.get(topic, 0.0) + weight


def pack(bits: int) -> bytes:
    """Write a bitmap: the places of its bits while they are few, else the whole map.

    >>> unpack(pack(0b1011)) == 0b1011, len(pack(0b1011))
    (True, 6)
    """
    if bits.bit_count() > FEW:
        return bits.to_bytes(BITS // 8, "little")
    places = []
    while bits:
        low = bits & -bits
        places.append(low.bit_length() - 1)
        bits ^= low
    return b"".join(place.to_bytes(2, "little") for place in places)


def unpack(raw: bytes) -> int:
    """Read what `pack` wrote."""
    if len(raw) == BITS // 8:
        return int.from_bytes(raw, "little")
    bits = 0
    for i in range(0, len(raw), 2):
        bits |= 1 << int.from_bytes(raw[i : i + 2], "little")
    return bits
