"""The source is down for six hours: nothing is learned from it, nothing closes for it, and its return is no storm."""

import random
from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest
import structlog
from msgspec import structs

from monitor.mention import Mention
from monitor.spread import BrandTide
from monitor.stream.watch_worker import _WatchTelemetry
from monitor.telemetry.health import Health
from monitor.telemetry.metrics import Metrics
from tests.support.pipeline import T0, Pipeline, brands, chatter, in_time, outcry, say, with_ticks

HOUR, DAY = 3600.0, 86400.0
BRAND, ROOT = "Aurora Hotels", "aurora-hotels"
DOWN = (4 * DAY + 10 * HOUR, 4 * DAY + 16 * HOUR)
END = DOWN[1] + 12 * HOUR


def _at(raw):
    return msgspec.json.decode(raw, type=Mention).published_at.timestamp() - T0


@cache
def busy(end=END, per_hour=40.0):
    """About 40 mentions an hour by day, and 10 by night."""
    rng = random.Random(4)
    t, out = 0.0, []
    while t < end:
        t += rng.expovariate(per_hour / HOUR)
        if t < end and rng.random() < (1.0 if 7 <= t % DAY / HOUR < 22 else 0.25):
            words = " ".join(
                "".join(rng.choice(("ka", "lo", "mi", "ru", "te", "so")) for _ in range(3)) for _ in "1234567"
            )
            mood = rng.choice(("", "lovely", "thanks", "worst, no refund, so rude"))
            out.append(say(f"b{len(out)}", f"{BRAND} {words} {mood}", t, author=f"a{rng.randrange(4000)}"))
    return tuple(out)


def without(raws, down=DOWN):
    return [raw for raw in raws if not down[0] <= _at(raw) < down[1]]


def seen_later(raws, at, pace=1.0):
    """The same mentions, as a source sees them that catches up from `at` on."""
    out = []
    for number, raw in enumerate(raws):
        mention = msgspec.json.decode(raw, type=Mention)
        out.append(
            msgspec.json.encode(
                structs.replace(mention, observed_at=datetime.fromtimestamp(T0 + at + number * pace, UTC))
            )
        )
    return out


def wave(start, people=90, hours=1.0):
    """Many people complain, each in their own words."""
    rng = random.Random(start)
    out = []
    for n in range(people):
        own = " ".join("".join(rng.choice(("ba", "ko", "li", "mu", "re")) for _ in range(3)) for _ in range(9))
        text = f"{BRAND} worst ever {own} stuck, rude, no refund"
        out.append(say(f"w{start:.0f}-{n}", text, start + rng.uniform(0, hours * HOUR), author=f"w{start:.0f}-{n}"))
    return out


def run(raws, settle=0.0, *, tree=None, cut=None):
    """Let mentions through, observed as given; `cut`: another worker takes over after so many."""
    flow = Pipeline(tree=tree or brands([BRAND], line=400.0), url="sqlite://", id_retention_s=30 * DAY)
    items = with_ticks(raws, settle)
    if cut is None:
        flow.feed(*items)
    else:
        at = next(i for i, item in enumerate(items) if isinstance(item, float) and item >= cut)
        flow.feed(*items[:at])
        flow.restart()
        flow.feed(*items[at:])
    return flow


def tide(flow, brand=ROOT):
    (engine,) = flow.engines
    return engine._umbrellas[ROOT].state.brands[brand].tide


def learned(of, gaps=None):
    """What a tide expects of the hours of the week; `gaps`: had it been told of just these."""
    again = BrandTide.load(of.dump())
    again.follow(of.gaps if gaps is None else gaps, None)
    return [again.expected_per_hour(T0 + hour * HOUR) for hour in range(168)]


def apart(some, others):
    return max(abs(a - b) / b for a, b in zip(some, others, strict=True))


def told(flow):
    return [(row.purpose, row.severity) for row in flow.pages() if row.severity in {"page", "crisis"}]


@cache
def outage():
    return run(without(busy()))


