"""The state of one story: what `observe` keeps of every mention, in constant time and under 4 KB.

All sums decay by the mention's own time, so that contributions commute: a mention that comes late counts where it
belongs. Distinct voices drive everything; an author who posts twenty times is one voice.

Numbers lie side by side in a few buffers, not as objects all over the memory: of a hundred thousand stories the next
mention's is in no cache of the processor, and every place that has to be fetched costs as much as the arithmetic.
"""

from __future__ import annotations

from array import array
from math import exp, isfinite
from sys import byteorder

import msgspec

from monitor.spread.growth import Growth, place
from monitor.spread.kernel import SCALES
from monitor.spread.voices import EXACT, MASK64, VoiceMap, estimate

NOTHING = 1e-9
BUCKET = 300.0
"""Seconds of one bucket in the search for the largest burst."""

BUCKETS = 12
"""Buckets that stay open for late mentions; older ones only compete for the largest burst."""

MAX_FOLLOWERS = 10**8
TYPICAL_FOLLOWERS = 200.0
"""Followers of an account that does not say."""

EXPONENT = 0.4
"""How exposure grows with followers (the mark's power in Mishra et al. 2016): a hundred times the followers, six times
the answers."""

VERSION = 2
"""Of the dump."""

KINDS = {"repost": 0, "quote": 1, "reply": 2}
"""Kinds of mention that are told apart, and where each is counted."""


def exposure(followers: float) -> float:
    """Return an author's exposure in units of a typical author's: saturating, so that no single account rules.

    >>> exposure(200), round(exposure(1_000_000), 1)
    (1.0, 30.1)
    """
    return float(((followers + 1.0) / (TYPICAL_FOLLOWERS + 1.0)) ** EXPONENT)


def _reach(followers: int | None) -> float:
    """Return the followers that count: a typical account's where they are unknown, capped."""
    if followers is None:
        return TYPICAL_FOLLOWERS
    return float(followers if 0 <= followers <= MAX_FOLLOWERS else min(max(followers, 0), MAX_FOLLOWERS))


class _Dump(msgspec.Struct, frozen=True, array_like=True):
    version: int
    first: float
    ref: float
    size: int
    voices: float
    reach: float
    spent: float
    counts: list[float]
    exposures: list[float]
    kinds: list[float]
    complaint: float
    read: int
    buckets: list[tuple[int, float]]
    peak: tuple[float, int]
    named: list[tuple[int, float, int, float]] | None
    map: bytes | None
    cells: list[tuple[int, float]]
    newest: int


_decode = msgspec.msgpack.Decoder(_Dump).decode
_encode = msgspec.msgpack.Encoder().encode


FIRST, REF, SIZE, READ, VOICES, REACH, SPENT, COMPLAINT, PEAK, PEAK_AT, KIND = range(11)
COUNT = KIND + len(KINDS)
EXPOSED = COUNT + len(SCALES)
WIDTH = EXPOSED + len(SCALES)
"""Where each number of a story lies."""

SAID = 3
"""Numbers kept of a voice by name: its first mention, how often it spoke, its reach."""


class _Number:
    """A story's number, to be read."""

    __slots__ = ("_at",)

    def __init__(self, at: int) -> None:
        self._at = at

    def __get__(self, story: StoryState, _: type) -> float:
        return story._held[self._at]  # noqa: SLF001 -- one of its own


