from __future__ import annotations

import random
from itertools import pairwise
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.spread import StorySpread, ViralLine

LINE = ViralLine(100.0)
WEEK = 7 * 86400.0
START = 1_700_000_000.0 // WEEK * WEEK

mentions = st.lists(
    st.tuples(
        st.floats(0, 3 * 86400.0),
        st.integers(0, 40),
        st.none() | st.integers(0, 10**18),
        st.sampled_from(["post", "reply", "quote", "repost", "review"]),
        st.none() | st.floats(0, 1),
    ),
    min_size=1,
    max_size=120,
)


def told(rows, shift=START):
    story = StorySpread()
    for t, voice, followers, kind, complaint in rows:
        story.observe(shift + t, voice * 7919, followers, kind, complaint)
    return story


def burst(n, seconds, voices=None, start=START):
    story = StorySpread()
    for i in range(n):
        story.observe(start + seconds * (i / n) ** 0.5, (i % (voices or n)) * 104729 + 1, 300, "repost", 0.9)
    return story


def close(a, b, by=1e-6):
    return abs(a - b) <= by * max(1.0, abs(a), abs(b))


def numbers(spread):
    f = spread.forecast
    return [
        spread.size,
        spread.voices,
        spread.reach,
        spread.per_hour,
        spread.reproduction,
        f.q10,
        f.q50,
        f.q90,
        f.p_viral,
    ]


@settings(deadline=None, max_examples=60)
@given(mentions, st.floats(0, 10 * 86400.0), st.floats(0.5, 1e7), st.floats(0, 1000))
def test_forecasts_are_finite_ordered_and_not_below_what_is_seen(rows, later, size, background):
    spread = told(rows).assess(START + later, ViralLine(size), background)
    f = spread.forecast
    assert all(isfinite(x) for x in numbers(spread))
    assert spread.voices - 0.5 <= f.q10 + 1e-9
    assert f.q10 <= f.q50 <= f.q90
    assert 0.0 <= f.p_viral <= 1.0
    assert f.minutes_to_viral is None or (isfinite(f.minutes_to_viral) and f.minutes_to_viral >= 0)


def one_account_each(rows):
    """The same rows, every author with one count of followers and one kind."""
    first = {row[1]: row for row in sorted(rows, key=lambda row: -row[0])}
    return [(t, v, first[v][2], first[v][3], c) for t, v, _, _, c in rows]


