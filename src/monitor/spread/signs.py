"""What a forecast looks at: a story's state at one moment as a row of finite numbers, each with a name."""

from __future__ import annotations

from itertools import pairwise
from math import cos, exp, log, log1p, pi, sin
from typing import NamedTuple

from monitor.spread.growth import age_of, arrived
from monitor.spread.kernel import SCALES, caused, decays, unspent
from monitor.spread.story import BUCKET, StoryState

RATE_SCALE = 2
"""The scale (20 minutes) that `per_hour` is read at."""

PRIOR = 3.0
"""Voices' worth of belief in a reproduction number of `PRIOR_R` before a story has shown its own."""

PRIOR_R = 0.6
CRITICAL = 0.95
"""A reproduction number above this is taken for this when the future is summed up; beyond 1 the sum has no end."""

WINDOWS = (60, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
SHARES = (0.25, 0.5, 0.75, 0.9)
EARLY = (60, 300, 600, 1800, 3600)

NAMES = (
    "voices", "age", "idle", "reproduction", "recent_reproduction", "exposure_per_voice", "burst_age", "burst_share",
    *(f"count_{int(s)}" for s in SCALES), *(f"growth_{int(s)}" for s in SCALES[:-1]), "unspent", "hawkes", "burst",
    *(f"count_{int(s)}_part" for s in SCALES), "unspent_part", "hawkes_part", "burst_part",
    *(f"last_{w}_part" for w in WINDOWS), *(f"age_of_{int(100 * q)}_percent" for q in SHARES),
    *(f"first_{w}_part" for w in EARLY), "hour_sin", "hour_cos",
)  # fmt: skip
"""Counts are logs; a part is a log too, of a count against all voices."""


class Signs(NamedTuple):
    """The row and what else an assessment needs from the same moment."""

    row: tuple[float, ...]
    voices: float
    age: float
    per_hour: float
    reproduction: float
    unspent: float
    hawkes: float
    counts: tuple[float, ...]


def signs(story: StoryState, now: float) -> Signs:
    """Read the signs of `story` at `now`; a time before the newest mention counts as that mention's.

    `hawkes` is what the branching process still expects: the unspent exposure times the infectiousness, and all
    generations after it (Zhao et al. 2015, eq. 8, with the reproduction number in the place of
    p times the mean degree).

    Twenty voices a minute apart, or with pauses that double: the one multiplies, the other dies down.

    >>> steady, dying = StoryState(), StoryState()
    >>> for i in range(20):
    ...     steady.observe(60.0 * i, i, 300, "repost", None)
    ...     dying.observe(0.02 * 2.0**i, i, 300, "repost", None)
    >>> alive, dead = signs(steady, 1200.0), signs(dying, 14_400.0)
    >>> alive.voices == dead.voices == 20.0, alive.reproduction > 1.0 > dead.reproduction
    (True, True)
    >>> alive.hawkes > 3 * dead.hawkes, alive.per_hour > 10 * dead.per_hour
    (True, True)
    """
    now = max(now, story.ref)
    fade = decays(now - story.ref)
    counts = tuple(max(0.0, c * f) for c, f in zip(story.counts, fade, strict=True))
    exposed = tuple(max(0.0, e * f) for e, f in zip(story.exposures, fade, strict=True))
    voices = max(0.0, story.voices)
    age = max(0.0, now - story.first)
    left = unspent(exposed)
    mean = max(story.spent, 1e-9) / max(voices, 1.0) if voices else 1.0
    spent = max(story.spent - left, 0.0)
    overall = (max(voices - 1.0, 0.0) + PRIOR * PRIOR_R) / (spent / mean + PRIOR)
    expected = caused(exposed, RATE_SCALE) / mean
    newborn = exp(-age / SCALES[RATE_SCALE])
    recent = (max(counts[RATE_SCALE] - newborn, 0.0) + PRIOR * overall) / (expected + PRIOR)
    r = min(max(recent, 0.0), 20.0)
    capped = min(r, CRITICAL)
    hawkes = capped * (left / mean) / (1.0 - capped)
    floor = 120.0
    span = SCALES[RATE_SCALE] * -(exp(-max(age, floor) / SCALES[RATE_SCALE]) - 1.0)
    peak, at = max([story.peak, *((w, b) for b, w in story.buckets.items())])
    size = log1p(voices)
    old = log1p(age)
    ages, came = story.growth.curve(now)
    before = [-a for a in ages]
    whole = came[-1] if came else 0.0
    counted = [log1p(c) for c in counts]
    sums = (log1p(left / mean), log1p(hawkes), log1p(max(peak, 0.0)))
    turn = now % 86400.0 / 86400.0 * 2.0 * pi
    row = (
        size, old, log1p(max(0.0, now - story.ref)),
        log1p(r), log1p(overall), log1p(mean), log1p(max(0.0, now - at * BUCKET)), max(peak, 0.0) / max(voices, 1.0),
        *counted, *(log((a + 1.0) / (b + 1.0)) for a, b in pairwise(counts)), *sums,
        *(c - size for c in counted), *(x - size for x in sums),
        *(log1p(max(whole - arrived(ages, came, w, before), 0.0)) - size for w in WINDOWS),
        *(log1p(age_of(ages, came, q)) - old for q in SHARES),
        *(log1p(arrived(ages, came, max(age - w, 0.0), before)) - size for w in EARLY),
        sin(turn), cos(turn),
    )  # fmt: skip
    return Signs(row, voices, age, counts[RATE_SCALE] / span * 3600.0, r, left / mean, hawkes, counts)
