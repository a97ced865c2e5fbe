"""One transaction per batch: all of it or nothing, once, and only by who owns the partition."""

import pytest
from msgspec import structs
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from monitor.clock import VirtualClock
from monitor.engine.changes import Act, Changes, Crossing, LooseRow, Merge, SeenRow, StoryRow, TideRow
from monitor.engine.records import id_key
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.store import Account, LostPartitionError, PartitionState, WatchStore, read_account
from monitor.store.tables import (
    account,
    incident,
    incident_event,
    loose,
    metadata,
    outbox,
    partition_state,
    seen,
    story,
)
from tests.support.pipeline import on_call

STATE = PartitionState("readings", 0, "cluster", "topic-1", 4, 10)
OPEN = Decision("open", "page", "going-viral", "many in an hour")


@pytest.fixture
def watch(store):
    found = WatchStore(store, on_call("ana"), VirtualClock(5000.0))
    found.begin(STATE)
    return found


def key(name):
    return id_key("blog", name)


def stored(name, at=100.0, umbrella="u", **more):
    return SeenRow(key(name), umbrella, "stored", at, **more)


def batch(**more):
    """One of everything."""
    changes = Changes(0, marks=b"marks", clock=100.0)
    changes.account["stored"] = 2
    changes.seen = {(row.key, row.umbrella): row for row in (stored("1", story="s1", share=b"x"), stored("2"))}
    changes.loose = {key("3"): LooseRow(key("3"), "tombstone", key("9"), 100.0)}
    changes.stories = {("u", "s1"): story_row("s1")}
    changes.tides = {("u", "b"): TideRow("u", "b", b"tide")}
    changes.events = [Act(100.0, example_view(umbrella="u", story="s1"), OPEN)]
    return structs.replace(changes, **more)


def story_row(name, **more):
    plain = StoryRow(
        "u", name, "b", "story", "headline", 3, 3, 50.0, 100.0, None, closed=False, merged_into=None, state=b"s"
    )
    return structs.replace(plain, **more)


def commit(watch, state, changes, after):
    return watch._store.transact(lambda connection: watch.commit(connection, state, changes, after))


def everything(store):
    with store.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in metadata.sorted_tables
        }


def total(store, table):
    with store.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def accounts(store):
    with store.engine.connect() as connection:
        return read_account(connection)


def test_a_batch_writes_everything_and_moves_the_offset(store, watch):
    assert commit(watch, STATE, batch(), 11) is True
    state = watch.state("readings", 0)
    assert (state.next_offset, state.marks, state.clock, state.behind) == (11, b"marks", 100.0, False)
    for table, rows in (
        (seen, 2),
        (loose, 1),
        (story, 1),
        (incident, 1),
        (incident_event, 2),
        (outbox, 1),
        (account, 1),
    ):
        assert total(store, table) == rows, table.name
    known, loose_keys = watch.known([key("1"), key("3"), key("4")])
    assert known == {key("1"): [stored("1", story="s1", share=b"x")]}
    assert loose_keys == {key("3")}
    assert watch.load(0) == ([story_row("s1")], [TideRow("u", "b", b"tide")])
    assert watch.load(1) == ([], [])


def test_after_an_unknown_commit_the_same_batch_changes_nothing(store, watch):
    commit(watch, STATE, batch(), 11)
    before = everything(store)
    assert commit(watch, STATE, batch(), 11) is False
    assert everything(store) == before


def test_who_lost_the_partition_writes_nothing(store, watch):
    commit(watch, STATE, batch(), 11)
    commit(watch, structs.replace(STATE, next_offset=11), Changes(0, marks=b"m2"), 12)
    before = everything(store)
    with pytest.raises(LostPartitionError, match="stands at 12 in the store, this worker is at 10"):
        commit(watch, STATE, batch(), 11)
    with pytest.raises(LostPartitionError):
        commit(watch, structs.replace(STATE, next_offset=5), batch(), 6)
    assert everything(store) == before


