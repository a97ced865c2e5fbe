from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.spread import Pulse
from monitor.spread.bins import BIN

HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0


def moments(per_hour, days, *, night=0.25, weekend=1.0, seed=1, threads=0.0):
    """When mentions come: fewer by night and at weekends, some with replies within minutes."""
    rng = random.Random(seed)
    t, top, out = 0.0, 1.4, []
    while t < days * DAY:
        t += rng.expovariate(per_hour * top / HOUR)
        part = (top if 8 <= t % DAY / HOUR < 22 else night) * (weekend if t // DAY % 7 >= 5 else 1.0)
        if rng.random() < part / top:
            out.append(t)
            if rng.random() < threads:
                out += [t + rng.expovariate(1 / 600.0) for _ in range(rng.randrange(1, 12))]
    return sorted(out)


def heard(times, pulse=None):
    pulse = Pulse() if pulse is None else pulse
    for t in times:
        pulse.hear(t, t)
    return pulse


def down_after(pulse, since, most=72 * HOUR, step=BIN):
    """Return after how many seconds of silence the input counts as down, or None."""
    now = since
    while now < since + most:
        now += step
        pulse.tick(now)
        if pulse.down_since is not None:
            return now - since
    return None


@pytest.mark.parametrize("per_hour", [0.05, 0.3, 1, 3, 10, 30, 100])
@pytest.mark.parametrize("more", [{}, {"weekend": 0.3}, {"threads": 0.3}, {"night": 0.02}], ids=str)
def test_three_ordinary_weeks_have_no_gap(per_hour, more):
    pulse = heard(moments(per_hour, 21, **more))
    first_weekend = [gap for gap in pulse.gaps() if 5 * DAY <= gap.since < 7 * DAY]
    assert len(pulse.gaps()) == len(first_weekend) <= ("weekend" in more), "one cannot know it yet"


@pytest.mark.parametrize(("per_hour", "least", "most"), [(60, 0.2, 1.3), (30, 0.4, 2), (5, 1.5, 16)])
def test_the_busier_the_input_the_sooner_it_is_down(per_hour, least, most):
    noon = 14 * DAY + 12 * HOUR
    pulse = heard([t for t in moments(per_hour, 15) if t < noon])
    after = down_after(pulse, noon)
    assert least * HOUR < after < most * HOUR
    assert pulse.down_since <= noon + BIN


def test_a_brand_with_a_mention_a_day_is_never_down():
    pulse = heard([day * DAY + 40_000.0 for day in range(40)])
    assert down_after(pulse, 40 * DAY, most=6 * DAY, step=HOUR) is None
    assert not pulse.doubtful


def test_nothing_is_known_in_the_first_day():
    pulse = heard([60.0 * i for i in range(20 * 60)])
    assert down_after(pulse, 20 * HOUR) is None


def test_office_hours_are_learned_from_one_weekend():
    times = [t for t in moments(20, 40, night=1.4) if t // DAY % 7 < 5 and 9 <= t % DAY / HOUR < 17]
    (only,) = heard(times).gaps()
    assert 4 * DAY < only.since < 6 * DAY


def test_what_is_down_at_the_same_hours_of_every_week_is_usual():
    times = [t for t in moments(40, 35) if not (t // DAY % 7 == 2 and 10 <= t % DAY / HOUR < 14)]
    gaps = heard(times).gaps()
    assert gaps
    assert all(gap.since < WEEK for gap in gaps)


def test_doubt_comes_before_certainty_and_ends_with_a_mention():
    noon = 14 * DAY + 12 * HOUR
    pulse = heard([t for t in moments(10, 15) if t < noon])
    now = noon
    while not pulse.doubtful:
        now += BIN
        pulse.tick(now)
    assert pulse.down_since is None
    pulse.hear(now, now)
    assert not pulse.doubtful
    assert not pulse.gaps()


def test_a_flood_does_not_make_the_next_silence_surprising():
    calm = moments(2, 10)
    flood = [5 * DAY + 12 * HOUR + i for i in range(3000)]
    assert heard(sorted(calm + flood)).gaps() == heard(calm).gaps() == []


def test_what_comes_late_fills_the_gap_as_far_as_it_goes():
    times = moments(40, 12)
    since, until = 10 * DAY + 10 * HOUR, 10 * DAY + 18 * HOUR
    pulse = heard([t for t in times if not since <= t < until])
    (gap,) = pulse.gaps()
    assert gap.since == pytest.approx(since, abs=2 * BIN)
    back = until
    pulse = heard([t for t in times if t < since])
    pulse.hear(back, back)
    missed = [t for t in times if since <= t < until]
    for t in [t for t in missed if t >= since + 4 * HOUR]:
        pulse.hear(t, back + 60.0)
    (gap,) = pulse.gaps()
    assert gap.until == pytest.approx(since + 4 * HOUR, abs=2 * BIN)
    random.Random(3).shuffle(missed)
    for t in missed:
        pulse.hear(t, back + 120.0)
    assert not pulse.gaps()


def test_a_backlog_whose_times_of_observation_are_old_too_moves_the_gap_along():
    times = moments(40, 12)
    since, until = 10 * DAY + 10 * HOUR, 10 * DAY + 18 * HOUR
    pulse = heard([t for t in times if t < since])
    pulse.tick(until)
    begun = pulse.down_since
    first = next(t for t in times if t >= begun)
    for t in (begun, first):
        pulse.hear(t, t)
        assert pulse.down_since == t // BIN * BIN + BIN
        assert all(gap.since < gap.until for gap in pulse.gaps())
    for t in times:
        if first < t < until - 1500.0:
            pulse.hear(t, t)
    assert pulse.down_since is None
    assert not pulse.gaps(), "the rest is not long enough to tell"


def test_a_source_that_is_fetched_every_two_hours_is_not_down_in_between():
    fetched = [(t, (t // (2 * HOUR) + 1) * 2 * HOUR) for t in moments(30, 12)]
    pulse = Pulse()
    for published, observed in fetched:
        pulse.hear(published, observed)
    assert not pulse.gaps()


def test_order_within_hours_does_not_matter():
    times = [t for t in moments(30, 9) if not 8 * DAY + 9 * HOUR <= t < 8 * DAY + 15 * HOUR]
    rng = random.Random(5)
    shaken = sorted(times, key=lambda t: t + rng.uniform(0, 60.0))
    one, other = heard(times), heard(shaken)
    assert one.gaps() == other.gaps() != []
    assert one.dump() == other.dump()


def test_a_dump_holds_everything():
    times = [t for t in moments(30, 9) if not 8 * DAY + 9 * HOUR <= t < 8 * DAY + 15 * HOUR]
    whole = heard(times)
    for cut in (0, 1, len(times) // 3, len(times) - 100, len(times)):
        again = heard(times[cut:], Pulse.load(heard(times[:cut]).dump()))
        assert again.dump() == whole.dump()
    down = heard(times)
    down_after(down, 9 * DAY)
    again = Pulse.load(down.dump())
    assert again.down_since == down.down_since is not None
    assert again.doubtful
    assert len(down.dump()) < 2000
    with pytest.raises(ValueError, match="no dumped pulse"):
        Pulse.load(b"junk")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-1e9, 4e9), st.floats(0, 3 * DAY)), max_size=40),
    st.lists(st.floats(0, 1e9), max_size=3),
)
def test_whatever_comes_gaps_are_in_order_and_hold_no_mention(jumps, waits):
    pulse = heard(moments(20, 3))
    for at, late in jumps:
        pulse.hear(at - late, at)
        assert pulse.lost(0.0) >= 0.0
        assert pulse.down_since is None or pulse.down_since > at - BIN
    for wait in waits:
        pulse.tick(3 * DAY + wait)
    gaps = pulse.gaps()
    assert gaps == sorted(gaps)
    assert all(gap.since < gap.until for gap in gaps)
    assert all(one.until <= other.since for one, other in pairwise(gaps))
    assert Pulse.load(pulse.dump()).gaps() == gaps
