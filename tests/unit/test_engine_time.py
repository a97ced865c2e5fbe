"""The partition's clock, what is judged when, and what survives a restart in the middle of a stream."""

import random
from datetime import datetime

import msgspec
import pytest

from monitor.engine.partition import Marks
from monitor.story.types import StorySettings
from tests.support.pipeline import NAMES, T0, Pipeline, chatter, in_time, outcry, say, with_ticks

pytestmark = pytest.mark.store

A, B, C, D = NAMES
HOUR = 3600.0


def clock(flow):
    return flow.engines[0].marks.clock - T0


# -- the clock


def test_the_clock_is_the_least_of_the_partitions_and_waits_for_all_of_them():
    flow = Pipeline(mentions=3)
    flow.tick(100.0, 0)
    flow.tick(50.0, 1)
    assert clock(flow) == -T0, "the third has said nothing yet"
    flow.tick(70.0, 2)
    assert clock(flow) == 50.0
    flow.tick(300.0, 1)
    assert clock(flow) == 70.0


def test_the_clock_never_runs_backwards():
    flow = Pipeline(mentions=2)
    flow.tick(100.0)
    flow.tick(20.0)
    flow.tick(60.0, 1)
    assert clock(flow) == 100.0


def test_a_mention_alone_does_not_move_the_clock():
    flow = Pipeline()
    flow.tick(0.0)
    flow.feed(say(1, f"late, {A}", 900.0))
    assert clock(flow) == 0.0


def test_the_clock_survives_a_restart_and_a_topic_made_anew():
    flow = Pipeline(mentions=2)
    flow.tick(500.0)
    flow.restart()
    assert clock(flow) == 500.0
    assert flow.clocks() == [500.0]
    flow.topic_id = "t2"
    flow.tick(900.0, 0)
    assert clock(flow) == 500.0, "the new topic's other partition has said nothing yet"
    flow.tick(900.0, 1)
    assert clock(flow) == 900.0


def test_marks_written_by_an_older_version_can_be_read():
    flow = Pipeline()
    flow.tick(500.0)
    plain = msgspec.msgpack.decode(flow.watch.state("readings", 0).marks)
    plain.pop("purged_at")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain), type=Marks).purged_at == 0.0


# -- silence


def test_a_hold_down_ends_in_silence():
    """Nobody says anything any more after the deciding mention: the page comes by the clock alone."""
    flow = Pipeline()
    flow.feed(*outcry(A, 0.0, people=60, hours=0.01))
    assert not flow.pages()
    for second in range(40, 300, 5):
        flow.tick(float(second))
    (page,) = flow.pages()
    assert page.purpose == "first"
    assert page.severity in {"page", "crisis"}
    assert 60 <= page.decided_at - T0 <= 110


def test_a_hold_down_ends_in_silence_even_if_all_of_it_comes_in_one_batch():
    flow = Pipeline()
    flow.feed(*with_ticks(outcry(A, 0.0, people=60, hours=0.01), settle=4 * HOUR))
    first = flow.pages()[0]
    assert 60 <= first.decided_at - T0 <= 150


# -- stories end


def test_an_idle_story_is_closed_and_forgotten():
    flow = Pipeline()
    flow.feed(say(1, f"late again, {A}"))
    idle = StorySettings().idle_s
    flow.tick(idle - 1200.0)
    assert len(flow.stories()) == 1
    flow.tick(idle + 1200.0)
    assert not flow.stories()
    assert flow.engines[0].live_stories == 0
    assert [row.closed for row in flow.story_rows().values()] == [True]
    flow.restart()
    assert not flow.stories()


def test_a_story_that_comes_back_in_the_same_batch_stays_open():
    flow = Pipeline()
    text = f"the quick brown trolley of {A} ran over seven suitcases at gate nine"
    flow.feed(say(1, text), say(2, text, 5.0))
    late = StorySettings().idle_s + 1200.0
    flow.feed(late, say(3, text, late + 1.0))
    assert [row.closed for row in flow.story_rows().values()] == [False]
    flow.restart()
    assert len(flow.stories()) == 1


# -- merges