def test_an_offset_of_a_topic_made_anew_is_no_offset_of_this_one(store, watch):
    before = everything(store)
    with pytest.raises(LostPartitionError):
        commit(watch, structs.replace(STATE, topic_id="topic-2"), batch(), 11)
    with pytest.raises(LostPartitionError):
        commit(watch, structs.replace(STATE, partition=3), batch(), 11)
    assert everything(store) == before


def test_a_batch_is_written_whole_or_not_at_all(store, watch):
    """The last thing that is written fails: nothing of all that came before stays."""
    before = everything(store)

    def work(connection):
        watch.commit(connection, STATE, batch(), 11)
        connection.execute(
            insert(partition_state).values(connection.execute(select(partition_state)).mappings().first())
        )

    with pytest.raises(IntegrityError):
        store.transact(work)
    assert everything(store) == before
    assert commit(watch, STATE, batch(), 11) is True


def test_begin_never_overwrites(store, watch):
    commit(watch, STATE, batch(), 11)
    watch.begin(structs.replace(STATE, next_offset=0))
    assert watch.state("readings", 0).next_offset == 11
    assert watch.state("readings", 1) is None


def test_reset_moves_the_offset_and_keeps_stories_and_ids(store, watch):
    commit(watch, STATE, batch(), 11)
    watch.reset("readings", state=structs.replace(STATE, topic_id="topic-2", next_offset=0))
    state = watch.state("readings", 0)
    assert (state.topic_id, state.next_offset) == ("topic-2", 0)
    assert total(store, seen) == 2
    assert watch.load(0)[0]


def test_later_rows_replace_earlier_ones_and_counts_add_up(store, watch):
    commit(watch, STATE, batch(), 11)
    again = batch(events=[])
    again.seen = {(key("1"), "u"): stored("1", story="s2", revision=4)}
    again.stories = {("u", "s1"): story_row("s1", size=9, state=b"s9")}
    commit(watch, structs.replace(STATE, next_offset=11), again, 12)
    assert watch.known([key("1")])[0] == {key("1"): [stored("1", story="s2", revision=4)]}
    assert watch.load(0)[0] == [story_row("s1", size=9, state=b"s9")]
    assert accounts(store) == Account(stored=4, orphan=1)


def test_closed_stories_are_not_loaded_and_merged_ones_only_as_names(store, watch):
    changes = batch()
    changes.stories |= {("u", name): story_row(name) for name in ("s2", "s3")}
    changes.stories["u", "s4"] = story_row("s4", closed=True, merged_into="s1", state=b"")
    changes.closed = [("u", "s3")]
    commit(watch, STATE, changes, 11)
    assert sorted((row.story, row.merged_into) for row in watch.load(0)[0]) == [
        ("s1", None),
        ("s2", None),
        ("s4", "s1"),
    ]


def test_more_keys_than_a_statement_takes(store, watch):
    changes = Changes(0)
    names = [str(number) for number in range(1700)]
    changes.seen = {(key(name), "u"): stored(name) for name in names}
    changes.loose = {key(name): LooseRow(key(name), "reference", key(name), 1.0) for name in names[:1200]}
    commit(watch, STATE, changes, 11)
    known, loose_keys = watch.known([key(name) for name in names])
    assert (len(known), len(loose_keys)) == (1700, 1200)
    assert watch.known([]) == ({}, set())


# -- incidents with the batch


def test_a_merge_takes_the_incident_along_and_a_crossing_is_noted(store, watch):
    changes = batch()
    changes.events += [
        Merge(110.0, "u", "s1", "s2"),
        Crossing(120.0, "u", "s2", 130, 120.0),
        Crossing(120.0, "u", "none", 1, 1.0),
    ]
    commit(watch, STATE, changes, 11)
    with store.engine.connect() as connection:
        (row,) = connection.execute(select(incident)).all()
        kinds = connection.scalars(select(incident_event.c.kind).order_by(incident_event.c.version)).all()
    assert row.story == "s2"
    assert kinds == ["opened", "paged", "merged", "crossed"]


def test_the_same_decision_again_opens_no_second_incident(store, watch):
    commit(watch, STATE, batch(), 11)
    commit(watch, structs.replace(STATE, next_offset=11), batch(), 12)
    assert (total(store, incident), total(store, outbox)) == (1, 1)


