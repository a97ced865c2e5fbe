"""`BrandTide`: a brand's complaining voices against its own baseline, apart from any single story."""

from __future__ import annotations

from math import asinh, isfinite, log, sqrt

import msgspec
import numpy as np

from monitor.spread.baseline import DAY, HOUR, KEEP, WEEK, Baseline
from monitor.spread.types import Tide, ViralLine
from monitor.spread.voices import MASK64, mix

BIN = 300.0
PER_HOUR = 12
BITS = 4096
WINDOWS = (1, 3, 12)
"""Hours that are looked at together; a wave shows in any of them."""

OPEN = (max(WINDOWS) + 1) * PER_HOUR
"""Bins kept as they are; older ones are an hour's figure."""

ON = 4.5
"""A wave begins at this joint score of volume and share (Stouffer's z) ..."""

ON_VOLUME = 5.5
"""... or at this score of volume alone, for a brand that hears little but complaints."""

ON_TOPIC = 5.75
"""... or at this score of one cause's volume (higher, for there are many causes)."""

TOPIC_SHARE = 0.02
TOPIC_BELIEF = 50.0
"""A cause's share of the complaints: prior, and its weight in voices."""

TOPICS = 64
"""Causes told apart within an hour; the rest count in the whole only."""

ON_UNSETTLED = 10.0
"""What it takes before the baseline is trusted: in the first day an ordinary morning looks like a rise."""

OFF = 1.5
"""Below this in every window it is calm; a wave ends after `CALM` seconds of that."""

CALM = 6 * HOUR
LEAST_VOICES = 10
LEAST_RATIO = 1.3
"""A wave has at least so many complaining voices in its window, and so many times the expected."""

SETTLED = 24
"""Hours of history from which on the baseline is trusted; before that its dispersion is `UNSETTLED`."""

UNSETTLED = 0.5
PRIOR_SHARE = 0.35
SHARE_BELIEF = 30.0
SHARE_DISPERSION = 0.01
"""Share of complaints: prior, its weight in voices, and its overdispersion (beta-binomial)."""

NEW_NORMAL = 72
"""Hours after which what a wave brings is the new normal, and is learned."""

PRIOR_LINE = 100.0
PRIOR_DAYS = 2.0
LEAST_LINE = 50.0
MOST_LINE = 5000.0


def score(observed: float, expected: float, dispersion: float) -> float:
    """Return how far `observed` stands above `expected`, in standard deviations of a negative binomial.

    The variance-stabilising transformation (Anscombe 1948), smooth and finite whatever the counts.

    >>> round(score(100.0, 100.0, 0.1), 1), score(400.0, 100.0, 0.1) > 3
    (0.0, True)
    """
    return (
        2.0
        / sqrt(dispersion)
        * (asinh(sqrt(dispersion * (observed + 0.375))) - asinh(sqrt(dispersion * (expected + 0.375))))
    )


def excess_share(observed: float, total: float, share: float) -> float:
    """Return how far `observed` of `total` stands above the ordinary `share`, in standard deviations (beta-binomial).

    >>> round(excess_share(35.0, 100.0, 0.35), 1), excess_share(60.0, 100.0, 0.35) > 2.5
    (0.0, True)
    """
    ordinary = total * share
    return (observed - ordinary) / sqrt(ordinary * (1.0 - share) * (1.0 + SHARE_DISPERSION * total) + 1.0)


def voices_of(bits: int) -> float:
    """Return how many voices a bitmap stands for (linear counting; Whang et al. 1990)."""
    unset = BITS - bits.bit_count()
    return BITS * log(BITS / max(unset, 1))


class _Dump(msgspec.Struct, frozen=True, array_like=True):
    version: int
    start: float | None
    newest: float
    bins: list[tuple[int, bytes, bytes]]
    history: list[tuple[int, float, float]]
    topics: list[tuple[int, dict[str, float]]]
    topic_history: list[tuple[int, dict[str, float]]]
    gaps: list[tuple[float, float]]
    waves: list[tuple[float, float]]
    wave_since: float | None
    high_at: float


_decode = msgspec.msgpack.Decoder(_Dump).decode
_encode = msgspec.msgpack.Encoder().encode
_NOTHING: dict[str, float] = {}


