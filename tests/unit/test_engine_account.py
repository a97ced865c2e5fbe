"""Every mention counts once, under the outcome that fits, whatever comes in which order and how often."""

import itertools
import random

import pytest

from monitor.brand import BrandTree
from monitor.engine.records import partition_of
from tests.support.pipeline import NAMES, Pipeline, say

pytestmark = pytest.mark.store

A, B, C, D = NAMES


@pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
def flow(request):
    return Pipeline(readings=request.param)


def test_what_names_a_brand_is_stored_and_what_does_not_is_not(flow):
    flow.feed(say(1, f"late again, {A}"), say(2, "late again, nobody"))
    assert flow.account() == {"stored": 1, "no_brand": 1}


def test_the_same_id_again_is_repeated_whatever_else_it_says(flow):
    flow.feed(say(1, f"late again, {A}"), say(1, f"late again, {A}"))
    flow.feed(say(1, f"now in other words: {A} is late", 5.0))
    flow.feed(say(1, f"late again, {A}", source="bluesky"))
    assert flow.account() == {"stored": 2, "repeated": 2}
    assert sum(story.size for story in flow.stories().values()) == 2


def test_a_mention_of_several_umbrellas_is_in_each_of_them_and_counts_once(flow):
    raw = say(1, f"never again {A}, {B} or {C}")
    flow.feed(raw)
    flow.feed(raw)
    assert flow.account() == {"stored": 1, "repeated": 1}
    assert sorted(story.umbrella for story in flow.stories().values()) == [
        "aurora-hotels",
        "blue-finch-air",
        "calder-rail",
    ]
    assert all(story.size == 1 for story in flow.stories().values())


def test_what_cannot_be_read_is_dead_and_disturbs_nothing(flow):
    flow.feed(say(1, f"late again, {A}"), b"{oops", b"", say(2, f"late again, {B}"))
    assert flow.account() == {"stored": 2, "dead": 2}


def test_what_is_older_than_the_ids_remembered_is_too_old(flow):
    flow.tick(50 * 3600.0)
    flow.feed(
        say(1, f"late again, {A}", 0.0), say(2, f"late again, {A}", 3 * 3600.0), say(3, "", kind="delete", target="1")
    )
    assert flow.account() == {"stored": 1, "too_old": 2}


@pytest.mark.parametrize("kind", ["edit", "delete"])
def test_an_edit_or_delete_counts_once_for_all_partitions(flow, kind):
    flow.feed(say(1, f"late again, {A} and {B}"))
    change = say(2, "" if kind == "delete" else f"on time after all, {A}", 5.0, kind=kind, target="1", revision=1)
    flow.feed(change)
    assert flow.account() == {"stored": 2}
    flow.feed(change)
    assert flow.account() == {"stored": 2, "repeated": 1}


def test_a_tombstone_is_an_orphan_until_its_target_comes(flow):
    flow.feed(say(2, "", 5.0, kind="delete", target="1"))
    assert flow.account() == {"orphan": 1}
    flow.feed(say(1, f"late again, {A}"))
    assert flow.account() == {"stored": 2}
    assert not flow.stories(), "the delete was not forgotten"


def test_a_tombstone_waits_through_a_restart(flow):
    flow.feed(say(2, "", 5.0, kind="delete", target="1"))
    flow.restart()
    flow.feed(say(1, f"late again, {A}"))
    assert flow.account() == {"stored": 2}
    assert not flow.stories()


def test_a_reply_without_a_brand_joins_the_story_it_answers(flow):
    flow.feed(say(1, f"late again, {A}"), say(2, "same here", 5.0, kind="reply", in_reply_to="1"))
    flow.feed(
        say(3, "and here", 6.0, kind="reply", in_reply_to="2"), say(3, "and here", 6.0, kind="reply", in_reply_to="2")
    )
    assert flow.account() == {"stored": 3, "repeated": 1}
    assert flow.the_story().size == 3


def test_a_reply_to_nothing_known_names_no_brand(flow):
    reply = say(2, "same here", 5.0, kind="reply", in_reply_to="unheard of")
    flow.feed(reply)
    flow.feed(reply)
    assert flow.account() == {"no_brand": 1, "repeated": 1}
    assert not flow.stories()


def test_a_reply_to_a_mention_of_two_umbrellas_joins_both_and_counts_once(flow):
    flow.feed(say(1, f"never again {A} or {B}"), say(2, "same here", 5.0, kind="reply", in_reply_to="1"))
    assert flow.account() == {"stored": 2}
    assert [story.size for story in flow.stories().values()] == [2, 2]