# -- forgetting


def _purge(watch, state, before):
    commit(watch, state, Changes(state.partition, purge_before=before), state.next_offset + 1)
    return structs.replace(state, next_offset=state.next_offset + 1)


def test_forgetting_ids_never_changes_the_account(store, watch):
    """Targets and what refers to them go at different times, over several partitions."""
    other = structs.replace(STATE, partition=1, next_offset=0)
    watch.begin(other)
    mine, theirs = Changes(0), Changes(1)
    mine.account["stored"] = theirs.account["stored"] = 2
    for at in (10.0, 90.0):
        mine.seen[key(f"a{at}"), "u"] = stored(f"a{at}", at)
        theirs.seen[key(f"b{at}"), "v"] = stored(f"b{at}", at, "v")
    for name, kind, refers, at in (
        ("old delete of an old one", "tombstone", "a10.0", 11.0),
        ("late delete of an old one", "tombstone", "a10.0", 95.0),
        ("early delete of a late one", "tombstone", "a90.0", 9.0),
        ("late delete of another partition's", "tombstone", "b10.0", 95.0),
        ("old delete of nothing", "tombstone", "none", 9.0),
        ("late delete of nothing", "tombstone", "none", 95.0),
        ("reply found here", "reference", "reply found here", 12.0),
        ("reply found there", "reference", "reply found there", 12.0),
        ("reply to nothing", "reference", "reply to nothing", 12.0),
        ("late reply to nothing", "reference", "late reply to nothing", 95.0),
    ):
        mine.loose[key(name)] = LooseRow(key(name), kind, key(refers), at)
    mine.seen[key("reply found here"), "u"] = stored("reply found here", 12.0)
    theirs.seen[key("reply found there"), "v"] = stored("reply found there", 12.0, "v")
    mine.seen[key("none"), "?0"] = SeenRow(key("none"), "?0", "awaited", 9.0)
    commit(watch, STATE, mine, 11)
    commit(watch, other, theirs, 1)
    want = Account(stored=4 + 4 + 2, orphan=2, no_brand=2)
    assert accounts(store) == want
    state, other = structs.replace(STATE, next_offset=11), structs.replace(other, next_offset=1)
    other = _purge(watch, other, 50.0)
    assert accounts(store) == want
    for before in (9.5, 10.5, 11.5, 50.0, 92.0, 200.0):
        state = _purge(watch, state, before)
        assert accounts(store) == want, before
        other = _purge(watch, other, before)
        assert accounts(store) == want, before
    assert (total(store, loose), total(store, seen)) == (0, 0)


def test_what_is_settled_still_counts_its_repeats(store, watch):
    changes = Changes(0)
    changes.seen = {(key("1"), "u"): stored("1", 10.0)}
    changes.loose = {key("d"): LooseRow(key("d"), "tombstone", key("1"), 95.0)}
    commit(watch, STATE, changes, 11)
    _purge(watch, structs.replace(STATE, next_offset=11), 50.0)
    assert watch.known([key("d")])[1] == {key("d")}


def test_one_partition_forgets_nothing_of_another(store, watch):
    other = structs.replace(STATE, partition=1, next_offset=0)
    watch.begin(other)
    theirs = Changes(1)
    theirs.seen = {(key("1"), "v"): stored("1", 10.0, "v")}
    theirs.loose = {key("2"): LooseRow(key("2"), "tombstone", key("none"), 10.0)}
    commit(watch, other, theirs, 1)
    _purge(watch, STATE, 50.0)
    assert (total(store, loose), total(store, seen)) == (1, 1)


def test_names_of_merged_stories_are_forgotten_with_the_ids(store, watch):
    changes = batch(events=[])
    changes.stories["u", "s4"] = story_row("s4", closed=True, merged_into="s1", state=b"", last_at=40.0)
    commit(watch, STATE, changes, 11)
    _purge(watch, structs.replace(STATE, next_offset=11), 50.0)
    assert [row.story for row in watch.load(0)[0]] == ["s1"]
