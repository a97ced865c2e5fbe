"""The state of one story: what `observe` keeps of every mention, in constant time and under 4 KB.

All sums decay by the mention's own time, so that contributions commute: a mention that comes late counts where it
belongs. Distinct voices drive everything; an author who posts twenty times is one voice.
"""

from __future__ import annotations

from math import exp, isfinite

import msgspec

from monitor.spread.growth import Growth
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


class StoryState:
    """What is kept of a story. `StorySpread` adds the assessment."""

    __slots__ = (
        "buckets", "complaint", "counts", "exposures", "first", "growth", "kinds", "map", "named", "peak", "reach",
        "read", "ref", "size", "spent", "voices",
    )  # fmt: skip

    def __init__(self) -> None:
        self.first = self.ref = 0.0
        self.size = 0
        self.voices = self.reach = self.spent = self.complaint = 0.0
        self.read = 0
        self.counts = [0.0] * len(SCALES)
        self.exposures = [0.0] * len(SCALES)
        self.kinds = [0.0] * len(KINDS)
        self.buckets: dict[int, float] = {}
        self.peak: tuple[float, int] = (0.0, 0)
        self.growth = Growth()
        self.named: dict[int, tuple[float, int, float]] | None = {}
        self.map: VoiceMap | None = None

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
        if self.size == 0:
            self.first = self.ref = t
        elif t < self.first:
            self.first = t
        self.size += 1
        if complaint is not None and 0.0 <= complaint <= 1.0:
            self.complaint += complaint
            self.read += 1
        reach = _reach(followers)
        weight = self._weigh(t, voice & MASK64, reach)
        if weight == 0.0:
            self._shift(t)
            return
        self.voices += weight
        self.reach += weight * reach
        at = KINDS.get(kind)
        if at is not None:
            self.kinds[at] += weight
        self._add(t, weight, weight * exposure(reach))

    def withdraw(self, t: float, voice: int, followers: int | None, kind: str, complaint: float | None) -> None:
        """Take back a mention that was observed with the same arguments (it was deleted).

        Exact while voices are kept by name; afterwards the mention takes its average share of a voice with it.
        """
        if self.size == 0:
            return
        self.size -= 1
        if complaint is not None and 0.0 <= complaint <= 1.0:
            self.complaint = max(0.0, self.complaint - complaint)
            self.read = max(0, self.read - 1)
        voice &= MASK64
        reach = _reach(followers)
        weight = 1.0
        if self.named is not None:
            known = self.named.get(voice)
            if known is None:
                return
            if known[1] > 1:
                self.named[voice] = (known[0], known[1] - 1, known[2])
                return
            del self.named[voice]
            t, reach = known[0], known[2]
        else:
            weight = self.voices / (self.size + 1)
        weight = min(weight, self.voices)
        self.voices -= weight
        self.reach = max(0.0, self.reach - weight * reach)
        at = KINDS.get(kind)
        if at is not None:
            self.kinds[at] = max(0.0, self.kinds[at] - weight)
        self._add(t, -weight, -weight * exposure(reach))

    def absorb(self, other: StoryState) -> None:
        """Take over every mention of `other`, a story that turned out to be the same; voices in both count once."""
        if other.size == 0:
            return
        if self.size == 0:
            self.first, self.ref = other.first, other.ref
        self.first = min(self.first, other.first)
        mine, theirs = self.voices, other.voices
        share_kept = 1.0
        if self.named is not None and other.named is not None and len(self.named.keys() | other.named.keys()) <= EXACT:
            twice = self._absorb_names(self.named, other.named)
        else:
            twice = []
            union = self._absorb_map(other)
            share_kept = min(1.0, union / (mine + theirs)) if mine + theirs > 0 else 1.0
        self._shift(max(self.ref, other.ref))
        late = [exp((other.ref - self.ref) / s) for s in SCALES]
        self.counts = [(a + b * d) * share_kept for a, b, d in zip(self.counts, other.counts, late, strict=True)]
        self.exposures = [
            (a + b * d) * share_kept for a, b, d in zip(self.exposures, other.exposures, late, strict=True)
        ]
        self.kinds = [(a + b) * share_kept for a, b in zip(self.kinds, other.kinds, strict=True)]
        self.voices = (mine + theirs) * share_kept
        self.reach = (self.reach + other.reach) * share_kept
        self.spent = (self.spent + other.spent) * share_kept
        self.size += other.size
        self.complaint += other.complaint
        self.read += other.read
        self.peak = max(self.peak, other.peak)
        self.growth.merge(other.growth)
        self.growth.scale(share_kept)
        for at, weight in other.buckets.items():
            self.buckets[at] = self.buckets.get(at, 0.0) + weight
        self._trim()
        for at_t, reach in twice:
            self.voices -= 1.0
            self.reach = max(0.0, self.reach - reach)
            self._add(at_t, -1.0, -exposure(reach))

    def dump(self) -> bytes:
        """Return the state as at most 4 KB of msgpack."""
        state = _Dump(
            version=VERSION,
            first=self.first,
            ref=self.ref,
            size=self.size,
            voices=self.voices,
            reach=self.reach,
            spent=self.spent,
            counts=self.counts,
            exposures=self.exposures,
            kinds=self.kinds,
            complaint=self.complaint,
            read=self.read,
            buckets=list(self.buckets.items()),
            peak=self.peak,
            named=None if self.named is None else [(v, t, n, reach) for v, (t, n, reach) in self.named.items()],
            map=None if self.map is None else bytes(self.map.raw),
            cells=list(self.growth.cells.items()),
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
        self.first, self.ref, self.size, self.voices = d.first, d.ref, d.size, d.voices
        self.reach, self.spent, self.counts, self.exposures = d.reach, d.spent, d.counts, d.exposures
        self.kinds, self.complaint, self.read, self.peak = d.kinds, d.complaint, d.read, d.peak
        self.buckets = dict(d.buckets)
        self.named = None if d.named is None else {v: (t, n, f) for v, t, n, f in d.named}
        self.map = None if d.map is None else VoiceMap(d.map)
        self.growth.restore(dict(d.cells), d.newest)

    def _weigh(self, t: float, voice: int, reach: float) -> float:
        """Remember the voice, and return how many new voices it stands for."""
        if self.named is not None:
            known = self.named.get(voice)
            if known is not None:
                self._again(t, voice, known)
                return 0.0
            self.named[voice] = (t, 1, reach)
            if len(self.named) > EXACT:
                self._forget_names()
            return 1.0
        assert self.map is not None  # noqa: S101 -- the invariant: names or map, never neither
        weight = self.map.add(voice)
        return self.voices / self.size if self.map.full else weight

    def _again(self, t: float, voice: int, known: tuple[float, int, float]) -> None:
        """A voice by name speaks again: one voice still, from its earliest mention on."""
        assert self.named is not None  # noqa: S101 -- only called while names are kept
        self._shift(t)
        first, count, reach = known
        if t < first:
            self._add(first, -1.0, -exposure(reach))
            self._add(t, 1.0, exposure(reach))
        self.named[voice] = (min(t, first), count + 1, reach)

    def _add(self, t: float, weight: float, exposed: float) -> None:
        """Count `weight` voices at `t` in every sum that decays, shifting them there if `t` is the newest time."""
        behind = self.ref - t
        if behind < 0.0:
            fade = [exp(behind / s) for s in SCALES]
            self.counts = [c * f + weight for c, f in zip(self.counts, fade, strict=True)]
            self.exposures = [e * f + exposed for e, f in zip(self.exposures, fade, strict=True)]
            self.ref = t
        elif behind == 0.0:
            self.counts = [c + weight for c in self.counts]
            self.exposures = [e + exposed for e in self.exposures]
        else:
            fade = [exp(-behind / s) for s in SCALES]
            self.counts = [c + weight * f for c, f in zip(self.counts, fade, strict=True)]
            self.exposures = [e + exposed * f for e, f in zip(self.exposures, fade, strict=True)]
        self.spent += exposed
        self.growth.add(t, weight)
        at = int(t // BUCKET)
        held = self.buckets.get(at)
        if held is not None:
            self.buckets[at] = held + weight
            if held + weight <= NOTHING:
                del self.buckets[at]
        elif weight > 0:
            self.buckets[at] = weight
            if len(self.buckets) > BUCKETS:
                self._trim()

    def _shift(self, t: float) -> None:
        """Let every decayed sum stand at `t`, which is not before where it stands."""
        behind = self.ref - t
        if behind < 0.0:
            fade = [exp(behind / s) for s in SCALES]
            self.counts = [c * f for c, f in zip(self.counts, fade, strict=True)]
            self.exposures = [e * f for e, f in zip(self.exposures, fade, strict=True)]
            self.ref = t
            self.growth.touch(t)

    def _trim(self) -> None:
        while len(self.buckets) > BUCKETS:
            oldest = min(self.buckets)
            self.peak = max(self.peak, (self.buckets.pop(oldest), oldest))

    def _forget_names(self) -> None:
        assert self.named is not None  # noqa: S101 -- only called while names are kept
        self.map = VoiceMap()
        for voice in self.named:
            self.map.add(voice)
        self.named = None

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
        return twice

    def _absorb_map(self, other: StoryState) -> float:
        """Join as maps; return the estimate of distinct voices in either."""
        if self.named is not None:
            self._forget_names()
        assert self.map is not None  # noqa: S101 -- names or map, never neither
        if other.map is not None:
            self.map.merge(other.map)
        for voice in other.named or ():
            self.map.add(voice)
        return max(estimate(self.map.bits), 1.0) if not self.map.full else max(self.voices, other.voices)