def test_the_outage_is_found_to_the_bin():
    flow = outage()
    ((since, until),) = tide(flow).gaps
    assert T0 + DOWN[0] - 600 < since <= T0 + DOWN[0] + 300
    assert T0 + DOWN[1] - 300 <= until < T0 + DOWN[1] + 600


class Shown(Pipeline):
    """Keeps what the watching worker's metrics say of the umbrella after each record of `readings`."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.metrics = Metrics()
        self.telemetry = _WatchTelemetry(self.metrics.watch, Health(), "readings", live=False)
        self.shown = []

    def take_together(self, partition, values):
        changes = super().take_together(partition, values)
        self.telemetry.committed(partition, changes, store_s=0.0, engine_s=0.0, clock=changes.clock)
        seconds = self.metrics.registry.get_sample_value("monitor_umbrella_down_seconds", {"brand": ROOT})
        self.shown.append((changes.clock - T0, seconds))
        return changes


def test_the_metrics_and_the_log_tell_of_it_while_it_lasts():
    flow = Shown(tree=brands([BRAND], line=400.0), url="sqlite://", id_retention_s=30 * DAY)
    raws = without(busy(DOWN[1] + HOUR))
    with structlog.testing.capture_logs() as logs:
        flow.feed(*with_ticks([raw for raw in raws if _at(raw) < DOWN[0]]))
        assert {seconds for _, seconds in flow.shown} == {None}
        for minute in range(10, 360, 10):
            flow.tick(DOWN[0] + 60.0 * minute)
        during = [(at, seconds) for at, seconds in flow.shown if seconds is not None]
        assert DOWN[0] < during[0][0] < DOWN[0] + 2 * HOUR
        assert [at for at, _ in during] == [DOWN[0] + 60.0 * m for m in range(10, 360, 10)][-len(during) :]
        assert all(seconds == pytest.approx(at - DOWN[0], abs=600) for at, seconds in during)
        flow.feed(*with_ticks([raw for raw in raws if _at(raw) >= DOWN[1]]))
    assert flow.shown[-1][1] is None
    told = [(line["event"], line["umbrella"]) for line in logs if line["event"].startswith("input_")]
    assert told == [("input_down", ROOT), ("input_heard_again", ROOT)]


def test_the_return_is_no_storm_and_nobody_is_told():
    assert not outage().incidents()
    assert tide(outage()).wave_since is None


def test_what_is_learned_is_as_if_somebody_had_marked_the_hours():
    found = tide(outage())
    marked = learned(found, [(T0 + DOWN[0], T0 + DOWN[1])])
    assert apart(learned(found), marked) < 0.02
    assert apart(learned(found, []), marked) > 0.04, "unmarked, the silence would have been learned"


def test_a_storm_an_hour_after_the_return_is_paged_as_soon_as_ever():
    storm = wave(DOWN[1] + HOUR)
    spared = run(in_time([*busy(DOWN[1] + 5 * HOUR), *storm]))
    hit = run(in_time([*without(busy(DOWN[1] + 5 * HOUR)), *storm]))
    (as_ever,), (found,) = spared.incidents(), hit.incidents()
    assert found.peak == as_ever.peak == "page"
    assert found.opened_at <= as_ever.opened_at + 600.0
    assert found.opened_at < T0 + DOWN[1] + 2 * HOUR


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
def test_what_comes_late_counts_where_it_belongs(newest_first):
    whole = run(busy())
    missed = [raw for raw in busy() if DOWN[0] <= _at(raw) < DOWN[1]]
    late = seen_later(missed[::-1] if newest_first else missed, DOWN[1] + 30.0)
    before, after = [[raw for raw in busy() if low <= _at(raw) < high] for low, high in ((0, DOWN[0]), (DOWN[1], END))]
    times = sorted([(_at(raw), raw) for raw in after] + [(DOWN[1] + 30.0 + i, raw) for i, raw in enumerate(late)])
    flow = run([*before, *[raw for _, raw in times]])
    assert not flow.incidents()
    assert not tide(flow).gaps, "it is filled"
    assert apart(learned(tide(flow)), learned(tide(whole))) < 0.02


def test_what_comes_late_in_part_leaves_the_rest_a_gap():
    half = DOWN[0] + 3 * HOUR
    late = seen_later([raw for raw in busy() if half <= _at(raw) < DOWN[1]], DOWN[1] + 30.0)
    before, after = [[raw for raw in busy() if low <= _at(raw) < high] for low, high in ((0, DOWN[0]), (DOWN[1], END))]
    times = sorted([(_at(raw), raw) for raw in after] + [(DOWN[1] + 30.0 + i, raw) for i, raw in enumerate(late)])
    flow = run([*before, *[raw for _, raw in times]])
    assert not flow.incidents()
    ((since, until),) = tide(flow).gaps
    assert until - since == pytest.approx(3 * HOUR, abs=900)


@cache
def with_a_story(*, down):
    """A story goes viral half an hour before the outage, and is never spoken of again."""
    raws = without(busy()) if down else busy()
    return run(in_time([*raws, *outcry(BRAND, DOWN[0] - 1800.0, people=900, hours=0.45)]))


def test_an_incident_is_not_calm_because_its_source_is_silent():
    (found,) = with_a_story(down=True).incidents()
    assert found.state == "resolved"
    assert found.updated_at > T0 + DOWN[1] + 3 * HOUR, "three hours of calm that was heard"
    assert found.updated_at < T0 + DOWN[1] + 5 * HOUR
    notices = [row.decided_at for row in with_a_story(down=True).pages()]
    assert not [at for at in notices if T0 + DOWN[0] + HOUR < at < T0 + DOWN[1]]


def test_a_story_that_ends_while_the_source_lives_is_closed():
    (found,) = with_a_story(down=False).incidents()
    assert found.state == "resolved"
    assert found.updated_at < T0 + DOWN[0] + 5 * HOUR


def test_a_wave_is_not_over_because_the_source_is_silent():
    raws = in_time([*without(busy(DOWN[1] + 3 * HOUR), (DOWN[0], DOWN[1] + 3 * HOUR)), *wave(DOWN[0] - 2 * HOUR)])
    flow = run(raws, settle=30 * HOUR)
    (found,) = flow.incidents()
    assert found.state == "open"
    state = tide(flow).assess(T0 + DOWN[0] + 28 * HOUR)
    assert state.wave_since is not None
    assert state.silent_since == pytest.approx(T0 + DOWN[0], abs=600)


def test_an_outage_of_four_days_forgets_no_incident():
    """Stories close after three idle days; those without input do not count."""
    raws = in_time([*without(busy(), (DOWN[0], END)), *outcry(BRAND, DOWN[0] - 1800.0, people=900, hours=0.45)])
    back = DOWN[0] + 4 * DAY
    raws += in_time([*chatter(BRAND, back, back + 8 * HOUR, 120.0)])
    (found,) = run(raws).incidents()
    assert found.state == "resolved"
    assert back + 3 * HOUR < found.updated_at - T0 < back + 6 * HOUR


def test_a_brand_with_a_mention_a_day_has_no_gap():
    raws = chatter(BRAND, 0, 40 * DAY, DAY)
    flow = run(raws, settle=5 * DAY)
    assert not tide(flow).gaps
    assert tide(flow).assess(T0 + 45 * DAY).silent_since is None


def test_a_new_worker_in_the_midst_of_the_outage_finds_the_same():
    flow = run(without(busy()), cut=DOWN[0] + 3 * HOUR)
    assert tide(flow).gaps == tide(outage()).gaps
    assert learned(tide(flow)) == learned(tide(outage()))


def test_input_shuffled_within_a_minute_gives_the_same_incidents():
    rng = random.Random(8)
    raws = in_time([*without(busy()), *wave(DOWN[0] - 2 * HOUR), *wave(DOWN[1] + 3 * HOUR)])
    shaken = sorted(((_at(raw) + rng.uniform(0, 60), raw) for raw in raws), key=lambda pair: pair[0])
    one, other = run(raws), run([raw for _, raw in shaken])
    said = [[(each.story, each.state, each.peak) for each in flow.incidents()] for flow in (one, other)]
    assert said[0] == said[1]
    assert said[0]
    assert tide(one).gaps == tide(other).gaps