def test_every_outcome_at_once_balances_in_any_cut_of_the_stream():
    raws = [
        say(1, f"late again, {A} and {B}"),
        b"{oops",
        say(2, "nothing in it"),
        say(3, "same here", 5.0, kind="reply", in_reply_to="1"),
        say(4, "same here", 5.0, kind="reply", in_reply_to="none"),
        say(5, "", 6.0, kind="delete", target="1"),
        say(6, "", 6.0, kind="delete", target="none"),
        say(7, f"late again, {C}", -60 * 3600.0),
        say(1, f"late again, {A} and {B}"),
        say(8, "as well", 7.0, kind="reply", in_reply_to="3"),
    ]
    want = {"stored": 4, "dead": 1, "no_brand": 2, "orphan": 1, "too_old": 1, "repeated": 1}
    for size, readings in ((1, 2), (2, 1), (3, 5), (100, 2)):
        flow = Pipeline(readings=readings, size=size)
        flow.tick(0.0)
        flow.feed(*raws)
        assert flow.account() == want, (size, readings)
        flow.restart()
        flow.feed(*raws)
        assert sum(flow.account().values()) == flow.published == 2 * len(raws)
        assert flow.account()["stored"] == want["stored"]


# -- what score sends twice


def test_what_a_scoring_worker_sends_twice_is_not_counted_at_all():
    flow = Pipeline(readings=2)
    flow.feed(say(1, f"late again, {A} and {B}"), say(2, "nothing"), b"{", say(3, "", kind="delete", target="1"))
    before = flow.account()
    for partition, value in list(flow.values):
        flow.take(partition, value)
    assert flow.account() == before == {"stored": 2, "no_brand": 1, "dead": 1}


def test_offsets_are_compared_per_partition_of_mentions():
    flow = Pipeline(mentions=2)
    flow.feed(say(1, f"late again, {A}"), say(2, f"late again, {A}"), partition=0)
    flow.feed(say(3, f"late again, {A}"), partition=1)
    flow.restart()
    flow.feed(say(4, f"late again, {A}"), partition=1)
    assert flow.account() == {"stored": 4}


def test_a_topic_made_anew_begins_at_offset_0_again():
    flow = Pipeline()
    flow.feed(say(1, f"late again, {A}"), say(2, f"late again, {A}"))
    flow.topic_id, flow.offsets[0] = "t2", 0
    flow.feed(say(3, f"late again, {A}"), say(1, f"late again, {A}"))
    assert flow.account() == {"stored": 3, "repeated": 1}


# -- revisions


def _states(flow):
    """What edits and deletes leave behind, apart from names: sizes, voices, moods, what is remembered per id."""
    return (
        sorted(
            (story.umbrella, story.size, round(story.complaint, 6), story.read, story.brand())
            for story in flow.stories().values()
        ),
        sorted(round(flow.spread(name).voices, 6) for name in flow.stories()),
    )


CHANGES = {
    "the highest is an edit": ([("edit", 1, "bad, worst"), ("delete", 2, ""), ("edit", 3, "lovely, thanks")], 1),
    "the highest is a delete": ([("edit", 1, "lovely, thanks"), ("edit", 2, "bad, worst"), ("delete", 3, "")], 0),
    "a delete without a number is final": ([("edit", 1, "lovely"), ("delete", 0, ""), ("edit", 2, "bad")], 0),
    "edits without numbers: the later": ([("edit", 0, "bad, worst"), ("edit", 0, "lovely, thanks")], 1),
    "on a tie the delete": ([("edit", 2, "bad, worst"), ("delete", 2, "")], 0),
}


@pytest.mark.parametrize("readings", [1, 3])
@pytest.mark.parametrize("case", CHANGES)
def test_the_highest_revision_wins_in_any_order(case, readings):
    changes, left = CHANGES[case]
    raws = [
        say(1, f"late again, {A}", 0.0, author="ann"),
        say(2, f"the worst {A}, rude and useless", 1.0, author="ben"),
    ]
    raws += [
        say(
            f"c{number}",
            f"{text} {A}" if text else "",
            10.0 + number,
            kind=kind,
            target="1",
            revision=revision,
            author="ann",
        )
        for number, (kind, revision, text) in enumerate(changes)
    ]
    found = {}
    orders = list(itertools.permutations(range(len(raws))))
    for order in random.Random(1).sample(orders, min(len(orders), 16)):
        flow = Pipeline(readings=readings)
        for number in order:
            flow.feed(raws[number])
        assert flow.account() == {"stored": len(raws)}, order
        found.setdefault(str(_states(flow)), order)
    assert len(found) == 1, found
    assert sum(story.size for story in flow.stories().values()) == 1 + left