@settings(deadline=None, max_examples=30)
@given(mentions, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(rows, rng):
    rows = one_account_each(rows)
    now = START + 3 * 86400.0
    a, b = told(rows).assess(now, LINE, 1.0), told(rng.sample(rows, len(rows))).assess(now, LINE, 1.0)
    assert all(close(x, y) for x, y in zip(numbers(a)[:5], numbers(b)[:5], strict=True))


@settings(deadline=None, max_examples=30)
@given(mentions, st.randoms(use_true_random=False))
def test_a_shuffle_within_a_minute_leaves_the_forecast_as_it_is(rows, rng):
    rows = sorted(one_account_each(rows), key=lambda row: row[0])
    shuffled = sorted(rows, key=lambda row: row[0] + rng.uniform(0.0, 60.0))
    now = START + 3 * 86400.0
    a, b = told(rows).assess(now, LINE, 1.0), told(shuffled).assess(now, LINE, 1.0)
    assert all(close(x, y) for x, y in zip(numbers(a), numbers(b), strict=True))


@pytest.mark.parametrize(("voices", "seconds"), [(50, 1800.0), (400, 7200.0), (1500, 20_000.0)])
def test_minutes_told_in_any_order_give_the_same_forecast_on_the_way(voices, seconds):
    """Also where voices are no longer known by name. Every minute is shuffled, and judged when it is over."""
    rng = random.Random(voices)
    rows = sorted(
        (seconds * rng.random() ** 2, rng.getrandbits(64), round(rng.lognormvariate(5.5, 1.5))) for _ in range(voices)
    )
    rows += [(t + 1.0, voice, followers) for t, voice, followers in rows if rng.random() < 0.1]
    minutes: dict[int, list[tuple[float, int, int]]] = {}
    for row in sorted(rows):
        minutes.setdefault(int(row[0] // 60.0), []).append(row)
    straight, mixed = StorySpread(), StorySpread()
    apart = []
    for minute, said in sorted(minutes.items()):
        for story, order in ((straight, said), (mixed, rng.sample(said, len(said)))):
            for t, voice, followers in order:
                story.observe(START + t, voice, followers, "repost", 0.8)
        now = START + 60.0 * (minute + 1)
        a, b = straight.assess(now, ViralLine(5000.0), 1.0), mixed.assess(now, ViralLine(5000.0), 1.0)
        pairs = zip(numbers(a), numbers(b), strict=True)
        apart.append(max(abs(x - y) / max(abs(x), 1.0) for x, y in pairs))
    apart.sort()
    assert len(apart) > 10
    assert apart[int(0.99 * len(apart))] < 0.02  # a tree's question may lie right between two nearly equal numbers
    assert voices > 64 or apart[-1] < 1e-6
    later = START + seconds + 3 * 86400.0
    settled = [numbers(story.assess(later, LINE, 1.0)) for story in (straight, mixed)]
    assert settled[0] == pytest.approx(settled[1], rel=1e-3)


@settings(deadline=None, max_examples=30)
@given(mentions, st.lists(st.floats(-4e9, 4e9), min_size=1, max_size=6))
def test_jumps_of_the_clock_leave_every_number_finite(rows, jumps):
    story = told(rows)
    for i, jump in enumerate(jumps):
        story.observe(START + jump, 10_000 + i, None, "post", None)
        spread = story.assess(START, LINE, 1.0)
        assert all(isfinite(x) for x in numbers(spread))
        assert spread.forecast.q10 <= spread.forecast.q50 <= spread.forecast.q90
        assert len(story.dump()) <= 4096


@settings(deadline=None, max_examples=30)
@given(mentions, st.integers(-500, 500))
def test_a_shift_of_whole_weeks_changes_nothing(rows, weeks):
    now = 3 * 86400.0
    a = told(rows).assess(START + now, LINE, 1.0)
    b = told(rows, START + weeks * WEEK).assess(START + weeks * WEEK + now, LINE, 1.0)
    assert all(close(x, y, 1e-4) for x, y in zip(numbers(a), numbers(b), strict=True))


@settings(deadline=None, max_examples=30)
@given(mentions, st.lists(st.floats(1, 1e6), min_size=2, max_size=5))
def test_a_higher_line_is_never_more_probable(rows, lines):
    story = told(rows)
    chances = [story.assess(START + 3600.0, ViralLine(line), 1.0).forecast.p_viral for line in sorted(lines)]
    assert all(a >= b - 1e-12 for a, b in pairwise(chances))


@settings(deadline=None, max_examples=30)
@given(mentions)
def test_a_dump_holds_everything_in_four_kilobytes(rows):
    story = told(rows)
    raw = story.dump()
    assert len(raw) <= 4096
    assert StorySpread.load(raw).assess(START + 1e5, LINE, 1.0) == story.assess(START + 1e5, LINE, 1.0)


@settings(deadline=None, max_examples=40)
@given(mentions, mentions)
def test_withdrawing_undoes_observing(rows, extra):
    story, plain = told(rows), told(rows)
    extra = [(t, 1000 + v, f, k, c) for t, v, f, k, c in {row[1]: row for row in extra}.values()][:20]
    if len({r[1] for r in rows}) + len(extra) > 60:
        return
    for t, voice, followers, kind, complaint in extra:
        story.observe(START + t, voice, followers, kind, complaint)
    for t, voice, followers, kind, complaint in extra:
        story.withdraw(START + t, voice, followers, kind, complaint)
    assert story.size == plain.size
    assert close(story.voices, plain.voices)
    now = START + 4 * 86400.0
    assert close(story.assess(now, LINE, 0.0).per_hour, plain.assess(now, LINE, 0.0).per_hour)


@pytest.mark.parametrize("pause", [2 * 3600.0, 5 * 86400.0])
def test_a_run_of_activity_is_since_the_last_pause(pause):
    story = StorySpread()
    assert story.assess(START, LINE, 0.0).since is None
    for i in range(30):
        story.observe(START + 60.0 * i, i, 300, "post", None)
    assert story.assess(START + 1800.0, LINE, 0.0).since == START
    again = START + 1740.0 + pause
    for i in range(60):
        story.observe(again + 60.0 * i, 100 + i, 300, "repost", None)
    since = story.assess(again + 60 * 60.0, LINE, 0.0).since
    assert again - 0.15 * pause - 600.0 <= since <= again + 40.0


def test_what_drives_a_story_tells_reposts_quotes_and_replies_apart():
    story = StorySpread()
    for i, kind in enumerate(["post", "repost", "repost", "reply"] * 5):
        story.observe(START + 30.0 * i, i, 300, kind, None)
    drivers = dict(story.assess(START + 600.0, LINE, 0.0).drivers)
    assert [drivers[f"{kind}_share"] for kind in ("repost", "quote", "reply")] == [0.5, 0.0, 0.25]


def test_three_mentions_are_no_alarm_and_growth_through_half_the_line_is():
    assert burst(3, 300.0).assess(START + 300.0, LINE, 1.0).forecast.p_viral < 0.1
    grown = burst(55, 1800.0).assess(START + 1800.0, LINE, 1.0)
    assert grown.reproduction > 0.9
    assert grown.forecast.p_viral > 0.5
    assert 0 < grown.forecast.minutes_to_viral < 240
    assert burst(55, 1800.0).assess(START + 8 * 3600.0, LINE, 1.0).forecast.p_viral < 0.05


def test_one_author_twenty_times_is_one_voice():
    furious = StorySpread()
    for i in range(20):
        furious.observe(START + 30.0 * i, 42, 500, "post", 0.99)
    spread = furious.assess(START + 600.0, ViralLine(20.0), 0.0)
    assert (spread.size, spread.voices) == (20, 1)
    assert spread.forecast.p_viral < 0.05


def test_voices_whose_numbers_overlap_are_told_apart():
    """Names lie side by side, eight bytes each: one may be found across two others."""
    voices = [1 << bit for bit in range(0, 64, 2)] + [0, 2**64 - 1, 0x0100000000000001, 0x00FF00FF00FF00FF]
    random.Random(3).shuffle(voices)
    story = StorySpread()
    for again in range(3):
        for i, voice in enumerate(voices):
            story.observe(START + 100.0 * again + i, voice, 300, "post", None)
    assert (story.size, story.voices) == (3 * len(voices), len(voices))
    assert story.named == {voice: (START + i, 3, 300.0) for i, voice in enumerate(voices)}
    for voice in voices[::2]:
        for _ in range(3):
            story.withdraw(START, voice, 300, "post", None)
    assert list(story.named) == voices[1::2]
    assert StorySpread.load(story.dump()).named == story.named


def test_one_author_a_thousand_times_in_a_large_story_is_one_voice():
    story = burst(500, 3600.0)
    before = story.assess(START + 3600.0, ViralLine(5000.0), 0.0)
    for _ in range(1000):
        story.observe(START + 3600.0, 999_999_999_999, 10, "reply", 0.9)
    after = story.assess(START + 3600.0, ViralLine(5000.0), 0.0)
    assert after.voices <= before.voices + 1
    assert after.per_hour < before.per_hour * 1.05


@pytest.mark.parametrize("voices", [50, 1000, 20_000])
def test_voices_are_counted_within_three_percent(voices):
    rng = random.Random(1)
    story = StorySpread()
    for i in range(voices):
        name = rng.getrandbits(64)
        for _ in range(1 + i % 3):
            story.observe(START + i, name, None, "post", None)
    assert close(story.voices, voices, 0.03)
    assert len(story.dump()) <= 4096


@pytest.mark.parametrize(("left", "right"), [(30, 30), (30, 500), (500, 30), (700, 500)])
def test_absorbing_counts_shared_voices_once(left, right):
    a, b, whole = StorySpread(), StorySpread(), StorySpread()
    for i in range(left):
        a.observe(START + i, i * 65537 + 1, 100, "post", 0.5)
        whole.observe(START + i, i * 65537 + 1, 100, "post", 0.5)
    for i in range(right):
        b.observe(START + 600 + i, (i + 10) * 65537 + 1, 100, "post", 0.5)
        whole.observe(START + 600 + i, (i + 10) * 65537 + 1, 100, "post", 0.5)
    a.absorb(b)
    assert a.size == left + right
    assert close(a.voices, max(left, right + 10), 0.03)
    now = START + 1200.0
    assert close(a.assess(now, LINE, 0.0).per_hour, whole.assess(now, LINE, 0.0).per_hour, 0.35)


def test_a_million_voices_stay_finite():
    story = StorySpread()
    for i in range(150_000):
        story.observe(START + i * 1e-3, i * 0x9E3779B97F4A7C15, 100, "repost", None)
    spread = story.assess(START + 200.0, ViralLine(1e6), 0.0)
    assert all(isfinite(x) for x in numbers(spread))
    assert 60_000 < spread.voices <= 150_000 * 1.1


def test_ordinary_chatter_is_forecast_to_spread_less_than_a_story():
    story = burst(40, 7200.0)
    lone = story.assess(START + 7200.0, LINE, 0.0).forecast
    chatter = story.assess(START + 7200.0, LINE, lone.q50).forecast
    assert chatter.p_viral < lone.p_viral


def test_what_is_no_dump_is_refused():
    with pytest.raises(ValueError, match="no dumped story"):
        StorySpread.load(b"\x00nonsense")
    with pytest.raises(ValueError, match="finite"):
        StorySpread().observe(float("nan"), 1, None, "post", None)
