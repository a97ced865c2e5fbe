"""Bags get lost every day: nobody is paged about that. When forty people lose theirs within the hour, somebody is."""

import random

import pytest

from tests.support.pipeline import ANGRY, NAMES, Pipeline, brands, say, with_ticks

pytestmark = pytest.mark.store

DAY = 86_400.0
LINE = 50.0


def complaint(number, at):
    more = {"in_reply_to": "0"} if number else {}
    return say(number, ANGRY.format(brand=NAMES[0], more=f"flight {number}"), at, author=f"a{number}", **more)


def always(days, a_day, seed=3):
    """When it happens on an ordinary day: between eight and twenty o'clock."""
    rng = random.Random(seed)
    return sorted(day * DAY + rng.uniform(28_800.0, 72_000.0) for day in range(days) for _ in range(a_day))


def about_stories(pipe):
    return [
        incident for incident in pipe.incidents() if incident.kind == "story" and incident.peak in {"page", "crisis"}
    ]


def test_a_matter_of_every_day_pages_nobody_until_more_comes_of_it():
    pipe = Pipeline(tree=brands(NAMES[:1], line=LINE))
    times = always(6, 14)
    pipe.feed(*with_ticks([complaint(number, at) for number, at in enumerate(times)]))
    assert pipe.the_story().size == len(times) > 1.5 * LINE
    assert about_stories(pipe) == []
    began = 6 * DAY + 43_200.0
    burst = [began + 3_000.0 * (n / 40) ** 0.5 for n in range(40)]
    pipe.feed(*with_ticks([complaint(len(times) + n, at) for n, at in enumerate(burst)], 600.0))
    (incident,) = about_stories(pipe)
    assert incident.severity in {"page", "crisis"}
    assert "beyond its usual" in incident.reason
