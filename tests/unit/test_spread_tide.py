from __future__ import annotations

import random
from math import isfinite

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.spread import BrandTide
from monitor.spread.novelty import PER_DAY, Novelty
from monitor.spread.scores import excess_share, score

HOUR, DAY = 3600.0, 86400.0
START = 1_700_000_000.0 // (7 * DAY) * 7 * DAY


def week(days=7, per_hour=12.0, skip=(0.0, 0.0)):
    """A week of ordinary chatter with the hours of the day in it."""
    rng = random.Random(1)
    tide = BrandTide()
    t, end = START, START + days * DAY
    while t < end:
        hour = (t % DAY) / HOUR
        t += rng.expovariate(per_hour * (0.4 + 1.2 * (8 <= hour < 22)) / HOUR)
        if not skip[0] <= t < skip[1]:
            tide.observe(t, float(rng.random() < 0.5), rng.getrandbits(64), rng.choice("abcd"))
    return tide


def waves(tide, t0, t1, step=600.0):
    found = []
    t = t0
    while t <= t1:
        now = tide.assess(t)
        if now.wave_since is not None and now.wave_since not in found:
            found.append(now.wave_since)
        t += step
    return found


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_week_has_no_wave(seed):
    rng = random.Random(seed)
    tide = BrandTide()
    t, asked, found = START, START, 0
    while t < START + 10 * DAY:
        hour = (t % DAY) / HOUR
        t += rng.expovariate(15.0 * (0.3 + 1.2 * (8 <= hour < 22)) / HOUR)
        tide.observe(t, float(rng.random() < 0.5), rng.getrandbits(64), rng.choice("abcd"))
        if t - asked > 900.0:
            asked = t
            state = tide.assess(t)
            found += state.wave_since is not None
    assert found == 0


def test_a_storm_is_one_wave_and_ends():
    tide = week()
    storm = START + 7 * DAY
    rng = random.Random(7)
    since = set()
    for i in range(400):
        t = storm + i * 54.0
        tide.observe(t, 0.9, rng.getrandbits(64), "a")
        state = tide.assess(t)
        since.add(state.wave_since)
    named = {s for s in since if s is not None}
    assert len(named) == 1
    assert min(named) < storm + HOUR
    assert tide.assess(storm + 400 * 54.0 + 30 * HOUR).wave_since is None
    assert not waves(tide, storm + 2 * DAY, storm + 3 * DAY)


def test_a_wave_of_one_cause_is_named():
    tide = week(per_hour=20.0)
    rng = random.Random(3)
    t = START + 7 * DAY + 10 * HOUR
    for i in range(60):
        tide.observe(t + i * 90.0, 0.9, rng.getrandbits(64), "on-hold")
        state = tide.assess(t + i * 90.0)
        if state.wave_since is not None:
            break
    assert state.wave_since is not None
    assert state.topic == "on-hold"
    assert state.observed > 3 * state.expected


def test_one_furious_author_makes_no_wave():
    tide = week()
    before = week().assess(START + 7 * DAY + 4000.0)
    for i in range(200):
        tide.observe(START + 7 * DAY + i * 20.0, 1.0, 42, "a")
    state = tide.assess(START + 7 * DAY + 4000.0)
    assert state.wave_since is None
    assert state.voices <= before.voices + 1


def test_a_gap_is_neither_calm_nor_storm_and_teaches_nothing():
    down = (START + 2 * DAY, START + 5 * DAY)
    told, untold = week(days=6, skip=down), week(days=6, skip=down)
    told.gap(*down)
    whole = week(days=6)
    expected = [t.assess(START + 6 * DAY + 12 * HOUR).expected for t in (told, untold, whole)]
    assert expected[1] < expected[2]
    assert abs(expected[0] - expected[2]) < abs(expected[1] - expected[2])
    during = week(days=6)
    during.gap(START + 6 * DAY, START + 6 * DAY + 12 * HOUR)
    state = during.assess(START + 6 * DAY + 12 * HOUR)
    assert state.expected < 1e-9
    assert state.wave_since is None


def down_in_the_midst(since, until, *, told_first, wave):
    """A tide that is in a wave, or not, when its input goes down; it is told at once, or when half of it has passed."""
    tide = week()
    if wave:
        rng = random.Random(7)
        for i in range(120):
            tide.observe(since - HOUR + i * 30.0, 0.9, rng.getrandbits(64), "a")
    now = since
    while now < until:
        now += 300.0
        if told_first or now > (since + until) / 2:
            tide.follow([(since, now)], since)
        tide.tick(now)
    assert tide.assess(now).silent_since == since
    tide.follow([(since, until)], None)
    return tide


@pytest.mark.parametrize("wave", [False, True])
def test_silence_that_was_ticked_through_is_taken_out_again(wave):
    since = START + 7 * DAY + 9 * HOUR
    until = since + 15 * HOUR
    early, late = (down_in_the_midst(since, until, told_first=first, wave=wave) for first in (True, False))
    assert (early.wave_since is not None) == wave
    for tide in (early, late):
        rng = random.Random(2)
        for i in range(2 * 60):
            tide.observe(until + i * 300.0, float(rng.random() < 0.5), rng.getrandbits(64), rng.choice("abcd"))
    assert late.assess(until + 10 * HOUR) == early.assess(until + 10 * HOUR)
    assert late.waves == early.waves
    assert late.wave_since == early.wave_since
    assert early.assess(until).silent_since is None


