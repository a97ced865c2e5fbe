import gzip
import json
import os
from pathlib import Path

import pytest

from monitor.mention.mapping import Mapping
from monitor.source import replay
from monitor.source.replay import LineError, read_file, read_lines, time_order

SHARED = Path(os.environ.get("MONITOR_SHARED", "../shared")) / "data/airline_stream/stream.jsonl.gz"


def mention(number, at="2026-03-01T10:00:00Z"):
    return {"id": str(number), "published_at": at}


@pytest.fixture(params=["plain", "gzip"])
def write(request, tmp_path):
    def write(*lines):
        raw = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        file = tmp_path / "mentions.jsonl"
        file.write_bytes(raw if request.param == "plain" else gzip.compress(raw))
        return file

    return write


def test_lines_are_read_in_the_files_order(write):
    file = write(b"\xef\xbb\xbf" + json.dumps(mention(3)).encode(), b"", mention(1), b"  \r", mention(2))
    assert [each["id"] for each in read_file(file)] == ["3", "1", "2"]
    assert [number for number, _ in read_lines(file)] == [1, 3, 5]


def test_a_bad_line_says_where_and_stops_nothing(write):
    file = write(
        mention(1), b"{nope", b"[1]", b'{"a":"\xff"}', b'{"a":' + b"[" * 100_000, b'{"a":"\\ud800"}', mention(2)
    )
    read = list(read_file(file))
    errors = [each for each in read if isinstance(each, LineError)]
    assert [(error.line, error.reason) for error in errors] == [
        (2, "not_json"),
        (3, "wrong_type"),
        (4, "not_json"),
        (5, "not_json"),
        (6, "not_json"),
    ]
    assert errors[0].raw == b"{nope"
    assert read[-1] == mention(2)


def test_an_endless_line_is_skipped(write, monkeypatch):
    monkeypatch.setattr(replay, "MAX_LINE", 1000)
    file = write(mention(1), b"x" * 10_000, mention(2), b"y" * 5000)
    first, long, second, last = read_file(file)
    assert (first, second) == (mention(1), mention(2))
    assert (long.line, long.reason, long.raw) == (2, "too_large", b"x" * 512)
    assert (last.line, last.reason) == (4, "too_large")


@pytest.mark.parametrize("spoil", ["cut", "corrupt"])
def test_a_damaged_archive_gives_what_it_holds_and_says_so(tmp_path, spoil):
    raw = gzip.compress(b"\n".join(json.dumps(mention(n, f"x{n * 7919}")).encode() for n in range(5000)))
    middle = len(raw) // 2
    file = tmp_path / "broken.gz"
    file.write_bytes(raw[:middle] if spoil == "cut" else raw[:middle] + b"\xff" * 64 + raw[middle + 64 :])
    *good, last = read_file(file)
    assert isinstance(last, LineError)
    assert last.reason == "damaged"
    assert len(good) > 500


def test_a_missing_file_is_an_error():
    with pytest.raises(FileNotFoundError):
        list(read_file("no-such-file"))


def test_the_order_of_time(write):
    order = time_order(write(mention(1), mention(2, "2026-03-01T10:00:05Z"), mention(3, "2026-03-01T11:00:05+01:00")))
    assert (order.in_order, order.mentions, order.late, order.last_at - order.first_at) == (True, 3, 0, 5)
    order = time_order(
        write(mention(1), mention(2, "2026-03-01T09:59:00Z"), b"{", mention(3, "noon"), mention(4, None))
    )
    assert (order.in_order, order.mentions, order.late, order.latest, order.timeless) == (False, 4, 1, 60, 3)


def test_an_empty_file_is_in_order(write):
    assert time_order(write()).in_order


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here (MONITOR_SHARED)")
def test_the_airline_stream_is_in_order():
    order = time_order(SHARED, Mapping.named("airline"))
    assert (order.in_order, order.mentions, order.timeless) == (True, 7354, 0)
