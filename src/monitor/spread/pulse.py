"""`Pulse`: does an input still speak? A silence that its own past does not explain is a gap, not calm.

What counts is the five minutes in which anything at all was heard, not how much: a thread of fifty replies is one
moment. A gap is a run of empty bins so long that its probability, under a negative-binomial baseline of such moments by
hour of the week, is below `ALPHA`. So a small brand never has one, and one with 30 mentions an hour has one within an
hour. What comes late and was published inside a gap fills it: of a gap only those parts stay that are still too long to
be chance.
"""

from __future__ import annotations

from math import isfinite, log, log1p
from typing import NamedTuple

import msgspec
import numpy as np

from monitor.spread.baseline import DAY, KEEP, WEEK, Baseline
from monitor.spread.bins import BIN, OPEN, PER_HOUR

ALPHA = 1e-6
"""A silence less probable than this is a gap ..."""

DOUBT = 1e-3
"""... and from here on it proves nothing any more: what is quiet now may be quiet for want of input."""

LATE = 60.0
"""Seconds that a bin waits for late mentions before it is judged."""

SETTLED = DAY
"""Hours of history without which no silence surprises."""

KEPT = 4 * WEEK
"""Hours of which it is remembered when something was heard."""

MOST_GAPS = 256
LEAST = 3
"""Bins below which no silence surprises: even the fastest input that bins can tell is empty so long by chance."""

BUSIEST = 4.0
"""How many times the mean an hour is taken to bring at most, where a look at the baseline is to be saved."""

UNSETTLED = 0.5
"""Part of what is usual that is expected before a whole week was seen: the first Sunday is quieter than any hour."""

_HOUR = (1 << PER_HOUR) - 1
_GAP, _DOUBT = -log(ALPHA), -log(DOUBT)


class _Dump(msgspec.Struct, frozen=True, array_like=True):
    version: int
    first: int
    masks: bytes
    heard: int
    judged: int
    gaps: list[tuple[int, int]]


class Gap(NamedTuple):
    """A stretch without input, from `since` to `until` (seconds since the epoch)."""

    since: float
    until: float


_decode = msgspec.msgpack.Decoder(_Dump).decode
_encode = msgspec.msgpack.Encoder().encode


