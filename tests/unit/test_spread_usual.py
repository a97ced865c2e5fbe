"""A theme that is always spoken of is no story that spreads; what comes on top of it is."""

from __future__ import annotations

import random
import zlib
from base64 import b64decode
from itertools import pairwise
from math import cos, log2, pi

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.escalation import wording
from monitor.escalation.example import example_spread
from monitor.spread import StorySpread, ViralLine
from monitor.spread.forecast import Forecaster
from monitor.spread.signs import signs
from monitor.spread.types import Forecast
from monitor.spread.usual import RECENT

HOUR, DAY = 3600.0, 86400.0
START = 1_700_000_000.0 // (7 * DAY) * (7 * DAY)
LINE = ViralLine(50.0)
OLD_DUMP = (
    "eNpt1F1IU2EYB/CzD3EGSq25pCwiFi61oZFKn3uzsWl5pdFURlEElQmtaVEpwW5m2m4yXdasLKYUfZg3w4rWoGjoa6exCAqMCkJWF2I26GtI"
    "ew7j7Lzn6dzs+f9/5+Uc2PZMc1ol3fG+QUM4joPh7bfUYKTEwgkXJRFnerC5uzb9LaM+ap5LGwxq/UAgNZhUnRZrFzUnBpwvsk/WU5LTb/Ie"
    "j22hxFS30KQ45k8dm+ezIsmiHGGYmqxaR80/1MvLawufU/OvjQ9/t+f9oSRvyfaG0WVaSsr5Q2VvdFcuUS59/WcgRPhUGgd7eW6va1x8MyFO"
    "snGajbNMbOPYqGWjgY2VbKxhYzMbW9l4LhPFCd5nZJoz9inEr0JBiSssYN+rVXNQ53pk9baPUGunZLWDh7pAK6s7nkK9slFWX70H9ZrrsvqR"
    "H+qiL7L6XQ/U64tl9c8zUG9wsjXPKfRHAKqCCCrsAFuTCPZYAaqrEbRVANjOI+g1ANTxCMaWAtTrEESFX7y9GcHsdwDHkByUuZ8ADswgKH0N"
    "cLgUwe4QQKsLQct9gBPjCLoHAU4tILh9AaDTgiByFsDdg2DmKIAnKgdVViOAV4/AYAO46ECwsxLAdwvBwbUA/jgCtw7gpgnBkApgpB1BaB7g"
    "7mMEHz4DjHEIklGAoFUO6hXPAJ54EWx+ABCOIWi6BvCyAMFpLwDdh+ByB0A0gCDYIi7QDIRvpP72+YlFlBSKW6Ak3k3JYkm8Q4lGjPmJYvbm"
    "CenN9piGEk4SjdI4GohI1o1i/y6rdPuUxL9KH2SP1TBnh7PZsx5JVIb6hyXRHptYnVlfypCv9h/Jsvxm"
)
"""Forty people, one every hour and a half, as stored before this rate was known."""


def theme_times(days, a_day, seed=1):
    """When people speak of a theme: mostly in the day, each day alike."""
    rng = random.Random(seed)
    often = a_day / 24.0 * 2.0
    t, times = 0.0, []
    while (t := t + rng.expovariate(often) * HOUR) < days * DAY:
        if rng.random() < (1.0 - 0.8 * cos(2.0 * pi * (t % DAY) / DAY)) / 2.0:
            times.append(t)
    return times


def story_of(times):
    story = StorySpread()
    for number, t in enumerate(sorted(times)):
        story.observe(START + t, number * 7919 + 1, 300, "post", 0.8)
    return story


def looks(times, line, since=1.5 * DAY):
    """Every assessment on the way, as the story is judged when somebody speaks."""
    story, found = StorySpread(), []
    for number, t in enumerate(times):
        story.observe(START + t, number * 7919 + 1, 300, "post", 0.8)
        if t >= since:
            found.append((story.assess(START + t, line), Forecaster.default().predict(signs(story, START + t), line)))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_theme_at_a_steady_rate_is_not_forecast_to_cross_the_line(seed):
    found = looks(theme_times(6, 14, seed), LINE)
    assert max(spread.forecast.p_viral for spread, _ in found) < 0.25
    assert max(plain.p_viral for _, plain in found) == 1.0  # but for what is usual, each of them would have paged
    last = found[-1][0]
    assert last.voices > LINE.size
    assert 0.7 * last.voices < last.usual < last.voices + 1
    assert last.expected_per_hour == pytest.approx(14 / 24, rel=0.3)


def test_a_burst_on_top_of_a_theme_is():
    times = theme_times(5, 14)
    end = 5 * DAY
    quiet = story_of(times).assess(START + end, LINE)
    burst = [end + 3000.0 * (i / 40) ** 0.5 for i in range(40)]
    early = story_of(times + burst[:20]).assess(START + burst[19], LINE)
    whole = story_of(times + burst).assess(START + end + 3000.0, LINE)
    assert quiet.forecast.p_viral < 0.1
    assert early.forecast.p_viral >= 0.25  # told while half of it is still to come
    assert whole.forecast.p_viral > 0.8
    assert whole.usual == pytest.approx(quiet.usual, rel=0.1)  # a burst is not usual at once
    assert whole.per_hour > 20 * whole.expected_per_hour


def test_what_was_spoken_of_when_listening_began_may_be_a_theme():
    steady = [900.0 * i for i in range(44)]  # four people an hour for eleven hours, from the first minute on
    story, now, line = story_of(steady), START + 11 * HOUR, ViralLine(80.0)
    unknown, known = story.assess(now, line), story.assess(now, line, heard_since=START)
    assert unknown.usual == 0.0
    assert unknown.forecast.p_viral >= 0.25
    assert known.forecast.p_viral < 0.1
    assert known.expected_per_hour == pytest.approx(4.0, rel=0.3)
    # The same people a day into the stream are a story of that day.
    assert story.assess(now, line, heard_since=START - DAY) == unknown