def test_a_merge_hands_over_what_was_decided():
    """After its page a story becomes part of another: the incident moves along, and nobody is paged again."""
    flow = Pipeline()
    flow.feed(*with_ticks(outcry(A, 0.0, people=60, hours=0.3, tag="pool"), settle=90.0))
    assert [page.purpose for page in flow.pages()] == ["first"]
    (opened,) = flow.incidents()
    calm = [
        say(
            f"o{n}",
            f"{A} breakfast on the terrace, with a view of the lake and the hills behind",
            9.0 + n,
            author=f"o{n}",
        )
        for n in range(70)
    ]
    first = f"{A}-pool-0-0"
    bridge = say("bridge", f"{A}: both", 1500.0, kind="quote", in_reply_to="o1", repost_of=first, author="cy")
    flow.feed(*calm)
    assert len(flow.stories()) == 2
    flow.feed(bridge)
    (story,) = flow.stories()
    assert story != opened.story, "the smaller went into the larger"
    (after,) = flow.incidents()
    assert (after.id, after.story, after.state) == (opened.id, story, "open")
    mind = next(iter(flow.engines[0]._umbrellas.values())).state.minds[story]
    assert mind.memory.severity == "page"
    flow.restart()
    flow.feed(1600.0, *outcry(A, 1610.0, people=60, hours=0.1, tag="pool"), 2100.0)
    assert [page.purpose for page in flow.pages()].count("first") == 1


def test_a_name_of_a_swallowed_story_leads_to_the_one_that_goes_on_after_a_restart():
    flow = Pipeline()
    flow.feed(
        say(1, f"{A} towels missing at the pool on sunday", author="ann"),
        say(2, f"{A} breakfast was cold and the coffee stale", author="ben"),
        say(3, f"both at once, {A}", 5.0, kind="quote", in_reply_to="1", repost_of="2", author="cy"),
    )
    flow.restart()
    flow.feed(
        say(4, "me too", 6.0, kind="reply", in_reply_to="1"), say(5, "me too", 6.0, kind="reply", in_reply_to="2")
    )
    assert flow.the_story().size == 5


# -- restarts


def stream(seed):
    """Four brands for ten hours: chatter, two outcries, changes of both, and ticks in between."""
    rng = random.Random(seed)
    raws = [raw for brand in NAMES for raw in chatter(brand, 0, 10 * HOUR, 900.0, seed)]
    raws += outcry(A, 2 * HOUR, people=150, hours=1.5, tag="bag") + outcry(
        C, 3 * HOUR, people=150, hours=2.0, tag="train"
    )
    out = []
    for raw in in_time(raws):
        plain = msgspec.json.decode(raw)
        out.append(raw)
        if rng.random() < 0.05:
            at = datetime.fromisoformat(plain["published_at"]).timestamp() - T0
            out.append(say(f"d{plain['id']}", "", at, kind="delete", target=plain["id"]))
    return with_ticks(out, settle=4 * HOUR)


def outcome(flow):
    incidents = [
        (one.id, one.severity, one.peak, one.rule, one.state, round(one.opened_at)) for one in flow.incidents()
    ]
    pages = [(page.key, page.severity, page.purpose) for page in flow.pages()]
    stories = sorted(
        (name, story.size, story.brand(), round(story.complaint, 6)) for name, story in flow.stories().items()
    )
    return incidents, pages, stories, flow.account()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_restart_at_any_moment_changes_nothing_that_anyone_sees(seed):
    items = stream(seed)
    whole = Pipeline(readings=2, size=64)
    whole.feed(*items)
    assert len(whole.incidents()) >= 2
    rng = random.Random(seed)
    cut = Pipeline(readings=2, size=64)
    at = 0
    while at < len(items):
        step = 64 * rng.randrange(1, 12)  # batches are cut where the other's are
        cut.feed(*items[at : at + step])
        cut.restart()
        at += step
    assert outcome(cut) == outcome(whole)
    late = [abs(a.decided_at - b.decided_at) for a, b in zip(cut.pages(), whole.pages(), strict=True)]
    assert max(late) <= 60.0, "at most a beat of the judging"
