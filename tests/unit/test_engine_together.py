"""Records that are committed together come to the same as one by one, however they are cut."""

import random

import pytest
from msgspec import structs

from monitor.engine.records import decode_batch, encode_batch, encode_item
from tests.support.pipeline import Pipeline, chatter, in_time, outcry, say, with_ticks

pytestmark = pytest.mark.store

HOUR = 3600.0
BRAND = "Aurora Hotels"


def the_stream():
    """Return two outcries over some chatter, with a reply, an edit, a delete and ids that come twice."""
    storm = outcry(BRAND, 6 * HOUR, tag="suitcase")
    second = outcry("Blue Finch Air", 7 * HOUR, tag="engine", words="Blue Finch Air let us wait for nine hours, rude")
    first = f"{BRAND}-suitcase-{6 * HOUR:.0f}"
    more = [
        say("reply", "same with me, so rude", 6.5 * HOUR, author="rep", in_reply_to=f"{first}-0", kind="reply"),
        say("edit", f"{BRAND} lost my bag and found it", 6.6 * HOUR, kind="edit", target=f"{first}-2", revision=2),
        say("gone", "", 6.7 * HOUR, kind="delete", target=f"{first}-4"),
        say("early", "", 6.8 * HOUR, kind="delete", target="nobody-has-seen-this"),
    ]
    return in_time([*chatter(BRAND, 0.0, 9 * HOUR, 120.0), *storm, *second, *more, *storm[:30]])


@pytest.fixture(scope="module")
def one_by_one():
    pipe = Pipeline(size=5)
    pipe.feed(*with_ticks(the_stream(), settle=1800.0))
    assert pipe.incidents(), "nothing happened: the test would say nothing"
    return pipe


def what_is_known(pipe):
    """Return all that anyone can see of a run, without what names the moment of writing."""
    return {
        "account": pipe.account(),
        "incidents": pipe.incidents(),
        "pages": [(row.key, row.severity, row.decided_at, row.facts) for row in pipe.pages()],
        "seen": pipe.seen(),
        "stories": sorted((name, row.size, row.voices, row.crossed_at) for name, row in open_rows(pipe).items()),
        "clocks": pipe.clocks(),
    }


def open_rows(pipe):
    return {name: row for name, row in pipe.story_rows().items() if not row.closed}


@pytest.mark.parametrize("seed", range(3))
def test_cut_in_any_way_records_come_to_the_same(one_by_one, seed):
    rng = random.Random(seed)
    pipe = Pipeline(size=5)
    values = [value for _, value in one_by_one.values]
    while values:
        cut = rng.choice((1, 2, 7, 60, 400))
        pipe.take_together(0, values[:cut])
        del values[:cut]
    assert what_is_known(pipe) == what_is_known(one_by_one)


def test_a_scoring_worker_s_repeat_is_dropped_within_one_transaction(one_by_one):
    pipe = Pipeline(size=5)
    values = [value for _, value in one_by_one.values]
    doubled = [again for at in range(0, len(values), 10) for again in (*values[at : at + 10], *values[at : at + 10])]
    for at in range(0, len(doubled), 100):
        pipe.take_together(0, doubled[at : at + 100])
    assert pipe.account() == one_by_one.account()
    assert [row.key for row in pipe.pages()] == [row.key for row in one_by_one.pages()]


def test_a_topic_made_anew_begins_at_its_first_record_within_one_transaction(one_by_one):
    old = [value for _, value in one_by_one.values[:40]]
    counted = Pipeline(size=5)
    counted.take_together(0, old)
    before = counted.account()["stored"]
    fresh = []
    for value in old:  # the same offsets again, of another topic: nothing of them is a repeat
        batch = decode_batch(value)
        items = [
            structs.replace(item, id=f"{item.id}-again") if hasattr(item, "text") else item for item in batch.items
        ]
        fresh.append(encode_batch("t2", batch.partitions, [encode_item(item) for item in items]))
    pipe = Pipeline(size=5)
    pipe.take_together(0, [*old, *fresh])
    assert pipe.account()["stored"] == 2 * before
