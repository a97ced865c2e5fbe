import json
import re
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from monitor.mention.decode import EARLIEST, MAX_BYTES, REASONS, Dead, Reason, decode, encode, to_dict
from monitor.mention.model import MAX_COUNT, MAX_TEXT, Author, Mention
from monitor.mention.schema import mention_schema

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
GOOD = {"id": "m1", "source": "blog", "published_at": "2026-03-01T11:59:00Z", "text": "The queue took two hours"}
ANY = st.text(st.characters(exclude_categories=()), max_size=12)


def read(headers=(), at=NOW, **changes):
    plain = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return decode(json.dumps(plain).encode(), record_time=at, headers=headers)


def test_reasons_are_a_closed_set():
    assert set(REASONS) == set(get_args(Reason))


def test_a_mention_comes_in():
    mention = read(author={"handle": "wanderer", "followers": 10**18}, surprise={"deep": [1, 2]})
    assert mention == Mention(
        id="m1",
        source="blog",
        published_at=datetime(2026, 3, 1, 11, 59, tzinfo=UTC),
        text="The queue took two hours",
        author=Author(handle="wanderer", followers=10**18),
        observed_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": ...}, "missing_field"),
        ({"source": ...}, "missing_field"),
        ({"published_at": ...}, "missing_field"),
        ({"text": ...}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": " \n\u3000"}, "no_text"),
        ({"kind": "edit", "target": "m0", "text": ""}, "no_text"),
        ({"text": 7}, "wrong_type"),
        ({"text": None}, "wrong_type"),
        ({"id": 7}, "wrong_type"),
        ({"author": "wanderer"}, "wrong_type"),
        ({"media": "picture"}, "wrong_type"),
        ({"revision": 1.5}, "wrong_type"),
        ({"kind": "rant"}, "unknown_kind"),
        ({"kind": "Object missing required field"}, "unknown_kind"),
        ({"id": ""}, "bad_id"),
        ({"id": "x" * 513}, "bad_id"),
        ({"source": ""}, "bad_id"),
        ({"published_at": "yesterday"}, "bad_time"),
        ({"published_at": "2026-03-01T11:59:00"}, "bad_time"),
        ({"published_at": "2026-02-30T11:59:00Z"}, "bad_time"),
        ({"text": "nul\0"}, "bad_text"),
        ({"author": {"name": "a\0b"}}, "bad_text"),
        ({"media": ["a\0"]}, "bad_text"),
        ({"text": "half \ud83d"}, "bad_text"),
        ({"text": "half \ude00 other"}, "bad_text"),
        ({"text": "x" * (MAX_TEXT + 1)}, "text_too_long"),
        ({"url": "x" * 5000}, "field_too_long"),
        ({"media": ["x"] * 65}, "field_too_long"),
        ({"in_reply_to": "x" * 513}, "field_too_long"),
        ({"author": {"followers": -1}}, "out_of_range"),
        ({"author": {"followers": MAX_COUNT + 1}}, "out_of_range"),
        ({"revision": 10**40}, "out_of_range"),
        ({"kind": "delete"}, "target_missing"),
        ({"kind": "edit", "target": ""}, "target_missing"),
        ({"kind": "delete", "target": "m1"}, "target_is_self"),
        ({"published_at": "2026-03-01T12:05:01Z"}, "published_in_future"),
        ({"published_at": "9999-12-31T23:59:59-14:00"}, "published_in_future"),
        ({"published_at": "1999-12-31T23:59:59Z"}, "published_unbelievable"),
        ({"published_at": "0001-01-01T00:00:00+14:00"}, "published_unbelievable"),
        ({"observed_at": "2026-03-01T12:05:01Z"}, "observed_in_future"),
        ({"observed_at": "2026-03-01T11:00:00Z"}, "published_in_future"),
    ],
)
def test_what_is_dead_and_why(changes, reason):
    dead = read(**changes)
    assert isinstance(dead, Dead)
    assert dead.reason == reason
    assert dead.detail
    assert len(dead.detail) < 120


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "not_json"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b'{"id":"\xff"}', "not_json"),
        (b'{"id":"\xed\xa0\x80"}', "not_json"),
        (b'{"x":' + b"[" * 100_000, "not_json"),
        (b'{"x":"\\ud800', "not_json"),
        (b"\xef\xbb\xbf" * 10_000, "not_json"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"{}", "missing_field"),
        (b" " * (MAX_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_mention_at_all(raw, reason):
    dead = decode(raw, record_time=NOW)
    assert isinstance(dead, Dead)
    assert dead.reason == reason


def test_ten_megabytes_of_text_are_too_large():
    assert read(text="x" * 10_000_000).reason == "too_large"


@pytest.mark.parametrize("at", [-1.0, -0.001, 0.0, float("nan"), float("inf"), 9.2e15])
def test_a_record_without_a_believable_time(at):
    assert read(at=at).reason == "record_time_unbelievable"


def test_no_detail_quotes_what_was_written():
    written = "Zwölfender"
    for changes in ({"kind": written}, {"published_at": written}, {"revision": written}, {"author": written}):
        assert written not in read(**changes).detail


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "repost", "text": ..., "repost_of": "m0"},
        {"kind": "repost", "text": ""},
        {"kind": "delete", "text": ..., "target": "m0"},
        {"text": "", "media": ["https://example.org/queue.jpg"]},
        {"text": "x" * MAX_TEXT},
        {"text": "literally \\u0000"},
        {"published_at": "2026-03-01T12:04:59Z"},
        {"published_at": "2000-01-01T00:00:00Z"},
        {"id": "x" * 512},
    ],
)
def test_what_lives(changes):
    assert isinstance(read(**changes), Mention)