class StoryState:
    """What is kept of a story. `StorySpread` adds the assessment."""

    __slots__ = ("_buckets", "_held", "_names", "_said", "growth", "map")

    first, ref = _Number(FIRST), _Number(REF)
    voices, reach, spent, complaint = _Number(VOICES), _Number(REACH), _Number(SPENT), _Number(COMPLAINT)

    def __init__(self) -> None:
        self._held = array("d", bytes(8 * WIDTH))
        self._buckets = array("d")
        """Number and voices of each open bucket, in turns."""
        self.growth = Growth()
        self._names = bytearray()
        """The voices known by name, eight bytes each."""
        self._said = array("d")
        """Of each of them `SAID` numbers."""
        self.map: VoiceMap | None = None
        """What stands for the voices once they are not known by name."""

    @property
    def size(self) -> int:
        """Mentions."""
        return int(self._held[SIZE])

    @property
    def read(self) -> int:
        """Mentions whose complaint is known."""
        return int(self._held[READ])

    @property
    def counts(self) -> list[float]:
        """Voices, decayed at each scale."""
        return self._held[COUNT:EXPOSED].tolist()

    @property
    def exposures(self) -> list[float]:
        """Exposure, decayed at each scale."""
        return self._held[EXPOSED:WIDTH].tolist()

    @property
    def kinds(self) -> list[float]:
        """Voices by kind of mention."""
        return self._held[KIND:COUNT].tolist()

    @property
    def peak(self) -> tuple[float, int]:
        """The largest bucket that is no longer open: its voices and its number."""
        return self._held[PEAK], int(self._held[PEAK_AT])

    @property
    def buckets(self) -> dict[int, float]:
        """Voices by number of every open bucket."""
        return dict(self._open_buckets())

    @property
    def named(self) -> dict[int, tuple[float, int, float]] | None:
        """The voices known by name: first mention, how often they spoke, reach; None once they are too many."""
        return {voice: (t, n, reach) for voice, t, n, reach in self._known()} if self.map is None else None

    def observe(self, t: float, voice: int, followers: int | None, kind: str, complaint: float | None) -> None:
        """Count one mention.

        Args:
            t: when it was published, seconds since the epoch; any order.
            voice: a 64-bit hash of its author.
            followers: the author's followers; None if unknown; capped at 10^8.
            kind: of the mention; repost, quote and reply are told apart.
            complaint: the probability that it complains, or None if unread.

        Raises:
            ValueError: `t` is not finite.
        """
        if not isfinite(t):
            raise ValueError(f"a mention's time must be finite, not {t!r}")
        held = self._held
        if held[SIZE] == 0.0:
            held[FIRST] = held[REF] = t
        elif t < held[FIRST]:
            held[FIRST] = t
        held[SIZE] += 1.0
        if complaint is not None and 0.0 <= complaint <= 1.0:
            held[COMPLAINT] += complaint
            held[READ] += 1.0
        reach = _reach(followers)
        weight = self._weigh(t, voice & MASK64, reach)
        if weight == 0.0:
            self._shift(t)
            return
        held[VOICES] += weight
        held[REACH] += weight * reach
        at = KINDS.get(kind)
        if at is not None:
            held[KIND + at] += weight
        self._add(t, weight, weight * exposure(reach))

    def withdraw(self, t: float, voice: int, followers: int | None, kind: str, complaint: float | None) -> None:
        """Take back a mention that was observed with the same arguments (it was deleted).

        Exact while voices are kept by name; afterwards the mention takes its average share of a voice with it.
        """
        held = self._held
        if held[SIZE] == 0.0:
            return
        held[SIZE] -= 1.0
        if complaint is not None and 0.0 <= complaint <= 1.0:
            held[COMPLAINT] = max(0.0, held[COMPLAINT] - complaint)
            held[READ] = max(0.0, held[READ] - 1.0)
        reach = _reach(followers)
        weight = 1.0
        if self.map is None:
            found = place(self._names, (voice & MASK64).to_bytes(8, byteorder))
            if found < 0:
                return
            at = SAID * found
            if self._said[at + 1] > 1.0:
                self._said[at + 1] -= 1.0
                return
            t, reach = self._said[at], self._said[at + 2]
            del self._names[8 * found : 8 * found + 8], self._said[at : at + SAID]
        else:
            weight = held[VOICES] / (held[SIZE] + 1.0)
        weight = min(weight, held[VOICES])
        held[VOICES] -= weight
        held[REACH] = max(0.0, held[REACH] - weight * reach)
        of = KINDS.get(kind)
        if of is not None:
            held[KIND + of] = max(0.0, held[KIND + of] - weight)
        self._add(t, -weight, -weight * exposure(reach))

    def absorb(self, other: StoryState) -> None:
        """Take over every mention of `other`, a story that turned out to be the same; voices in both count once."""
        if other.size == 0:
            return
        held, gone = self._held, other._held
        if held[SIZE] == 0.0:
            held[FIRST], held[REF] = gone[FIRST], gone[REF]
        held[FIRST] = min(held[FIRST], gone[FIRST])
        both = held[VOICES] + gone[VOICES]
        share_kept = 1.0
        mine, theirs = self.named, other.named
        if mine is not None and theirs is not None and len(mine.keys() | theirs.keys()) <= EXACT:
            twice = self._absorb_names(mine, theirs)
        else:
            twice = []
            union = self._absorb_map(other)
            share_kept = min(1.0, union / both) if both > 0 else 1.0
        self._shift(max(held[REF], gone[REF]))
        for at, scale in enumerate(SCALES):
            late = exp((gone[REF] - held[REF]) / scale)
            held[COUNT + at] = (held[COUNT + at] + gone[COUNT + at] * late) * share_kept
            held[EXPOSED + at] = (held[EXPOSED + at] + gone[EXPOSED + at] * late) * share_kept
        for at in (REACH, SPENT, *range(KIND, COUNT)):
            held[at] = (held[at] + gone[at]) * share_kept
        held[VOICES] = both * share_kept
        for at in (SIZE, COMPLAINT, READ):
            held[at] += gone[at]
        self._top(gone[PEAK], gone[PEAK_AT])
        self.growth.merge(other.growth)
        self.growth.scale(share_kept)
        buckets = self.buckets
        for number, weight in other.buckets.items():
            buckets[number] = buckets.get(number, 0.0) + weight
        self._buckets = array("d", [x for pair in buckets.items() for x in pair])
        self._trim()
        for at_t, reach in twice:
            held[VOICES] -= 1.0
            held[REACH] = max(0.0, held[REACH] - reach)
            self._add(at_t, -1.0, -exposure(reach))

    def dump(self) -> bytes:
        """Return the state as at most 4 KB of msgpack."""
        held = self._held.tolist()
        state = _Dump(
            version=VERSION,
            first=held[FIRST],
            ref=held[REF],
            size=int(held[SIZE]),
            voices=held[VOICES],
            reach=held[REACH],
            spent=held[SPENT],
            counts=held[COUNT:EXPOSED],
            exposures=held[EXPOSED:WIDTH],
            kinds=held[KIND:COUNT],
            complaint=held[COMPLAINT],
            read=int(held[READ]),
            buckets=self._open_buckets(),
            peak=(held[PEAK], int(held[PEAK_AT])),
            named=self._known() if self.map is None else None,
            map=None if self.map is None else bytes(self.map.raw),
            cells=self.growth.pairs(),
            newest=self.growth.newest,
        )
        return _encode(state)

    def _restore(self, raw: bytes) -> None:
        try:
            d = _decode(raw)
        except msgspec.MsgspecError as bad:
            raise ValueError(f"this is no dumped story: {bad}") from bad
        if d.version != VERSION or len(d.counts) != len(SCALES) or len(d.exposures) != len(SCALES):
            raise ValueError(f"a dumped story of version {d.version} cannot be read; replay its mentions instead")
        self._held = array(
            "d",
            (
                d.first, d.ref, d.size, d.read, d.voices, d.reach, d.spent, d.complaint, *d.peak,
                *d.kinds, *d.counts, *d.exposures,
            ),
        )  # fmt: skip
        self._buckets = array("d", [x for pair in d.buckets for x in pair])
        self._names = bytearray(array("Q", [known[0] for known in d.named or ()]))
        self._said = array("d", [x for known in d.named or () for x in known[1:]])
        self.map = VoiceMap(d.map) if d.map is not None else None
        self.growth.restore(dict(d.cells), d.newest)

    def _known(self) -> list[tuple[int, float, int, float]]:
        """The voices known by name, with what is kept of each."""
        voices, said = array("Q", bytes(self._names)).tolist(), self._said.tolist()
        return list(zip(voices, said[::SAID], map(int, said[1::SAID]), said[2::SAID], strict=True))

    def _open_buckets(self) -> list[tuple[int, float]]:
        """Number and voices of every open bucket."""
        buckets = self._buckets.tolist()
        return list(zip(map(int, buckets[::2]), buckets[1::2], strict=True))

    def _weigh(self, t: float, voice: int, reach: float) -> float:
        """Remember the voice, and return how many new voices it stands for."""
        if self.map is None:
            name = voice.to_bytes(8, byteorder)
            found = place(self._names, name)
            if found >= 0:
                self._again(t, SAID * found)
                return 0.0
            self._names += name
            self._said.extend((t, 1.0, reach))
            if len(self._names) > 8 * EXACT:
                self._forget_names()
            return 1.0
        weight = self.map.add(voice)
        return self._held[VOICES] / self._held[SIZE] if self.map.full else weight

    def _again(self, t: float, at: int) -> None:
        """A voice by name speaks again: one voice still, from its earliest mention on."""
        self._shift(t)
        first, reach = self._said[at], self._said[at + 2]
        if t < first:
            self._add(first, -1.0, -exposure(reach))
            self._add(t, 1.0, exposure(reach))
            self._said[at] = t
        self._said[at + 1] += 1.0

    def _add(self, t: float, weight: float, exposed: float) -> None:
        """Count `weight` voices at `t` in every sum that decays, shifting them there if `t` is the newest time."""
        held = self._held
        behind = held[REF] - t
        at = COUNT
        if behind <= 0.0:
            for scale in SCALES:
                fade = exp(behind / scale)
                held[at] = held[at] * fade + weight
                held[at + EXPOSED - COUNT] = held[at + EXPOSED - COUNT] * fade + exposed
                at += 1
            held[REF] = t
        else:
            for scale in SCALES:
                fade = exp(-behind / scale)
                held[at] += weight * fade
                held[at + EXPOSED - COUNT] += exposed * fade
                at += 1
        held[SPENT] += exposed
        self.growth.add(t, weight)
        self._bucket(float(t // BUCKET), weight)

    def _bucket(self, number: float, weight: float) -> None:
        """Count `weight` voices in a bucket; one that is empty goes."""
        buckets = self._buckets
        at = len(buckets) - 2
        while at >= 0 and buckets[at] != number:
            at -= 2
        if at >= 0:
            buckets[at + 1] += weight
            if buckets[at + 1] <= NOTHING:
                del buckets[at : at + 2]
        elif weight > 0.0:
            buckets.extend((number, weight))
            if len(buckets) > 2 * BUCKETS:
                self._trim()

    def _shift(self, t: float) -> None:
        """Let every decayed sum stand at `t`, which is not before where it stands."""
        held = self._held
        behind = held[REF] - t
        if behind < 0.0:
            for at, scale in enumerate(SCALES, COUNT):
                fade = exp(behind / scale)
                held[at] *= fade
                held[at + EXPOSED - COUNT] *= fade
            held[REF] = t
            self.growth.touch(t)

    def _trim(self) -> None:
        """Close the oldest buckets."""
        buckets = self._buckets
        while len(buckets) > 2 * BUCKETS:
            at = 2 * buckets[::2].index(min(buckets[::2]))
            self._top(buckets[at + 1], buckets[at])
            del buckets[at : at + 2]

    def _top(self, weight: float, number: float) -> None:
        """Take a closed bucket for the largest burst, if it is larger."""
        held = self._held
        held[PEAK], held[PEAK_AT] = max((held[PEAK], held[PEAK_AT]), (weight, number))

    def _keep_names(self, named: dict[int, tuple[float, int, float]]) -> None:
        self._names = bytearray(array("Q", named))
        self._said = array("d", [x for said in named.values() for x in said])

    def _forget_names(self) -> None:
        """Let the map stand for the voices from now on."""
        named = self.named or {}
        self.map = VoiceMap()
        for voice in named:
            self.map.add(voice)
        self._keep_names({})

    def _absorb_names(
        self, mine: dict[int, tuple[float, int, float]], theirs: dict[int, tuple[float, int, float]]
    ) -> list[tuple[float, float]]:
        """Join the names; return the later first mention of every voice in both, which now counts for nothing."""
        twice = []
        for voice, (t, n, reach) in theirs.items():
            if voice in mine:
                t0, n0, reach0 = mine[voice]
                mine[voice] = (min(t, t0), n + n0, reach0 if t0 <= t else reach)
                twice.append((t, reach) if t0 <= t else (t0, reach0))
            else:
                mine[voice] = (t, n, reach)
        self._keep_names(mine)
        return twice

    def _absorb_map(self, other: StoryState) -> float:
        """Join as maps; return the estimate of distinct voices in either."""
        if self.map is None:
            self._forget_names()
        assert self.map is not None  # noqa: S101 -- names or map, never neither
        if other.map is not None:
            self.map.merge(other.map)
        for voice in other.named or ():
            self.map.add(voice)
        return max(estimate(self.map.bits), 1.0) if not self.map.full else max(self.voices, other.voices)
