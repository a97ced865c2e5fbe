import gzip
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.mention.decode import decode
from monitor.mention.mapping import Mapping
from monitor.mention.model import Mention
from monitor.mention.yamlfile import FileError

SHARED = Path(os.environ.get("MONITOR_SHARED", "../shared")) / "data/airline_stream/stream.jsonl.gz"
NEEDED = "fields:\n  id: id\n  source: {const: forum}\n  published_at: at\n"


def load(folder, text):
    file = folder / "map.yaml"
    file.write_text(text, encoding="utf-8")
    return Mapping.load(file)


def test_everything_a_mapping_can_do(tmp_path):
    mapping = load(
        tmp_path,
        """
fields:
  id: post.id            # a number becomes text
  source: {const: forum}
  text: {path: [full, short]}
  published_at: {path: at, time: "%a %b %d %H:%M:%S %z %Y"}
  observed_at: {path: seen, time: milliseconds}
  kind: {path: type, lower: true, values: {status: post, retweet: repost}, default: post}
  author.handle: users.0.name
  author.followers: users.0.fans
  author.created_at: {path: users.0.since, time: iso}
  engagement.likes: likes
""",
    )
    made = mapping.apply(
        {
            "post": {"id": 7},
            "short": "Late",
            "at": "Sun Mar 01 11:59:00 +0000 2026",
            "seen": 1772366400000,
            "type": "Retweet",
            "users": [{"name": "wanderer", "fans": "12", "since": "2020-01-01 10:00:00"}],
            "likes": 3.0,
            "label": "negative",
        }
    )
    assert made == {
        "id": "7",
        "source": "forum",
        "text": "Late",
        "kind": "repost",
        "published_at": "2026-03-01T11:59:00+00:00",
        "observed_at": "2026-03-01T12:00:00+00:00",
        "author": {"handle": "wanderer", "followers": 12, "created_at": "2020-01-01T10:00:00+00:00"},
        "engagement": {"likes": 3},
    }
    assert isinstance(decode(json.dumps(made).encode(), record_time=1772366400.0), Mention)


def test_what_is_absent_is_left_out_and_what_does_not_fit_is_passed_on(tmp_path):
    mapping = load(
        tmp_path, NEEDED.replace("at\n", "{path: at, time: seconds}\n") + "  kind: {path: k, default: post}\n"
    )
    assert mapping.apply({}) == {"source": "forum", "kind": "post"}
    assert mapping.apply({"at": "noon", "id": [1]})["published_at"] == "noon"
    assert mapping.apply({"at": 1e300})["published_at"] == 1e300
    assert mapping.apply({"id": [1], "k": "odd"}) == {"id": [1], "source": "forum", "kind": "odd"}


@given(st.recursive(st.none() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_object_can_make_it_raise(value):
    keys = ("id", "channel", "text", "created_at", "author", "repost_count", "brand")
    assert isinstance(Mapping.named("airline").apply(dict.fromkeys(keys, value)), dict)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("fields:\n  id: [", 2, "is no YAML"),
        ("fields:\n  id: id\n  id: x\n", 3, "is no YAML"),
        ("- id", 1, "no keys at its top level"),
        ("", 1, "no keys at its top level"),
        ("field:\n  id: id", 1, "did you mean 'fields'"),
        ("fields: id", 1, "holds no keys"),
        ("fields:\n  id: id\n", 1, "nothing gives 'source'"),
        (NEEDED + "  txt: text\n", 5, "did you mean 'text'"),
        (NEEDED + "  text: a..b\n", 5, "empty step"),
        (NEEDED + "  text:\n", 5, "needs either"),
        (NEEDED + "  text: 5\n", 5, "needs either"),
        (NEEDED + "  text: {const: x, path: y}\n", 5, "either 'path' or 'const'"),
        (NEEDED + "  text: {path: x, time: iso}\n", 5, "unknown key 'time'"),
        (NEEDED + "  observed_at: {path: x, time: epoch}\n", 5, "'time' is 'epoch'"),
        (NEEDED + "  text:\n    path: x\n    lower: maybe\n", 7, "give true or false"),
        (NEEDED + "  kind:\n    path: x\n    values: {a: 5}\n", 7, "put it in quotes"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, line, said):
    with pytest.raises(FileError, match=re.escape(f"map.yaml:{line}: ")) as refused:
        load(tmp_path, text)
    assert said in str(refused.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        Mapping.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"fields:\n  id: \xe9")
    with pytest.raises(FileError, match=r"latin.yaml:2: is not UTF-8"):
        Mapping.load(tmp_path / "latin.yaml")
    (tmp_path / "nul.yaml").write_bytes(b"fields: \0")
    with pytest.raises(FileError, match="is no YAML"):
        Mapping.load(tmp_path / "nul.yaml")


def test_named(tmp_path):
    (tmp_path / "own.yaml").write_text(NEEDED)
    assert Mapping.named(str(tmp_path / "own.yaml")).name == "own"
    with pytest.raises(FileError, match="one of: airline"):
        Mapping.named("airlines")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here (MONITOR_SHARED)")
def test_every_line_of_the_airline_stream_becomes_a_mention():
    mapping = Mapping.named("airline")
    with gzip.open(SHARED, "rb") as lines:
        read = [decode(json.dumps(mapping.apply(json.loads(line))).encode(), record_time=1.8e9) for line in lines]
    assert len(read) == 7354
    assert all(isinstance(mention, Mention) and mention.brand and mention.author.handle for mention in read)
