"""What a forecast looks at: a story's state at one moment as a row of finite numbers, each with a name."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log, log1p
from typing import NamedTuple

from monitor.spread.kernel import SCALES, caused, decays, unspent
from monitor.spread.story import BUCKET, StoryState

RATE_SCALE = 2
"""The scale (20 minutes) that `per_hour` is read at."""

PRIOR = 3.0
"""Voices' worth of belief in a reproduction number of `PRIOR_R` before a story has shown its own."""

PRIOR_R = 0.6
CRITICAL = 0.95
"""A reproduction number above this is taken for this when the future is summed up; beyond 1 the sum has no end."""

NAMES = (
    "voices", "age", "idle", *(f"count_{int(s)}" for s in SCALES), *(f"growth_{int(s)}" for s in SCALES[:-1]),
    "unspent", "reproduction", "recent_reproduction", "hawkes", "exposure_per_voice", "burst", "burst_age",
    "burst_share", "repost_share", "quote_share", "reply_share", "reach_per_voice",
)  # fmt: skip


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
    total = max(voices, 1e-9)
    row = (
        log1p(voices), log1p(age / 60.0), log1p(max(0.0, now - story.ref) / 60.0),
        *(log1p(c) for c in counts),
        *(log((a + 1.0) / (b + 1.0)) for a, b in pairwise(counts)),
        log1p(left / mean), log1p(r), log1p(overall), log1p(hawkes), log1p(mean),
        log1p(max(peak, 0.0)), log1p(max(0.0, now - at * BUCKET) / 60.0), max(peak, 0.0) / max(total, 1.0),
        *(min(k / total, 1.0) if voices else 0.0 for k in story.kinds),
        log1p(story.reach / max(voices, 1.0)),
    )  # fmt: skip
    return Signs(row, voices, age, counts[RATE_SCALE] / span * 3600.0, r, left / mean, hawkes, counts)
