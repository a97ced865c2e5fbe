"""Budgets of causes: what burns them, slowly and fast, and what must not."""

from __future__ import annotations

import random

import pytest

from monitor.spread import BrandTide

HOUR, DAY = 3600.0, 86400.0
START = 1_700_000_000.0 // (7 * DAY) * 7 * DAY


def ordinary(seed, days, *, per_day=10.0, causes=("on_hold", "rude", "late", "dirty")):
    """Complaints by hour of the day, by different people: (time, voice, cause)."""
    rng = random.Random(seed)
    t, said = START, []
    while t < START + days * DAY:
        hour = (t % DAY) / HOUR
        t += rng.expovariate(per_day * len(causes) * (0.3 + 1.2 * (8 <= hour < 22)) / 1.1 / DAY)
        said.append((t, rng.getrandbits(64), rng.choice(causes)))
    return said


def extra(seed, t0, t1, number, cause="on_hold"):
    rng = random.Random(seed)
    return [(rng.uniform(t0, t1), rng.getrandbits(64), cause) for _ in range(number)]


def play(said, *, budgets=None, step=300.0, since=START):
    """Observe in order of time; return (time, burn) for each look at which anything was over its thresholds."""
    tide, over, next_look = BrandTide(), [], since + step
    for t, voice, cause in sorted(said):
        while next_look <= t:
            for burn in tide.burns(next_look, budgets):
                over += [(next_look, burn)] if burn.confident and burn.fastest()[3] >= 1.0 else []
            next_look += step
        tide.observe(t, 0.9, voice, cause)
    return tide, over


def wakes(over):
    """What the shipped rules would tell: enough people as well."""
    least = {"hour": 10, "6 h": 10, "3 days": 15}
    return [
        (t, burn, name)
        for t, burn in over
        for name, _, people, ratio in burn.windows()
        if ratio >= 1.0 and people >= least[name]
    ]


@pytest.mark.parametrize(("seed", "per_day"), [(1, 1.0), (2, 6.0), (3, 6.0), (4, 25.0)])
def test_ordinary_weeks_burn_nothing(seed, per_day):
    _, over = play(ordinary(seed, 14, per_day=per_day), step=1800.0, since=START + 7 * DAY)
    assert wakes(over) == []


def test_three_times_the_usual_for_days_burns_slowly_though_no_hour_stands_out():
    storm = START + 9 * DAY
    said = ordinary(1, 13) + extra(2, storm, storm + 4 * DAY, 80)
    tide, over = play(said, step=1800.0, since=storm)
    told = wakes(over)
    assert {burn.cause for _, burn, _ in told} == {"on_hold"}
    assert {name for _, _, name in told} == {"3 days"}
    first = min(t for t, _, _ in told)
    assert storm + DAY < first < storm + 3.5 * DAY
    burn = next(burn for burn in tide.burns(storm + 4 * DAY) if burn.cause == "on_hold")
    assert burn.spent > 150
    assert burn.why.startswith("usual are ")


def test_many_people_within_an_hour_burn_fast_and_it_is_over_when_they_stop():
    storm = START + 9 * DAY + 10 * HOUR
    said = ordinary(1, 10) + extra(2, storm, storm + HOUR, 60)
    _, over = play(said, since=storm)
    fast = [t for t, _, name in wakes(over) if name == "hour"]
    assert storm < fast[0] <= storm + 1800.0
    assert max(fast) <= storm + HOUR + 900.0


def test_one_person_who_complains_all_day_is_one():
    storm = START + 9 * DAY
    angry = [(storm + 300.0 * i, 7, "on_hold") for i in range(200)]
    _, over = play(ordinary(1, 10) + angry, since=storm)
    assert wakes(over) == []


def test_without_a_week_of_history_nothing_is_known_unless_it_is_configured():
    said = extra(3, START, START + DAY, 80)
    tide = BrandTide()
    for t, voice, cause in sorted(said):
        tide.observe(t, 0.9, voice, cause)
    (burn,) = tide.burns(START + DAY)
    assert not burn.confident
    (burn,) = tide.burns(START + DAY, {"on_hold": 280.0})
    assert (burn.confident, burn.allowed, burn.why) == (True, 280.0, "configured")
    assert burn.burn_3d == pytest.approx(burn.people_3d / 30.0, rel=0.02)
    (burn,) = tide.burns(START + DAY, {"*": 140.0, "rude": 3.0})
    assert burn.allowed == 140.0


def test_order_and_a_restart_change_nothing():
    storm = START + 9 * DAY
    said = sorted(ordinary(5, 10) + extra(6, storm, storm + 6 * HOUR, 50))
    rng = random.Random(7)
    shuffled = sorted(said, key=lambda one: one[0] + rng.uniform(0.0, 60.0))
    tides = []
    for order in (said, shuffled):
        tide = BrandTide()
        for t, voice, cause in order:
            tide.observe(t, 0.9, voice, cause)
        tides.append(tide)
    tides.append(BrandTide.load(tides[0].dump()))
    now = START + 10 * DAY + 300.0
    first, second, third = (tide.burns(now) for tide in tides)
    assert first
    assert first == second == third
