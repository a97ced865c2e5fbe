"""What score makes of a round: which item goes where, and records that keep to their limits."""

from datetime import UTC, datetime

import msgspec
import pytest

from monitor.brand.match import Hit
from monitor.engine.batching import MAX_ITEMS, MAX_RECORD_BYTES, Batcher, Read, spread_out
from monitor.engine.records import (
    FORMAT,
    Marker,
    Tick,
    decode_batch,
    encode_batch,
    encode_item,
    id_key,
    partition_of,
    voice_hash,
)
from monitor.mention import Author, Mention
from monitor.sentiment.reading import Origin, ReadMention

AT = datetime(2026, 3, 2, tzinfo=UTC)


def read(number, *umbrellas, text="late", partition=0, **more):
    mention = Mention(id=str(number), source="blog", text=text, published_at=AT, **more)
    return Read(
        mention,
        tuple(Hit(name, (name,)) for name in umbrellas),
        own=False,
        reading=None,
        origin=Origin(partition, number, 5.0),
    )


def records(batcher):
    return {partition: [decode_batch(value) for value in values] for partition, values in batcher.flush()}


def test_a_record_holds_at_most_512_items():
    batcher = Batcher("t", 1, 1)
    for number in range(1200):
        batcher.add(read(number, "u"))
    (found,) = records(batcher).values()
    assert [len(batch.items) for batch in found] == [512, 512, 176]
    assert [item.origin.offset for batch in found for item in batch.items] == list(range(1200))
    assert records(batcher) == {}


def test_a_record_holds_at_most_512_kilobytes():
    batcher = Batcher("t", 1, 1)
    for number in range(300):
        batcher.add(read(number, "u", text="ä" * 100_000, url="https://example.org/" + "x" * 4000))
    ((_, values),) = batcher.flush()
    assert len(values) > 1
    assert max(map(len, values)) <= MAX_RECORD_BYTES + 100  # the batch's own head
    assert sum(len(decode_batch(value).items) for value in values) == 300


def test_items_of_one_mention_stay_in_one_record():
    names = [f"umbrella-{number}" for number in range(40)]
    batcher = Batcher("t", 1, 1)
    for number in range(50):
        batcher.add(read(number, *names))
    (found,) = records(batcher).values()
    places = {}
    for place, batch in enumerate(found):
        assert MAX_ITEMS - len(names) <= len(batch.items) < MAX_ITEMS + len(names) or place == len(found) - 1
        for item in batch.items:
            places.setdefault(item.origin.offset, set()).add(place)
    assert all(len(where) == 1 for where in places.values())
    assert sum(len(batch.items) for batch in found) == 50 * 40


def test_every_umbrella_goes_to_its_own_partition_and_one_item_is_counted():
    names = ["aurora", "calder", "dune", "finch"]
    items = list(spread_out(read(1, *names), 8))
    assert [(where, item.umbrella, item.counted) for where, item in items] == [
        (partition_of(name, 8), name, name == "aurora") for name in names
    ]


@pytest.mark.parametrize(
    "more",
    [{"kind": "edit", "target": "7"}, {"kind": "delete", "target": "7"}, {"in_reply_to": "7"}, {"repost_of": "7"}],
)
def test_what_only_the_owner_of_another_mention_can_place_goes_everywhere_and_counts_once(more):
    items = list(spread_out(read(1, **more), 5))
    assert [where for where, _ in items] == list(range(5))
    assert sum(item.counted for _, item in items) == 1
    assert {item.umbrella for _, item in items} == {""}


def test_a_mention_of_no_brand_leaves_no_text_behind():
    ((where, item),) = spread_out(read(1, partition=3), 2)
    assert (where, item) == (1, Marker("no_brand", Origin(3, 1, 5.0)))


def test_a_long_text_is_cut_and_what_was_observed_is_never_before_it_was_published():
    early = datetime(2026, 3, 1, tzinfo=UTC)
    ((_, item),) = spread_out(read(1, "u", text="x" * 9000, observed_at=early), 1)
    assert len(item.text) == 2000
    assert item.observed_at == item.published_at == AT.timestamp()


def test_ticks_that_follow_each_other_at_once_are_one_and_others_stay():
    batcher = Batcher("t", 2, 2)
    for at in (10.0, 11.0, 12.0, 40.0, 70.0):
        batcher.tick(0, at)
    batcher.tick(1, 71.0)
    batcher.add(read(1, "u"))
    batcher.tick(1, 72.0)
    u = partition_of("u", 2)
    found = records(batcher)
    ticks = {p: [item for item in batch.items if isinstance(item, Tick)] for p, (batch,) in found.items()}
    assert ticks[u] == [Tick(0, 12.0), Tick(0, 40.0), Tick(0, 70.0), Tick(1, 71.0), Tick(1, 72.0)]
    assert ticks[1 - u] == [Tick(0, 12.0), Tick(0, 40.0), Tick(0, 70.0), Tick(1, 72.0)], "nothing came in between there"


def test_order_within_a_partition_is_the_order_in_which_it_was_read():
    batcher = Batcher("t", 1, 1)
    batcher.add(read(1, "u"))
    batcher.add_dead(Origin(0, 2, 5.0))
    batcher.tick(0, 9.0)
    batcher.add(read(3))
    ((batch,),) = records(batcher).values()
    assert [type(item) for item in batch.items] == [ReadMention, Marker, Tick, Marker]
    assert (batch.topic_id, batch.partitions) == ("t", 1)


def test_another_format_is_refused():
    value = encode_batch("t", 1, [encode_item(Tick(0, 1.0))])
    later = msgspec.msgpack.encode([FORMAT + 1, *msgspec.msgpack.decode(value)[1:]])
    with pytest.raises(msgspec.ValidationError, match="format 2, this version reads 1"):
        decode_batch(later)


def test_names_of_any_kind_have_a_partition_and_keys():
    for name in ("", "\ud800", "\0", "é" * 1000):
        assert 0 <= partition_of(name, 7) < 7
        assert len(id_key(name, name)) == 16
        assert 0 <= voice_hash(name) < 2**64
    assert id_key("a", "bc") != id_key("ab", "c")


def test_the_partition_of_a_name_never_changes():
    """It is part of the stored data's meaning: a store written by one version is read by the next."""
    assert [partition_of(name, 8) for name in ("meridian", "aurora", "")] == [2, 1, 5]


def test_an_author_without_any_name_is_a_voice_of_its_own():
    ((_, one),) = spread_out(read(1, "u", author=Author(name="Ann")), 1)
    ((_, two),) = spread_out(read(2, "u", author=Author(name="Ann")), 1)
    assert one.voice != two.voice