@pytest.mark.parametrize(("doubles_in", "later"), [(1.0, 2), (1.5, 25)])
def test_a_storm_that_began_as_listening_did_is_told_while_it_grows(doubles_in, later):
    times = [doubles_in * HOUR * log2(1.0 + i / 4.0) for i in range(200)]

    def told(heard_since):
        for n in range(8, 200):
            spread = story_of(times[:n]).assess(START + times[n - 1], ViralLine(200.0), heard_since=heard_since)
            if spread.forecast.p_viral >= 0.25:
                return n
        return 200

    assert told(START) <= told(None) + later < 120


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.0, RECENT), min_size=1, max_size=80), st.floats(1.0, 1e4))
def test_for_a_young_story_nothing_is_usual(times, size):
    story = story_of(times)
    now = max(story.first + 60.0, story.ref)
    spread = story.assess(now, ViralLine(size))
    assert spread.usual == spread.expected_per_hour == 0.0
    assert spread.forecast == Forecaster.default().predict(signs(story, now), ViralLine(size))


def test_a_storm_of_the_past_is_not_usual():
    trickle = theme_times(4, 6)
    storm = [20.0 * i for i in range(150)]
    last = START + 4 * DAY
    alone, after = story_of(trickle).assess(last, LINE), story_of(trickle + storm).assess(last, LINE)
    assert alone.expected_per_hour <= after.expected_per_hour < 0.7 * (len(trickle) + len(storm)) / 96.0


def test_a_story_that_doubles_for_a_day_is_told_before_its_line():
    """It is a day old when it matters: what it brought by then is not what it brings now."""
    doubled = [n.bit_length() - 1 for n in range(1, 129)]
    times = [4.0 * HOUR * (k + n / (1 << k) - 1.0) for n, k in enumerate(doubled, 1)]
    found = looks(times, ViralLine(200.0), since=6 * HOUR)
    told = [spread for spread, _ in found if spread.forecast.p_viral >= 0.25]
    assert told
    assert told[0].voices <= 0.6 * 200
    assert told[0].usual < 0.2 * told[0].voices


def test_the_probability_falls_as_more_of_a_story_is_usual():
    story = story_of([600.0 * i for i in range(40)])
    seen = signs(story, START + 24_000.0)
    chances = [Forecaster.default().predict(seen, ViralLine(60.0), usual=float(n)).p_viral for n in range(0, 41, 5)]
    assert all(a >= b for a, b in pairwise(chances))
    assert chances[0] > chances[-1]


def test_reach_that_is_usual_does_not_cross_a_line_either():
    times = theme_times(5, 14)
    line = ViralLine(1e6, 300.0 * 30)
    assert story_of(times).assess(START + 5 * DAY, line).forecast.p_viral < 0.5
    fresh = story_of([30.0 * i for i in range(40)])
    assert fresh.assess(START + 1200.0, line).forecast.p_viral == 1.0


def test_what_is_usual_survives_a_dump_and_a_merge():
    one, other = story_of(theme_times(5, 10, 1)), StorySpread()
    for number, t in enumerate(theme_times(5, 10, 2)):
        other.observe(START + t, number * 104_729 + 3, 300, "post", 0.8)
    now = START + 5 * DAY
    assert StorySpread.load(one.dump()).assess(now, LINE) == one.assess(now, LINE)
    apart = one.assess(now, LINE).usual + other.assess(now, LINE).usual
    one.absorb(other)
    assert one.assess(now, LINE).usual == pytest.approx(apart, rel=0.1)
    assert len(one.dump()) <= 4096


def test_a_dump_of_before_there_was_a_usual_rate_still_loads():
    story = StorySpread.load(zlib.decompress(b64decode(OLD_DUMP)))
    spread = story.assess(START + 60 * HOUR, LINE)
    assert spread.voices == 40
    assert spread.expected_per_hour == pytest.approx(1 / 1.5, rel=0.1)
    assert story.dump() == zlib.decompress(b64decode(OLD_DUMP))  # and an older version reads today's


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.0, 5 * DAY), min_size=1, max_size=100), st.randoms(use_true_random=False))
def test_what_is_usual_depends_on_neither_order_nor_week(times, rng):
    numbered = list(enumerate(times))
    a, b, c = StorySpread(), StorySpread(), StorySpread()
    for number, t in numbered:
        a.observe(START + t, number + 1, 300, "post", None)
        c.observe(START + 7 * DAY + t, number + 1, 300, "post", None)
    for number, t in rng.sample(numbered, len(numbered)):
        b.observe(START + t, number + 1, 300, "post", None)
    now = 5 * DAY
    first, second = a.assess(START + now, LINE), b.assess(START + now, LINE)
    assert first.usual == pytest.approx(second.usual)
    assert c.assess(START + 7 * DAY + now, LINE).usual == pytest.approx(first.usual)
    assert 0.0 <= first.usual < first.voices + 1


def test_a_reason_says_what_is_usual():
    spread = example_spread(voices=90, usual=41.4, forecast=Forecast(95.0, 120.0, 300.0, 0.3, 60.0))
    assert "pass 400 people beyond its usual 41" in wording.outlook(spread)
    past = example_spread(voices=500, usual=41.4, forecast=Forecast(510.0, 520.0, 700.0, 1.0, 0.0))
    assert "past the viral line of 400 people beyond its usual 41" in wording.outlook(past)
    assert "usual" not in wording.outlook(example_spread(voices=90))
