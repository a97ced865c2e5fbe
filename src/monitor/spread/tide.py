"""`BrandTide`: a brand's complaining voices against its own baseline, apart from any single story."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING

import msgspec

from monitor.spread.baseline import DAY, HOUR, KEEP
from monitor.spread.bins import BIN, OPEN, PER_HOUR, Bins, Saved
from monitor.spread.burn import CONFIGURED, LEAST_D, Meter, allowance, burns, spent
from monitor.spread.novelty import ON as NEW
from monitor.spread.novelty import Novelty
from monitor.spread.ordinary import ON, UNKNOWN, Ordinary
from monitor.spread.scores import voices_of
from monitor.spread.types import Burn, Tide, ViralLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.spread.baseline import Baseline

WINDOWS = (1, 3, 12)
"""Hours that are looked at together; a wave shows in any of them."""

LATE = 60.0
"""Seconds that a bin waits for late mentions before it is judged."""

ON_UNSETTLED = 10.0
"""What a wave takes before the baseline is trusted: in the first day an ordinary morning looks like a rise."""

OFF = ON / 2.0
"""Below this in every window it is calm; a wave ends after `CALM` seconds of that."""

CALM = 8 * HOUR
LEAST_VOICES = 10
LEAST_RATIO = 1.3
"""A wave has at least so many complaining voices in its window, and so many times the expected."""

WEARY_AFTER = 28 * DAY * HOUR
WEARY_FROM = 2
WEARY = 0.05
"""Every wave of the last four weeks beyond the second asks so much more surprise of the next: days of a brand whose
busiest moments are often new are more uneven than their deviation shows."""

COMPLAINS = 0.5
"""A mention complains from this probability on."""

NEW_NORMAL = 72
"""Hours after which what a wave brings is the new normal, and is learned."""

MOST_BINS = 300
"""Bins that are judged one by one after a leap of the clock."""

MOST_GAPS = 256

PRIOR_LINE = 100.0
PRIOR_DAYS = 2.0
LEAST_LINE = 50.0
MOST_LINE = 5000.0


class _Dump(msgspec.Struct, frozen=True, array_like=True):
    version: int
    start: float | None
    newest: float
    next_bin: int | None
    saved: Saved
    gaps: list[tuple[float, float]]
    waves: list[tuple[float, float]]
    wave_since: float | None
    high_at: float
    novelty: Novelty


_decode = msgspec.msgpack.Decoder(_Dump).decode
_encode = msgspec.msgpack.Encoder().encode


class BrandTide:
    """A brand's complaints, hour by hour, and whether they are a wave.

    Volume and share of complaints are judged jointly, every cause by itself, and the volume against the surprises of
    earlier days (see `ordinary` and `novelty`). All of it counts distinct voices. Waves open and end when a bin of
    five minutes is closed, so that it does not matter how often `assess` is called. Scores are variance-stabilised
    (Anscombe 1948) and joined as Stouffer et al. (1949) do.

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
    >>> storm.low <= storm.expected <= storm.high < storm.observed, storm.window_s
    (True, 3600.0)
    """

    __slots__ = (
        "_fitted", "_meter", "_ordinary", "bins", "gaps", "high_at", "newest", "next_bin", "novelty", "silent_since",
        "start", "wave_since", "waves",
    )  # fmt: skip

    def __init__(self) -> None:
        self.start: float | None = None
        self.newest = 0.0
        self.next_bin: int | None = None
        self.bins = Bins()
        self.novelty = Novelty()
        self.gaps: list[tuple[float, float]] = []
        """When the input was down, in order."""
        self.silent_since: float | None = None
        """Since when it is down, if it is."""
        self.waves: list[tuple[float, float]] = []
        """Past waves, (since, until)."""
        self.wave_since: float | None = None
        self.high_at = 0.0
        self._meter = Meter()
        self._ordinary = UNKNOWN
        self._fitted: int | None = None

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
        if self._begin(t):
            self.bins.add(int(t // BIN), voice, topic, complains=complaint is not None and complaint >= COMPLAINS)

    def count(self, t: float, complaints: float) -> None:
        """Count complaints that come as a mere number, for a source that hands out volumes instead of mentions.

        Raises:
            ValueError: `t` is not finite, or `complaints` is negative or not finite.
        """
        if not (isfinite(complaints) and complaints >= 0.0):
            raise ValueError(f"a number of complaints must be finite and not negative, not {complaints!r}")
        if self._begin(t):
            self.bins.add_plain(int(t // BIN), complaints)

    def tick(self, now: float) -> None:
        """Let time pass until `now`, whether or not there were mentions."""
        if not isfinite(now):
            raise ValueError(f"time must be finite, not {now!r}")
        if self.start is None:
            self.start = self.newest = now
        if self.next_bin is None:
            self.next_bin = int(now // BIN)
        self.newest = max(self.newest, now)
        if self.newest < (self.next_bin + 1) * BIN + LATE:
            return
        last = int((self.newest - LATE) // BIN) - 1
        if last - self.next_bin > MOST_BINS:
            self.novelty.skip()
            self.high_at += (last - MOST_BINS - self.next_bin) * BIN
            self.next_bin = last - MOST_BINS
        while self.next_bin <= last:
            self._judge(self.next_bin)
            self.next_bin += 1

    def gap(self, t0: float, t1: float) -> None:
        """Say that the input was down from `t0` to `t1`: that time is neither calm nor storm, and teaches nothing."""
        if t1 > t0:
            self.follow([*self.gaps, (t0, t1)], self.silent_since)

    def follow(self, gaps: Iterable[tuple[float, float]], silent_since: float | None) -> None:
        """Take over when the input was down, all that is known of it; what was taken for calm there is taken out again.

        Args:
            gaps: from when to when; the last may go on.
            silent_since: since when it is down now, if it is.
        """
        before, self.gaps, self.silent_since = self.gaps, sorted(gaps)[-MOST_GAPS:], silent_since
        if self.next_bin is None:
            return
        judged = self.next_bin * BIN
        learned = (self.newest // HOUR - 1.0) * HOUR
        if _cut(before, -inf, learned) != _cut(self.gaps, -inf, learned):
            self._fitted = None
        if self.gaps and self.gaps[-1][0] < judged <= self.gaps[-1][1]:
            self.novelty.skip()
        if self.wave_since is not None:
            found, known = (_cut(some, self.high_at, judged) for some in (self.gaps, before))
            self.high_at += max(0.0, sum(b - a for a, b in found) - sum(b - a for a, b in known))

    def assess(self, now: float) -> Tide:
        """Say how the brand stands at `now` (event time), in the window that stands out most."""
        self.tick(now)
        ordinary = self._learned(int(self.newest // HOUR))
        best = self._best(self.newest, int(self.newest // BIN), ordinary)
        return msgspec.structs.replace(
            best, wave_since=self.wave_since, confident=ordinary.settled, silent_since=self.silent_since
        )

    def burns(self, now: float, budgets: Mapping[str, float] | None = None) -> list[Burn]:
        """Say how fast causes spend their budgets, the worst first; only those that are near theirs or over it.

        Args:
            now: event time; counted is up to the last bin of five minutes that is closed then.
            budgets: people in four weeks, by cause; `*` stands for every cause that is not named. Where none is given
                it comes from the brand's own past (see `burn.allowance`), known after a week.
        """
        self.tick(now)
        hour = int(self.newest // HOUR)
        last = int((self.newest - LATE) // BIN) - 1
        counts = self._meter.counts(self.bins, last)
        usual, days = self._meter.usual(self.bins, hour, int((self.start or 0.0) // HOUR) + 1)
        given = budgets or {}
        allowed: dict[str, tuple[float, str]] = {}
        for cause in counts[-1]:
            people = given.get(cause, given.get("*"))
            if people is not None:
                allowed[cause] = people, CONFIGURED
            else:
                per_day = usual.get(cause, 0.0)
                allowed[cause] = allowance(per_day), f"usual are {3 * per_day:.0f} in 3 days"
        return [
            msgspec.structs.replace(
                burn,
                spent=spent(self.bins, burn.cause, hour),
                confident=burn.why == CONFIGURED or days >= LEAST_D,
            )
            for burn in burns((last + 1) * BIN, counts, allowed)
        ]

    def expected_per_hour(self, now: float) -> float:
        """Return how many voices, complaining or not, an hour like that of `now` brings."""
        ordinary = self._learned(int(self.newest // HOUR))
        return ordinary.baseline.expected(int(now // HOUR)) / ordinary.share

    def line(self) -> ViralLine:
        """Return the viral line for a brand that has none configured.

        A story is viral when it alone brings as many voices as an ordinary day brings complaints; without history a
        stated prior stands in for the first days.
        """
        base = self._learned(int(self.newest // HOUR)).baseline
        days = base.hours / DAY
        size = (PRIOR_LINE * PRIOR_DAYS + base.constant * DAY * days) / (PRIOR_DAYS + days)
        why = (
            f"an ordinary day brings {base.constant * DAY:.0f} complaining voices ({days:.0f} days seen)"
            if days >= 1.0
            else f"no history yet: {PRIOR_LINE:.0f} voices by default"
        )
        return ViralLine(round(min(max(size, LEAST_LINE), MOST_LINE)), None, why)

    def dump(self) -> bytes:
        """Return the state as msgpack: about 10 KB for an ordinary brand, up to 200 KB for one that is loud all day."""
        state = _Dump(
            2, self.start, self.newest, self.next_bin, self.bins.save(), self.gaps, self.waves, self.wave_since,
            self.high_at, self.novelty,
        )  # fmt: skip
        return _encode(state)

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
        if d.version != 2:  # noqa: PLR2004 -- the version that `dump` writes
            raise ValueError(f"a dumped tide of version {d.version} cannot be read; replay its mentions instead")
        tide = cls()
        tide.start, tide.newest, tide.next_bin, tide.novelty = d.start, d.newest, d.next_bin, d.novelty
        tide.gaps, tide.waves, tide.wave_since, tide.high_at = d.gaps, d.waves, d.wave_since, d.high_at
        tide.bins = Bins.restore(d.saved)
        return tide

    def _begin(self, t: float) -> bool:
        """Move the clock; say whether `t` still counts."""
        if not isfinite(t):
            raise ValueError(f"a mention's time must be finite, not {t!r}")
        self.tick(t)
        if t <= self.newest - OPEN * BIN:
            return False
        if self.start is None or t < self.start:
            self.start = t
        return True

    def _judge(self, at: int) -> None:
        """Close bin `at`: is it new, does a wave open or end?"""
        now = (at + 1) * BIN
        ordinary = self._learned(int(at // PER_HOUR))
        seen = self._seen(at, now)
        if seen:
            expected = seen * ordinary.baseline.expected(at // PER_HOUR) / PER_HOUR
            self.novelty.step(at, self.bins.complaints(at), expected, ordinary.baseline.dispersion)
        else:
            self.novelty.skip()
        best = self._best(now, at, ordinary) if at - self.bins.newest < max(WINDOWS) * PER_HOUR else None
        if not seen:
            self.high_at += BIN  # the input was down: neither storm nor calm, so that a wave stays as it was
        elif best is None:
            self._calm(now)
        elif self.wave_since is None:
            enough = best.voices >= LEAST_VOICES and best.observed >= LEAST_RATIO * best.expected
            if enough and best.score >= (ON if ordinary.settled else ON_UNSETTLED):
                self.wave_since = self.high_at = now
        elif best.score >= OFF:
            self.high_at = now
        else:
            self._calm(now)
        if at % PER_HOUR == 0:
            self.bins.close(at, KEEP)

    def _calm(self, now: float) -> None:
        """End a wave that has been calm for long enough."""
        if self.wave_since is not None and now - self.high_at >= CALM:
            self.waves = [*self.waves, (self.wave_since, self.high_at)][-64:]
            self.wave_since = None

    def _best(self, now: float, last: int, ordinary: Ordinary) -> Tide:
        """Hold the last hours up to bin `last` against the ordinary, and return the window that stands out most."""
        observed = total = expected = 0.0
        everyone = 0
        plain_all = 0.0
        causes: dict[str, float] = {}
        wholes: list[Tide] = []
        best: Tide | None = None
        for hour in range(max(WINDOWS)):
            end = last - PER_HOUR * hour
            block = self.bins.past_hour(end, keep=hour > 0)
            for topic, count in block.causes.items():
                causes[topic] = causes.get(topic, 0.0) + count
            expected += self._expected(end - PER_HOUR + 1, end, now, ordinary.baseline)
            observed += block.complaints
            total += block.voices
            everyone |= block.bad
            plain_all += block.plain
            if hour + 1 in WINDOWS:
                voices = round(voices_of(everyone) + plain_all)
                whole = ordinary.whole(now, hour + 1, (observed, total - plain_all, expected), voices)
                wholes.append(whole)
                if best is None or whole.score > best.score:
                    best = whole
                for topic, count in causes.items():
                    if ordinary.topic_score(whole, topic, count, total) > best.score:
                        best = ordinary.topic(whole, topic, count, total)
        assert best is not None  # noqa: S101 -- there are windows
        surprise = self.novelty.surprise * ON / NEW / self._weariness(now)
        if surprise > best.score and ordinary.settled:
            best = max(wholes, key=lambda tide: tide.observed / (tide.expected + 3.0))
            best = msgspec.structs.replace(best, score=surprise)
        return best

    def _weariness(self, now: float) -> float:
        """How many times the usual surprise a wave takes at `now`: more for a brand that has had many of late."""
        begun = sum(since > now - WEARY_AFTER for since, _ in self.waves)
        begun += self.wave_since is not None and self.wave_since > now - WEARY_AFTER
        return 1.0 + WEARY * max(0, begun - WEARY_FROM)

    def _expected(self, first: int, last: int, now: float, base: Baseline) -> float:
        """What the baseline expects of the bins `first` to `last`, as far as they were seen by `now`."""
        whole = self.start is not None and first * BIN >= self.start and (last + 1) * BIN <= now
        if whole and not self._touched(first * BIN, (last + 1) * BIN):
            head, tail = first // PER_HOUR, last // PER_HOUR
            inside = min((head + 1) * PER_HOUR, last + 1) - first
            rest = last + 1 - first - inside
            return (inside * base.expected(head) + rest * base.expected(tail)) / PER_HOUR
        if self.start is not None:
            first = max(first, int(self.start // BIN))
        return sum(self._seen(at, now) * base.expected(at // PER_HOUR) / PER_HOUR for at in range(first, last + 1))

    def _seen(self, at: int, now: float) -> float:
        """Which part of bin `at` was seen by `now`: none before the start, after now, or in a gap."""
        t0, t1 = max(at * BIN, self.start or 0.0), min((at + 1) * BIN, now)
        seen = max(0.0, t1 - t0)
        for g0, g1 in reversed(self.gaps):
            if g1 <= t0:
                break
            seen -= max(0.0, min(t1, g1) - max(t0, g0))
        return max(0.0, seen) / BIN

    def _touched(self, t0: float, t1: float) -> bool:
        """Whether a gap lies between `t0` and `t1`."""
        for g0, g1 in reversed(self.gaps):
            if g1 <= t0:
                return False
            if g0 < t1:
                return True
        return False

    def _learned(self, hour: int) -> Ordinary:
        """What is ordinary as of the hour before `hour`, learned at most once an hour."""
        if self._fitted == hour:
            return self._ordinary
        seen: list[tuple[int, float]] = []
        stormy = bool(self.waves) or self.wave_since is not None
        oldest = max(int((self.start or 0.0) // HOUR) + 1, hour - KEEP)
        down = {
            h
            for g0, g1 in _cut(self.gaps, oldest * HOUR, hour * HOUR)
            for h in range(int(g0 // HOUR), int(g1 // HOUR) + 1)
        }
        for h in range(oldest, hour - 1):
            weight = self._hour_seen(h) if h in down else 1.0
            if weight >= 0.5 and not (stormy and self._in_wave(h)):  # noqa: PLR2004 -- half an hour of input at least
                seen.append((h, weight))
        self._ordinary = Ordinary.learn(self.bins, seen)
        self._fitted = hour
        return self._ordinary

    def _hour_seen(self, hour: int) -> float:
        return sum(self._seen(hour * PER_HOUR + i, self.newest) for i in range(PER_HOUR)) / PER_HOUR

    def _in_wave(self, hour: int) -> bool:
        """Whether the hour was inside a wave, and is not the new normal yet."""
        now = [] if self.wave_since is None else [(self.wave_since, self.newest)]
        return any(
            since // HOUR <= hour <= min(until, since + NEW_NORMAL * HOUR) // HOUR
            for since, until in (*self.waves, *now)
        )


def _cut(gaps: list[tuple[float, float]], t0: float, t1: float) -> list[tuple[float, float]]:
    """What of the gaps lies between `t0` and `t1`."""
    found: list[tuple[float, float]] = []
    for g0, g1 in reversed(gaps):
        if g1 <= t0:
            break
        if g0 < t1:
            found.append((max(g0, t0), min(g1, t1)))
    return found