def test_a_wave_ends_after_so_much_calm_as_was_heard():
    """Eight hours of it, those without input not counted: told or not, and how late."""
    since = START + 7 * DAY + 9 * HOUR
    tide = down_in_the_midst(since, since + 15 * HOUR, told_first=False, wave=True)
    begun = tide.wave_since
    assert begun is not None
    assert tide.assess(since + 19 * HOUR).wave_since == begun
    assert tide.assess(since + 26 * HOUR).wave_since is None


def test_many_gaps_cost_little_and_are_kept_in_a_dump():
    gaps = [(START + hour * HOUR, START + hour * HOUR + 1200.0) for hour in range(2, 160, 2)]
    tide = week()
    tide.follow(gaps, None)
    again = BrandTide.load(tide.dump())
    assert again.gaps == gaps
    assert again.assess(START + 7 * DAY + 100.0) == tide.assess(START + 7 * DAY + 100.0)
    filled = week()
    filled.follow(gaps, None)
    filled.assess(START + 7 * DAY + 100.0)
    filled.follow([], None)
    assert filled.assess(START + 7 * DAY + 100.0) == week().assess(START + 7 * DAY + 100.0)


def test_order_of_arrival_within_a_minute_does_not_matter():
    rng = random.Random(9)
    rows = [(START + i * 40.0, float(rng.random() < 0.5), rng.getrandbits(64), rng.choice("abc")) for i in range(6000)]
    a, b = BrandTide(), BrandTide()
    for row in rows:
        a.observe(*row)
    for _, row in sorted(((r[0] + rng.uniform(0, 60), r) for r in rows), key=lambda x: x[0]):
        b.observe(*row)
    x, y = a.assess(START + 240_000.0), b.assess(START + 240_000.0)
    assert x.wave_since == y.wave_since
    assert x.observed == pytest.approx(y.observed, rel=1e-3)
    assert x.expected == pytest.approx(y.expected, rel=1e-3)
    assert x.score == pytest.approx(y.score, rel=1e-2)


def test_a_dump_holds_everything():
    tide = week()
    again = BrandTide.load(tide.dump())
    assert again.assess(START + 7 * DAY + 100.0) == tide.assess(START + 7 * DAY + 100.0)
    assert again.line() == tide.line()
    with pytest.raises(ValueError, match="no dumped tide"):
        BrandTide.load(b"junk")


def test_the_line_starts_from_a_prior_and_follows_the_brand():
    assert BrandTide().line().size == 100
    assert "no history" in BrandTide().line().why
    loud, quiet = week(per_hour=60.0), week(per_hour=1.0)
    assert loud.line().size > 300
    assert quiet.line().size < 100


def test_a_single_spike_of_a_million_is_survived_and_forgotten():
    tide = week(days=5)
    rng = random.Random(2)
    for _ in range(50_000):
        tide.observe(START + 5 * DAY + 100.0, 1.0, rng.getrandbits(64), "a")
    state = tide.assess(START + 5 * DAY + 2400.0)
    assert state.wave_since is not None
    calm = week(days=5).assess(START + 5 * DAY + 600.0)
    later, before = tide.assess(START + 8 * DAY + 600.0), calm
    assert later.wave_since is None
    assert later.expected < 3 * before.expected + 10


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1e7), st.floats(0, 1e6), st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0.05, 1.0))
def test_more_complaints_never_score_less_and_a_higher_baseline_never_more(seen, more, usual, higher, dispersion):
    plain = score(seen, usual, dispersion)
    assert score(seen + more, usual, dispersion) >= plain - 1e-9
    assert score(seen, usual + higher, dispersion) <= plain + 1e-9
    voices = seen + more + usual
    assert excess_share(seen + more, voices, 0.3) >= excess_share(seen, voices, 0.3) - 1e-9


@pytest.mark.parametrize("days", [3, 8])
def test_more_in_a_bin_is_never_less_surprising(days):
    rng = random.Random(days)
    past = Novelty()
    for at in range(days * PER_DAY + 40):
        past.step(at, float(rng.randrange(9)), 4.0, 0.2)
    raw = msgspec.msgpack.encode(past)
    surprises = [
        msgspec.msgpack.decode(raw, type=Novelty).step(days * PER_DAY + 40, count, 4.0, 0.2)
        for count in (0.0, 4.0, 20.0, 60.0, 200.0, 1e4, 1e6)
    ]
    assert surprises == sorted(surprises)
    assert surprises[-1] > surprises[0]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1e9, 4e9), min_size=1, max_size=5))
def test_jumps_of_the_clock_are_survived(jumps):
    tide = week(days=2)
    for i, jump in enumerate(jumps):
        tide.observe(START + jump, 0.9, i, "a")
        state = tide.assess(START + jump)
        assert all(isfinite(x) for x in (state.observed, state.expected, state.low, state.high, state.score))
        assert state.wave_since is None
    assert isfinite(BrandTide.load(tide.dump()).line().size)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0, 20 * DAY), st.none() | st.floats(0, 1), st.integers(0, 2**64 - 1)), max_size=60),
    st.floats(0, 1e9),
)
def test_every_number_is_finite_whatever_comes(rows, later):
    tide = BrandTide()
    for t, complaint, voice in rows:
        tide.observe(START + t, complaint, voice, "x")
        state = tide.assess(START + t)
        assert all(isfinite(x) for x in (state.observed, state.expected, state.low, state.high, state.score))
    state = tide.assess(START + later)
    assert all(isfinite(x) for x in (state.observed, state.expected, state.low, state.high, state.score))
    assert state.low <= state.high
    assert isfinite(tide.line().size)