class Pulse:
    """When an input was heard, hour by hour, and where it was down.

    Order within the last 13 hours does not matter, and nothing but event time is looked at: a replay finds the same.

    Example: eight days of 20 mentions an hour, then nothing. After two hours it is down, as it was from the start of
    the silence; when a mention comes, the gap is over.

    >>> pulse = Pulse()
    >>> for i in range(8 * 24 * 20):
    ...     _ = pulse.hear(i * 180.0, i * 180.0)
    >>> end = 8 * 86400.0
    >>> pulse.tick(end + 600.0), pulse.down_since, pulse.doubtful
    (False, None, False)
    >>> pulse.tick(end + 7200.0), pulse.down_since == end, pulse.doubtful
    (True, True, True)
    >>> pulse.hear(end + 9000.0, end + 9000.0), pulse.down_since
    (True, None)
    >>> pulse.gaps() == [Gap(end, end + 9000.0)]
    True
    """

    __slots__ = ("_base", "_doubt", "_first", "_fitted", "_gaps", "_heard", "_judged", "_marks", "_masks", "version")

    def __init__(self) -> None:
        self.version = 0
        """Grows whenever `gaps` changes."""
        self._first: int | None = None
        self._masks: list[int] = []
        """Of each hour since `_first` the bins in which something was heard, up to that of `_heard`."""
        self._marks = 0
        """How many bins that are."""
        self._heard = 0
        self._judged = 0
        self._gaps: list[tuple[int, int]] = []
        """(first bin, bin after the last), in order. The last one lasts if it begins after `_heard`."""
        self._base = Baseline(np.zeros(WEEK), 0.0, 0.0, 0)
        self._fitted: int | None = None
        self._doubt: tuple[int, int, bool] = (0, 0, False)

    def hear(self, published: float, observed: float) -> bool:
        """Take note of a mention, of any author and kind.

        Args:
            published: when it was published, seconds since the epoch: inside a gap it fills it.
            observed: when the source saw it: that the source speaks is known from then.

        Returns:
            Whether anything changed that a dump holds.

        Raises:
            ValueError: a time is not finite.
        """
        if not (isfinite(published) and isfinite(observed)):
            raise ValueError(f"a mention's times must be finite, not {published!r}, {observed!r}")
        at, about = int(observed // BIN), int(published // BIN)
        if self._first is None:
            self._first = at // PER_HOUR
            self._masks = [0]
            self._heard = self._judged = at - 1
        changed = self.tick(observed)
        if at > self._heard:
            self._grow(at // PER_HOUR)
            if self._lasts() and at >= self._gaps[-1][1]:
                self._gaps[-1] = self._gaps[-1][0], at
                self.version += 1
            self._heard = at
        changed |= self._mark(at)
        if about < at and about > self._judged - OPEN and self._gap_of(about) is not None:
            changed |= self._mark(about)
        return changed

    def tick(self, now: float) -> bool:
        """Let time pass until `now`; return whether a gap was found that is new."""
        last = int((now - LATE) // BIN) - 1
        if self._first is None or last <= self._judged:
            return False
        self._judged = last
        if self._lasts():
            self._gaps[-1] = self._gaps[-1][0], last + 1
            self.version += 1
            return False
        if not self._may_surprise(last - self._heard) or self._surprise(self._heard + 1, last + 1) < _GAP:
            return False
        self._gaps = [gap for gap in self._gaps if gap[1] > last - KEEP * PER_HOUR][-MOST_GAPS + 1 :]
        self._gaps.append((self._heard + 1, last + 1))
        self.version += 1
        return True

    @property
    def down_since(self) -> float | None:
        """Since when the input is down, if it is."""
        return self._gaps[-1][0] * BIN if self._lasts() else None

    @property
    def doubtful(self) -> bool:
        """Whether the silence now is one that calm does not explain well (`DOUBT`), or a gap."""
        if self._lasts():
            return True
        if not self._may_surprise(self._judged - self._heard):
            return False
        if self._doubt[:2] != (self._heard, self._judged):
            doubt = self._surprise(self._heard + 1, self._judged + 1) >= _DOUBT
            self._doubt = self._heard, self._judged, doubt
        return self._doubt[2]

    def gaps(self) -> list[Gap]:
        """Return the gaps of the last eight weeks, oldest first; the last one may go on."""
        return [Gap(first * BIN, end * BIN) for first, end in self._gaps]

    def lost(self, since: float) -> float:
        """Return the seconds of the gaps that end after `since`."""
        lost = 0.0
        for first, end in reversed(self._gaps):
            if end * BIN <= since:
                break
            lost += (end - first) * BIN
        return lost

    def dump(self) -> bytes:
        """Return the state as msgpack: 1.4 KB after four weeks."""
        masks = np.array(self._masks, dtype="<u2").tobytes()
        return _encode(_Dump(1, self._first or 0, masks, self._heard, self._judged, self._gaps))

    @classmethod
    def load(cls, raw: bytes) -> Pulse:
        """Read what `dump` wrote.

        Raises:
            ValueError: it is no dumped pulse, or of another version.
        """
        try:
            d = _decode(raw)
        except msgspec.MsgspecError as wrong:
            raise ValueError(f"this is no dumped pulse: {wrong}") from wrong
        if d.version != 1:
            raise ValueError(f"a dumped pulse of version {d.version} cannot be read")
        pulse = cls()
        pulse._masks = [int(mask) for mask in np.frombuffer(d.masks, dtype="<u2")]
        pulse._marks = sum(mask.bit_count() for mask in pulse._masks)
        pulse._first = d.first if pulse._masks else None
        pulse._heard, pulse._judged, pulse._gaps = d.heard, d.judged, d.gaps
        pulse.version = 1
        return pulse

    def _lasts(self) -> bool:
        return bool(self._gaps) and self._gaps[-1][0] > self._heard

    def _grow(self, hour: int) -> None:
        """Make room for an hour, and forget those that are too old."""
        assert self._first is not None  # noqa: S101 -- something was heard
        more = hour - self._first - len(self._masks) + 1
        if more > 0:
            self._masks += [0] * min(more, KEPT)
            self._marks -= sum(mask.bit_count() for mask in self._masks[:-KEPT])
            self._masks = self._masks[-KEPT:]
            self._first = hour - len(self._masks) + 1

    def _mark(self, at: int) -> bool:
        """Note that something was heard in bin `at`; a gap there is cut."""
        place = at // PER_HOUR - (self._first or 0)
        if not 0 <= place < len(self._masks):
            return False
        bit = 1 << at % PER_HOUR
        if self._masks[place] & bit:
            return False
        self._masks[place] |= bit
        self._marks += 1
        number = self._gap_of(at)
        if number is not None:
            first, end = self._gaps[number]
            parts = [(first, at), (at + 1, end)]
            self._gaps[number : number + 1] = [part for part in parts if self._surprise(*part) >= _GAP]
            self.version += 1
        return True

    def _gap_of(self, at: int) -> int | None:
        """Return the number of the gap that holds bin `at`."""
        for number in range(len(self._gaps) - 1, -1, -1):
            first, end = self._gaps[number]
            if at >= end:
                return None
            if at >= first:
                return number
        return None

    def _may_surprise(self, bins: int) -> bool:
        """Whether a silence of so many bins is worth a look at the baseline."""
        return bins >= LEAST and bins * self._marks * BUSIEST >= _DOUBT * PER_HOUR * len(self._masks)

    def _surprise(self, first: int, end: int) -> float:
        """Return how improbable it is that nothing is heard in the bins from `first` to before `end` (-log, capped)."""
        base = self._learned()
        if base.hours < SETTLED:
            return 0.0
        total = 0.0
        for hour in range(first // PER_HOUR, (end - 1) // PER_HOUR + 1):
            part = (min(end, (hour + 1) * PER_HOUR) - max(first, hour * PER_HOUR)) / PER_HOUR
            if not self._let_off(hour):
                total += log1p(base.dispersion * self._usual(hour, base) * part) / base.dispersion
            if total >= _GAP:
                break
        return total

    def _usual(self, hour: int, base: Baseline) -> float:
        """Return what the hour brings at least: the baseline shrinks a quiet hour of few days to what others bring."""
        usual = base.expected(hour) * (UNSETTLED if base.hours < WEEK else 1.0)
        for back in (DAY, 2 * DAY, WEEK):
            near = [
                _rate(self._masks[h - (self._first or 0)])
                for h in range(hour - back - 1, hour - back + 2)
                if self._was(h) in {"heard", "silent"}
            ]
            if near:
                usual = min(usual, sum(near) / len(near))
        return usual

    def _let_off(self, hour: int) -> bool:
        """Whether it was silent at this hour a day or a week ago, or keeps being down then: that is usual.

        The baseline alone would not do: it shrinks to what other hours bring, and never learns from a gap.
        """
        yesterday, last_week = self._was(hour - DAY), self._was(hour - WEEK)
        if "silent" in (yesterday, last_week) or last_week == "down":
            return True
        return yesterday == "down" and self._was(hour - 2 * DAY) in {"silent", "down"}

    def _was(self, hour: int) -> str:
        """Return how the input was in an hour of the past: `unknown`, `heard`, `down` or `silent`."""
        place = hour - (self._first or 0)
        if not 0 < place < len(self._masks):
            return "unknown"
        if self._masks[place]:
            return "heard"
        return "down" if self._down_in(hour) else "silent"

    def _down_in(self, hour: int) -> bool:
        start, stop = hour * PER_HOUR, (hour + 1) * PER_HOUR
        return any(first < stop and end > start for first, end in self._gaps)

    def _learned(self) -> Baseline:
        """The baseline of moments an hour, as of the hour before the last mention: a silence says nothing of itself."""
        until = self._heard // PER_HOUR
        if self._fitted == until:
            return self._base
        first = self._first or 0
        down = {h for begin, end in self._gaps for h in range(begin // PER_HOUR, (end - 1) // PER_HOUR + 1)}
        hours = [h for h in range(first + 1, until) if h not in down and h - first < len(self._masks)]
        counts = [_rate(self._masks[h - first]) for h in hours]
        self._base = Baseline.fit(
            np.array(hours, dtype=np.int64), np.array(counts, dtype=np.float64), np.ones(len(hours))
        )
        self._fitted = until
        return self._base


def _rate(mask: int) -> float:
    """Return how often an hour ends a silence: of the bins that follow an empty one, those in which something is heard.

    As a rate of a Poisson process, from the share of bins (as voices are counted from a bitmap). What is said in one
    breath ends one silence, however much it is.

    >>> [round(_rate(mask), 1) for mask in (0, 0b10, 0b111111100000, 0b10101010101, 0b111111111111)]
    [0.0, 1.2, 2.4, 28.8, 38.6]
    """
    after_empty = ~mask << 1 & _HOUR & ~1
    ended = (mask & after_empty).bit_count()
    trials = after_empty.bit_count()
    if not trials:
        trials = ended = PER_HOUR
    return PER_HOUR * log((trials + 0.5) / (trials + 0.5 - ended))
