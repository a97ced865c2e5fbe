"""The simulated stream: the same for a seed, in order, valid, and what the truth says of it."""

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise

import msgspec
import pytest

from monitor.brand.match import BrandMatcher
from monitor.brand.tree import BrandTree
from monitor.mention.model import Mention
from monitor.simulate import STORIES, Settings, Simulation, brands_file

WEEK = Settings(stories=STORIES)
QUIET = dict.fromkeys(("replies", "reposts", "quotes", "edits", "deletes", "repeats", "noise", "abroad"), 0.0)
KNOWN_TIMES = [
    "2026-03-02T00:02:20.968000+00:00",
    "2026-03-02T00:02:25.185000+00:00",
    "2026-03-02T00:08:19.978000+00:00",
]


@pytest.fixture(scope="module")
def week():
    return Simulation(WEEK, seed=11)


@pytest.fixture(scope="module")
def records(week):
    return list(week.mentions())


@pytest.fixture(scope="module")
def truth(week, records):
    return week.truth()


@pytest.fixture(scope="module")
def matcher():
    return BrandMatcher(BrandTree.load(brands_file()))


def test_the_same_seed_gives_the_same_stream_and_truth(week, records, truth):
    again = Simulation(WEEK, seed=11)
    assert list(again.mentions()) == records
    assert again.truth() == truth
    assert list(week.mentions()) == records


def test_the_truth_is_the_same_before_and_after_the_stream_is_read(truth):
    assert Simulation(WEEK, seed=11).truth() == truth


def test_another_seed_gives_another_stream(records):
    other = list(islice(Simulation(WEEK, seed=12).mentions(), 500))
    assert [mention.text for mention in other] != [mention.text for mention in records[:500]]


def test_a_known_seed_gives_a_known_stream():
    first = list(islice(Simulation(Settings(stories=(), repeats=0), seed=1).mentions(), 3))
    assert [mention.id for mention in first] == ["n-000001", "n-000002", "n-000003"]
    assert [mention.published_at.isoformat() for mention in first] == KNOWN_TIMES


def test_time_never_runs_backwards_and_observation_follows(records):
    assert all(a.published_at <= b.published_at for a, b in pairwise(records))
    waits = [(mention.observed_at - mention.published_at).total_seconds() for mention in records]
    assert min(waits) >= 0
    assert max(waits) <= 300


def test_every_record_is_a_valid_mention_on_the_wire(records):
    for mention in records:
        assert msgspec.json.decode(msgspec.json.encode(mention), type=Mention) == mention
        assert mention.text or mention.kind in {"repost", "delete"}
        assert WEEK.start <= mention.published_at < datetime(2026, 3, 9, tzinfo=UTC)


def test_what_a_record_refers_to_came_before_it(records):
    seen = set()
    for mention in records:
        for parent in (mention.in_reply_to, mention.repost_of, mention.target):
            assert parent is None or parent in seen or parent.startswith("n-old-")
        seen.add(mention.id)


def test_replies_name_what_they_answer_reposts_what_they_repeat_and_changes_their_target(records):
    for mention in records:
        assert (mention.in_reply_to is not None) == (mention.kind in {"reply", "comment"})
        assert (mention.repost_of is not None) == (mention.kind in {"repost", "quote"})
        assert (mention.target is not None) == (mention.kind in {"edit", "delete"})


def test_numbers_are_without_a_gap_and_repeats_are_the_same_record(records, truth):
    numbers = [int(mention.id[2:]) for mention in records]
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))
    assert len(numbers) - len(set(numbers)) == truth.repeats > 0
    by_id = {}
    for mention in records:
        assert by_id.setdefault(mention.id, mention) == mention


def test_the_brand_room_sees_what_the_simulator_meant(records, truth, matcher):
    nameless = {mention.id for mention in records if not matcher.match(mention)}
    own = {mention.id for mention in records if matcher.is_own(mention)}
    assert len(nameless) == truth.noise > 0
    assert len(own) == truth.own_replies + sum(story.own_replies for story in truth.stories) > 0


def test_the_busy_hours_are_busy_and_the_nights_are_quiet():
    month = Simulation(Settings(days=28, stories=()), seed=2)
    hours = Counter(mention.published_at.hour for mention in month.mentions())
    assert sum(hours[hour] for hour in range(16, 20)) > 5 * sum(hours[hour] for hour in range(2, 6))
    flat = Simulation(Settings(days=28, stories=(), seasonal=False), seed=2)
    even = Counter(mention.published_at.hour for mention in flat.mentions())
    assert max(even.values()) < 1.25 * min(even.values())


def test_the_rate_is_what_was_asked_for():
    few = sum(1 for _ in Simulation(Settings(stories=(), rate=400, repeats=0), seed=3).mentions())
    assert 2_800 - 250 < few < 2_800 + 250
    many = Settings(stories=(), rate=50_000 * 86_400, seasonal=False, limit=20_000)
    stream = list(Simulation(many, seed=3).mentions())
    took = (stream[-1].published_at - stream[0].published_at).total_seconds()
    assert len(stream) == 20_000
    assert took == pytest.approx(0.4, rel=0.1)


def test_each_part_can_be_switched_off():
    plain = Settings(stories=(), days=2, own_replies=0, **QUIET)
    assert {mention.kind for mention in Simulation(plain, seed=4).mentions()} == {"post", "review", "ticket", "call"}
    assert Simulation(plain, seed=4).truth().stories == ()


def test_texts_are_many():
    settings = Settings(stories=(), days=14, **QUIET)
    texts = [mention.text for mention in Simulation(settings, seed=5).mentions()]
    assert len(set(texts)) > 0.93 * len(texts)


def test_most_people_have_few_followers_and_few_have_very_many(records):
    followers = sorted(mention.author.followers for mention in records if mention.author and mention.author.followers)
    assert followers[len(followers) // 2] < 1_000
    assert followers[-1] > 100_000


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"days": 0}, "days"),
        ({"rate": -1}, "rate"),
        ({"replies": 1.2}, "share"),
        ({"stories": ("flood",)}, "flood"),
        ({"line": 3}, "line"),
        ({"start": datetime(2026, 3, 2)}, "zone"),  # noqa: DTZ001 -- the mistake under test
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        Settings(**wrong)


def test_a_stretch_too_short_for_a_viral_story_is_refused():
    with pytest.raises(ValueError, match="more days"):
        Simulation(Settings(days=0.05, stories=("viral",)), seed=1)


def test_the_truth_survives_json(truth):
    blob = msgspec.json.encode(truth)
    assert json.loads(blob)["seed"] == 11
    assert msgspec.json.decode(blob, type=type(truth)) == truth