def test_times_come_back_in_utc():
    mention = read(published_at="2026-03-01T13:59:00+02:00", observed_at="2026-03-01T13:59:30+02:00")
    assert mention.published_at == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
    assert mention.published_at.tzinfo is UTC
    assert mention.observed_at.tzinfo is UTC


def test_empty_optional_texts_are_absent():
    mention = read(in_reply_to="", brand="", author={"id": "", "handle": "wanderer"})
    assert (mention.in_reply_to, mention.brand, mention.author.id) == (None, None, None)
    assert mention.author.handle == "wanderer"


BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"e1"), ("ce_source", b"/shop"), ("ce_time", b"2026-03-01T11:00:00Z")]
STRUCTURED = [("Content-Type", b"application/cloudevents+json; charset=UTF-8")]


def test_binary_cloud_event_fills_in_what_is_missing():
    mention = read(BINARY, id=..., source="", published_at=None)
    assert (mention.id, mention.source, mention.published_at.hour) == ("e1", "/shop", 11)


def test_binary_cloud_event_overrules_nothing():
    assert read(BINARY) == read()


def structured(**envelope):
    event = {"specversion": "1.0", "type": "mention", "id": "e1", "source": "/shop", "time": "2026-03-01T11:00:00Z"}
    return decode(json.dumps({**event, **envelope}).encode(), record_time=NOW, headers=STRUCTURED)


def test_structured_cloud_event():
    assert structured(data=GOOD) == read()
    mention = structured(data={"text": "The queue"})
    assert (mention.id, mention.source, mention.published_at.hour) == ("e1", "/shop", 11)
    assert structured(data_base64="eyJ0ZXh0IjoiSGkifQ==").text == "Hi"


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({}, "missing_field"),
        ({"data": "text"}, "wrong_type"),
        ({"data": None}, "wrong_type"),
        ({"data_base64": "%"}, "not_json"),
        ({"data_base64": "e"}, "not_json"),
        ({"data_base64": "é"}, "not_json"),
        ({"id": 5, "data": GOOD}, "wrong_type"),
        ({"id": "nul\0", "data": {"text": "x"}}, "bad_text"),
        ({"time": "noon", "data": {"text": "x"}}, "bad_time"),
        ({"data": {**GOOD, "text": "half \ud800"}}, "bad_text"),
    ],
)
def test_bad_structured_cloud_events(envelope, reason):
    assert structured(**envelope).reason == reason


def test_a_header_that_is_no_text_is_dead():
    assert read([("ce_id", b"\xff")]).reason == "not_json"
    assert isinstance(read([("ce_id", None), ("trace", b"\xff")]), Mention)


HEADERS = st.lists(
    st.tuples(st.sampled_from(["ce_id", "ce_source", "ce_time", "content-type", "x"]), st.binary(max_size=8)),
    max_size=3,
)
FIELDS = st.sampled_from([*Mention.__struct_fields__, "surprise"])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY | st.sampled_from([*GOOD.values(), "edit", "delete"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=6,
)


RAW = st.binary(max_size=200) | PLAIN.map(lambda plain: json.dumps(plain).encode())


@given(RAW, HEADERS, st.floats())
@example(b"{}", [("content-type", b"application/cloudevents+json")], NOW)
def test_any_bytes_give_a_mention_or_a_reason(raw, headers, at):
    assert isinstance(decode(raw, record_time=at, headers=headers), Mention | Dead)


@given(st.dictionaries(FIELDS, PLAIN, max_size=5), st.sampled_from([(), BINARY, STRUCTURED]))
@example({"media": [""]}, ())
def test_what_lives_is_sound_and_goes_round(changes, headers):
    mention = decode(json.dumps({**GOOD, **changes}).encode(), record_time=NOW, headers=headers)
    if isinstance(mention, Mention):
        raw = encode(mention)
        assert b"\\u0000" not in raw or b"\\\\u0000" in raw
        assert decode(raw, record_time=NOW) == mention
        assert json.loads(raw) == json.loads(json.dumps(to_dict(mention)))  # JSON knows no tuples
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(mention), type=Mention) == mention
        assert EARLIEST <= mention.published_at.timestamp() <= NOW + 600


JUDGED_BY_DECODE_ALONE = {
    "published_in_future",
    "published_unbelievable",
    "observed_in_future",
    "bad_text",
    "bad_time",
    "target_is_self",
}


@given(st.dictionaries(FIELDS, PLAIN, max_size=4))
@example({"kind": "delete", "text": ""})
@example({"kind": "edit", "target": ""})
@example({"text": "", "media": []})
@example({"revision": 2**63})
def test_the_schema_and_decode_agree(changes):
    plain = {**GOOD, **changes}
    read_as = decode(json.dumps(plain).encode(), record_time=NOW)
    if isinstance(read_as, Dead) and read_as.reason in JUDGED_BY_DECODE_ALONE | {"not_json"}:
        return
    if any(isinstance(plain.get(name), str) and re.search("[\ud800-\udfff]", plain[name]) for name in plain):
        return
    if any(isinstance(value, float) for value in plain.values()):
        return  # 1.0 is an integer to JSON Schema
    assert Draft202012Validator(mention_schema()).is_valid(plain) == isinstance(read_as, Mention), read_as