def test_an_edit_changes_the_shares_and_not_the_size():
    flow = Pipeline()
    flow.feed(
        *[
            say(number, f"{A} was lovely, thanks {number}", author=f"a{number}", kind="reply", in_reply_to="1")
            for number in (1, 2, 3)
        ]
    )
    story = flow.the_story()
    assert story.shares().complaint < 0.1
    flow.feed(say("e", f"the worst: {A} lost my bag, no refund", 9.0, kind="edit", target="2", revision=1, author="a2"))
    assert flow.the_story().size == 3
    assert flow.the_story().shares().complaint > 0.15
    assert flow.the_story().brands == {"aurora-hotels": 3}
    assert round(flow.spread(story.id).voices) == 3
    flow.feed(say("e2", f"{A} was lovely, thanks", 10.0, kind="edit", target="2", revision=2, author="a2"))
    assert flow.the_story().shares().complaint < 0.1


def test_a_delete_takes_the_voice_out_and_leaves_no_words_in_the_store():
    flow = Pipeline()
    flow.feed(say(1, f"my secret name is Zanzibar, {A}", author="ann"))
    assert any(b"Zanzibar" in row.state for row in flow.story_rows().values())
    flow.feed(say(2, "", 5.0, kind="delete", target="1"))
    assert not flow.stories()
    assert not any(b"Zanzibar" in row.state or "Zanzibar" in row.headline for row in flow.story_rows().values())
    flow.restart()
    assert not flow.stories()


def test_a_change_of_a_story_merged_meanwhile_reaches_the_one_that_goes_on():
    flow = Pipeline()
    flow.feed(
        say(1, f"{A} towels missing at the pool on sunday", author="ann"),
        say(2, f"{A} breakfast was cold and the coffee stale", author="ben"),
        say(3, f"both at once, {A}", 5.0, kind="quote", in_reply_to="1", repost_of="2", author="cy"),
    )
    assert flow.the_story().size == 3
    flow.restart()
    flow.feed(say(4, "", 6.0, kind="delete", target="1"), say(5, "", 6.0, kind="delete", target="2"))
    assert flow.the_story().size == 1
    assert round(flow.spread(flow.the_story().id).voices) == 1


# -- own accounts


@pytest.fixture
def owned(tmp_path):
    path = tmp_path / "brands.yaml"
    path.write_text("brands:\n  - id: aurora\n    name: Aurora\n    own_accounts: ['@auroracares']\n")
    return Pipeline(tree=BrandTree.load(path))


def test_own_accounts_are_no_voices_and_their_answers_are_kept_apart(owned):
    owned.feed(
        say(1, "Aurora lost my bag", author="ann"),
        say(2, "so sorry, Aurora will call you", 5.0, kind="reply", in_reply_to="1", author="auroracares"),
        say(3, "Aurora wishes you a nice sunday", 6.0, author="auroracares"),
    )
    assert owned.account() == {"stored": 3}
    story = owned.the_story()
    assert (story.size, story.own_replies) == (1, 1)
    assert round(owned.spread(story.id).voices) == 1
    owned.feed(
        say(4, "", 7.0, kind="delete", target="2"), say(5, "sorry!", 7.0, kind="edit", target="3", author="auroracares")
    )
    assert owned.account() == {"stored": 5}


def test_a_furious_author_is_one_voice(owned):
    owned.feed(
        *[
            say(n, f"Aurora lost my bag, day {n}", float(n), author="ann", kind="reply", in_reply_to="0")
            for n in range(20)
        ]
    )
    story = owned.the_story()
    assert story.size == 20
    assert round(owned.spread(story.id).voices) == 1


def test_random_streams_balance():
    for seed in range(4):
        rng = random.Random(seed)
        flow = Pipeline(readings=rng.choice([1, 2, 4]), size=rng.choice([1, 7, 64]))
        raws = [_any(rng, number) for number in range(80)]
        for raw in raws:
            flow.feed(raw)
            if rng.random() < 0.02:
                flow.restart()
        assert sum(flow.account().values()) == flow.published == 80, seed
        whole = Pipeline(readings=3)
        whole.feed(*raws)
        assert whole.account() == flow.account(), seed


def _any(rng, number):
    ids = [str(rng.randrange(60)) for _ in range(3)]
    kind = rng.choice(["post", "post", "post", "reply", "repost", "edit", "delete", "junk"])
    if kind == "junk":
        return b"[1, 2"
    text = rng.choice([f"late {A}", f"bad {B} and {A}", "whatever", f"lovely {D} again"])
    more = {"kind": kind}
    if kind == "reply":
        more["in_reply_to"] = ids[1]
    elif kind == "repost":
        more["repost_of"] = ids[1]
    elif kind in {"edit", "delete"}:
        more |= {"target": ids[1], "revision": rng.randrange(4)}
    mention = f"x{ids[0]}" if kind in {"edit", "delete"} else ids[0]
    return say(mention, text, number * 5.0, author=f"a{rng.randrange(9)}", **more)


def test_the_umbrellas_of_these_tests_lie_on_different_partitions():
    assert len({partition_of(name, 3) for name in ("aurora-hotels", "blue-finch-air", "calder-rail")}) > 1