class BrandTide:
    """A brand's complaints, hour by hour, and whether they are a wave.

    Example: four quiet days, then a storm in the fifth.

    >>> tide = BrandTide()
    >>> for i in range(4 * 24 * 4):
    ...     tide.observe(i * 900.0, 0.9, i)
    >>> start = 4 * 86400.0
    >>> tide.assess(start).wave_since is None
    True
    >>> for i in range(60):
    ...     tide.observe(start + 60.0 * i, 0.9, 1000 + i)
    >>> storm = tide.assess(start + 3600.0)
    >>> storm.wave_since is not None, storm.observed > 5 * storm.expected
    (True, True)
    """

    __slots__ = (
        "_baseline", "_fitted", "_share", "_topic_prior", "_topic_shares", "bins", "gaps", "high_at", "history",
        "hourly", "newest", "start", "topic_history", "topics", "wave_since", "waves",
    )  # fmt: skip

    def __init__(self) -> None:
        self.start: float | None = None
        self.newest = 0.0
        self.bins: dict[int, list[int]] = {}
        """Bin number -> bitmaps of the complaining voices and of all voices."""
        self.history: dict[int, tuple[float, float]] = {}
        """Hour number -> complaining voices and voices, of hours older than the open bins."""
        self.topics: dict[int, dict[str, float]] = {}
        """Bin number -> voices that first complained then, in 12 hours, by cause."""
        self.hourly: dict[int, int] = {}
        """Hour number -> bitmap of the voices that complained then."""
        self.topic_history: dict[int, dict[str, float]] = {}
        """Hour number -> the same, of older hours."""
        self.gaps: list[tuple[float, float]] = []
        self.waves: list[tuple[float, float]] = []
        """Past waves, (since, until)."""
        self.wave_since: float | None = None
        self.high_at = 0.0
        self._baseline = Baseline(np.zeros(WEEK), 0.0, UNSETTLED, 0)
        self._share = PRIOR_SHARE
        self._topic_shares: dict[str, float] = {}
        self._topic_prior = TOPIC_SHARE
        self._fitted: tuple[int, int] | None = None

    def observe(self, t: float, complaint: float | None, voice: int, topic: str | None = None) -> None:
        """Count one mention.

        Args:
            t: when it was published, seconds since the epoch; any order, though older than 13 hours counts no more.
            complaint: the probability that it complains; None if unread.
            voice: a 64-bit hash of its author.
            topic: what it complains about (a cause's id), if known; a wave of one cause shows long before the whole
                volume does.

        Raises:
            ValueError: `t` is not finite.
        """
        if not isfinite(t):
            raise ValueError(f"a mention's time must be finite, not {t!r}")
        if self.start is None or t < self.start:
            self.start = t if self.start is None or t > self.newest - OPEN * BIN else self.start
        self.tick(t)
        at = int(t // BIN)
        if at <= int(self.newest // BIN) - OPEN:
            return
        entry = self.bins.get(at)
        if entry is None:
            entry = self.bins[at] = [0, 0]
        bit = 1 << (mix(voice & MASK64) >> 52)
        entry[1] |= bit
        if complaint is not None and complaint >= 0.5:  # noqa: PLR2004 -- more likely than not
            if topic is not None:
                self._count_topic(at, bit, topic)
            entry[0] |= bit

    def tick(self, now: float) -> None:
        """Let time pass until `now`, whether or not there were mentions."""
        if not isfinite(now):
            raise ValueError(f"time must be finite, not {now!r}")
        if self.start is None:
            self.start = self.newest = now
        if now > self.newest:
            before, self.newest = self.newest, now
            if int(before // HOUR) != int(now // HOUR):
                self._close()

    def gap(self, t0: float, t1: float) -> None:
        """Say that the input was down from `t0` to `t1`: that time is neither calm nor storm, and teaches nothing."""
        if t1 > t0:
            self.gaps = [*self.gaps, (t0, t1)][-64:]
            self._fitted = None

    def assess(self, now: float) -> Tide:
        """Say how the brand stands at `now` (event time), in the window that stands out most; opens and ends waves."""
        self.tick(now)
        now = self.newest
        base = self._learned()
        settled = base.hours >= SETTLED
        best = max(self._windows(now, base), key=lambda tide: tide.score)
        if self.wave_since is None:
            if (
                best.score >= (ON if settled else ON_UNSETTLED)
                and best.voices >= LEAST_VOICES
                and best.observed >= LEAST_RATIO * best.expected
            ):
                self.wave_since = now
                self.high_at = now
        elif best.score >= OFF:
            self.high_at = now
        elif now - self.high_at >= CALM:
            self.waves = [*self.waves, (self.wave_since, self.high_at)][-64:]
            self.wave_since = None
        return msgspec.structs.replace(best, wave_since=self.wave_since, confident=settled)

    def line(self) -> ViralLine:
        """Return the viral line for a brand that has none configured.

        A story is viral when it alone brings as many voices as an ordinary day brings complaints; without history a
        stated prior stands in for the first days.
        """
        base = self._learned()
        days = base.hours / DAY
        size = (PRIOR_LINE * PRIOR_DAYS + base.constant * DAY * days) / (PRIOR_DAYS + days)
        size = min(max(size, LEAST_LINE), MOST_LINE)
        why = (
            f"an ordinary day brings {base.constant * DAY:.0f} complaining voices ({days:.0f} days seen)"
            if days >= 1.0
            else f"no history yet: {PRIOR_LINE:.0f} voices by default"
        )
        return ViralLine(round(size), None, why)

    def dump(self) -> bytes:
        """Return the state as msgpack: at most about 200 KB for a brand that is loud all day."""
        size = BITS // 8
        bins = [
            (at, bad.to_bytes(size, "little"), both.to_bytes(size, "little")) for at, (bad, both) in self.bins.items()
        ]
        history = [(hour, *counts) for hour, counts in self.history.items()]
        topics, past = list(self.topics.items()), list(self.topic_history.items())
        return _encode(
            _Dump(
                1,
                self.start,
                self.newest,
                bins,
                history,
                topics,
                past,
                self.gaps,
                self.waves,
                self.wave_since,
                self.high_at,
            )
        )

    @classmethod
    def load(cls, raw: bytes) -> BrandTide:
        """Read what `dump` wrote.

        Raises:
            ValueError: it is no dumped tide, or of another version.
        """
        try:
            d = _decode(raw)
        except msgspec.MsgspecError as wrong:
            raise ValueError(f"this is no dumped tide: {wrong}") from wrong
        if d.version != 1:
            raise ValueError(f"a dumped tide of version {d.version} cannot be read; replay its mentions instead")
        tide = cls()
        tide.start, tide.newest, tide.gaps, tide.waves = d.start, d.newest, d.gaps, d.waves
        tide.wave_since, tide.high_at = d.wave_since, d.high_at
        tide.bins = {at: [int.from_bytes(bad, "little"), int.from_bytes(both, "little")] for at, bad, both in d.bins}
        tide.topics, tide.topic_history = dict(d.topics), dict(d.topic_history)
        for at, (bad, _) in tide.bins.items():
            tide.hourly[at // PER_HOUR] = tide.hourly.get(at // PER_HOUR, 0) | bad
        tide.history = {hour: (bad, both) for hour, bad, both in d.history}
        return tide

    def _count_topic(self, at: int, bit: int, topic: str) -> None:
        """Count the complaint's cause, unless its voice complained within 12 hours before or after."""
        known = 0
        hour = at // PER_HOUR
        for h in range(hour - max(WINDOWS), min(hour + max(WINDOWS), int(self.newest // HOUR)) + 1):
            known |= self.hourly.get(h, 0)
        self.hourly[hour] = self.hourly.get(hour, 0) | bit
        if not known & bit:
            counts = self.topics.setdefault(at, {})
            if topic in counts or len(counts) < TOPICS:
                counts[topic] = counts.get(topic, 0.0) + BITS / max(BITS - known.bit_count(), 1)

    def _windows(self, now: float, base: Baseline) -> list[Tide]:
        """Hold the last hours against the baseline, in every window."""
        last = int(now // BIN)
        observed = total = expected = 0.0
        everyone = 0
        causes: dict[str, float] = {}
        tides = []
        for hour in range(max(WINDOWS)):
            bad = both = 0
            for at in range(last - PER_HOUR * hour, last - PER_HOUR * (hour + 1), -1):
                entry = self.bins.get(at)
                if entry is not None:
                    bad |= entry[0]
                    both |= entry[1]
                for topic, count in self.topics.get(at, _NOTHING).items():
                    causes[topic] = causes.get(topic, 0.0) + count
                expected += self._seen(at, now) * base.expected(at // PER_HOUR) / PER_HOUR
            observed += voices_of(bad)
            total += voices_of(both)
            everyone |= bad
            if hour + 1 in WINDOWS:
                tides.append(self._tide(now, hour + 1, base, (observed, total, expected), round(voices_of(everyone))))
                tides += [self._topic(tides[-1], topic, count, total, base) for topic, count in causes.items()]
        return tides

    def _tide(self, now: float, hours: int, base: Baseline, counts: tuple[float, float, float], voices: int) -> Tide:
        """Score one window: volume and share jointly, or volume alone."""
        observed, total, expected = counts
        dispersion = (base.dispersion if base.hours >= SETTLED else UNSETTLED) / sqrt(hours)
        best = 0.0
        if base.hours:
            volume = score(observed, expected, dispersion)
            joint = (volume + excess_share(observed, total, self._share)) / sqrt(2.0)
            best = max(min(joint, volume + ON), volume * ON / ON_VOLUME)
        width = 1.2816 * sqrt(expected + dispersion * expected**2)
        return Tide(
            at=now, observed=observed, expected=expected, low=max(0.0, expected - width), high=expected + width + 1.0,
            window_s=hours * HOUR, score=best, voices=voices,
        )  # fmt: skip

    def _topic(self, whole: Tide, topic: str, count: float, total: float, base: Baseline) -> Tide:
        """Score one cause in the window of `whole`: against its own share of what the hour usually brings."""
        share = self._topic_shares.get(topic, self._topic_prior)
        expected = whole.expected * share
        hours = whole.window_s / HOUR
        dispersion = (base.dispersion if base.hours >= SETTLED else UNSETTLED) / sqrt(hours)
        width = 1.2816 * sqrt(expected + dispersion * expected**2)
        volume = score(count, expected, dispersion)
        joint = (volume + excess_share(count, total, self._share * share)) / sqrt(2.0)
        return msgspec.structs.replace(
            whole, observed=count, expected=expected, low=max(0.0, expected - width), high=expected + width + 1.0,
            score=joint * ON / ON_TOPIC if base.hours else 0.0,
            voices=min(round(count), whole.voices), topic=topic,
        )  # fmt: skip

    def _seen(self, at: int, now: float) -> float:
        """Which part of bin `at` was seen by `now`: none before the start, after now, or in a gap."""
        t0, t1 = max(at * BIN, self.start or 0.0), min((at + 1) * BIN, now)
        seen = max(0.0, t1 - t0)
        for g0, g1 in self.gaps:
            seen -= max(0.0, min(t1, g1) - max(t0, g0))
        return max(0.0, seen) / BIN

    def _learned(self) -> Baseline:
        """The baseline as of the hour before the present one, fitted at most once an hour."""
        hour = int(self.newest // HOUR)
        key = (hour, len(self.gaps))
        if self._fitted != key:
            hours, counts, weights = [], [], []
            bad, both = PRIOR_SHARE * SHARE_BELIEF, SHARE_BELIEF
            causes: dict[str, float] = {}
            for h in range(max(int((self.start or 0.0) // HOUR) + 1, hour - KEEP), hour - 1):
                weight = sum(self._seen(h * PER_HOUR + i, self.newest) for i in range(PER_HOUR)) / PER_HOUR
                if weight >= 0.5 and not self._in_wave(h):  # noqa: PLR2004 -- half an hour of input at least
                    hours.append(h)
                    complaining, voices = self._hour(h)
                    counts.append(complaining / weight)
                    for topic, count in self._topics_of(h).items():
                        causes[topic] = causes.get(topic, 0.0) + count
                    bad += complaining
                    both += voices
                    weights.append(weight)
            self._baseline = Baseline.fit(
                np.array(hours, dtype=np.int64), np.array(counts, dtype=np.float64), np.array(weights, dtype=np.float64)
            )
            self._share = min(bad / both, 0.98)
            prior = TOPIC_SHARE * TOPIC_BELIEF
            weight = bad - PRIOR_SHARE * SHARE_BELIEF + TOPIC_BELIEF
            self._topic_shares = {topic: (count + prior) / weight for topic, count in causes.items()}
            self._topic_prior = prior / weight
            self._fitted = key
        return self._baseline

    def _hour(self, hour: int) -> tuple[float, float]:
        closed = self.history.get(hour)
        if closed is not None:
            return closed
        bad = both = 0
        for at in range(hour * PER_HOUR, (hour + 1) * PER_HOUR):
            entry = self.bins.get(at)
            if entry is not None:
                bad |= entry[0]
                both |= entry[1]
        return voices_of(bad), voices_of(both)

    def _topics_of(self, hour: int) -> dict[str, float]:
        closed = self.topic_history.get(hour)
        if closed is not None:
            return closed
        causes: dict[str, float] = {}
        for at in range(hour * PER_HOUR, (hour + 1) * PER_HOUR):
            for topic, count in self.topics.get(at, _NOTHING).items():
                causes[topic] = causes.get(topic, 0.0) + count
        return causes

    def _in_wave(self, hour: int) -> bool:
        """Whether the hour was inside a wave, and is not the new normal yet."""
        now = (self.wave_since, self.newest) if self.wave_since is not None else None
        for since, until in (*self.waves, *((now,) if now else ())):
            if since // HOUR <= hour <= min(until, since + NEW_NORMAL * HOUR) // HOUR:
                return True
        return False

    def _close(self) -> None:
        """Turn bins that are no longer open into hours' figures; forget hours older than `KEEP`."""
        oldest = (int(self.newest // BIN) - OPEN) // PER_HOUR + 1
        for at in [a for a in self.bins if a // PER_HOUR < oldest]:
            hour = at // PER_HOUR
            if hour not in self.history:
                self.history[hour], self.topic_history[hour] = self._hour(hour), self._topics_of(hour)
            del self.bins[at]
            self.topics.pop(at, None)
        for hour in [h for h in self.hourly if h < oldest]:
            del self.hourly[hour]
        for hour in [h for h in self.history if h < oldest - KEEP]:
            del self.history[hour]
            self.topic_history.pop(hour, None)
