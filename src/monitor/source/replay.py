"""Files of mentions, replayed: JSON lines, plain or gzip (told by its first bytes), read as a stream."""

from __future__ import annotations

import gzip
import zlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from monitor.mention.decode import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from monitor.mention.mapping import Mapping

MAX_LINE: Final = 4 * MAX_BYTES
"""Bytes that a line may have: other people's objects may be larger than the mention that is made of them."""

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_SHOWN: Final = 512
_objects = msgspec.json.Decoder(dict[str, Any])


class LineError(Struct, frozen=True, kw_only=True):
    """A line that is no JSON object, by its number (from 1); `raw` is what stands there, for the dead letters.

    `reason` is `not_json`, `wrong_type`, `too_large` (then `raw` holds its beginning only) or `damaged`: the compressed
    file breaks off or is corrupt after that line, and nothing more can be read.
    """

    line: int
    reason: str
    detail: str
    raw: bytes = b""


class TimeOrder(Struct, frozen=True, kw_only=True):
    """How a file lies in time, by `published_at`; seconds since the epoch.

    `late` counts the mentions older than one before them, `latest` says by how many seconds at most; `timeless` counts
    the lines without a time that can be read.
    """

    mentions: int
    first_at: float | None
    last_at: float | None
    late: int
    latest: float
    timeless: int

    @property
    def in_order(self) -> bool:
        """Whether no mention is older than one before it."""
        return not self.late


def read_lines(path: Path | str) -> Iterator[tuple[int, bytes] | LineError]:
    """Read a file's lines with their numbers, blank ones left out, in the file's order.

    Raises:
        OSError: the file cannot be opened.
    """
    with _open(Path(path)) as file:
        number = 0
        while True:
            number += 1
            try:
                line = file.readline(MAX_LINE + 1)
                too_long = len(line) > MAX_LINE
                while too_long and not line.endswith(b"\n") and (rest := file.readline(MAX_LINE)):
                    line = line[:_SHOWN] + rest[-1:]
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                detail = f"the compressed file is damaged or cut short ({type(error).__name__})"
                yield LineError(line=number, reason="damaged", detail=detail)
                return
            if not line:
                return
            if too_long:
                detail = f"longer than {MAX_LINE} bytes"
                yield LineError(line=number, reason="too_large", detail=detail, raw=line[:_SHOWN])
            elif line := (line.removeprefix(_BOM) if number == 1 else line).strip():
                yield number, line


def read_file(path: Path | str, mapping: Mapping | None = None) -> Iterator[dict[str, Any] | LineError]:
    """Read a file's mentions as JSON objects, each through `mapping` where one is given, in the file's order.

    They are not judged: that is for `decode`, behind Kafka. A bad line gives a `LineError` and stops
    nothing.

    Raises:
        OSError: the file cannot be opened.
    """
    for read in read_lines(path):
        if isinstance(read, LineError):
            yield read
            continue
        number, line = read
        try:
            thing = _objects.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield _line_error(number, line, error)
            continue
        yield thing if mapping is None else mapping.apply(thing)


def time_order(path: Path | str, mapping: Mapping | None = None) -> TimeOrder:
    """Read a file through once and say whether it is in the order of time. Nothing is sorted.

    Raises:
        OSError: the file cannot be opened.
    """
    mentions = late = timeless = 0
    first = last = None
    latest = 0.0
    for thing in read_file(path, mapping):
        at = None if isinstance(thing, LineError) else _published(thing)
        mentions += not isinstance(thing, LineError)
        if at is None:
            timeless += 1
            continue
        if last is not None and at < last:
            late += 1
            latest = max(latest, last - at)
        first = at if first is None else min(first, at)
        last = at if last is None else max(last, at)
    return TimeOrder(mentions=mentions, first_at=first, last_at=last, late=late, latest=latest, timeless=timeless)


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    """Open a file, through gzip where it begins so."""
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
    return gzip.open(path, "rb") if compressed else path.open("rb")


def _line_error(number: int, line: bytes, error: Exception) -> LineError:
    """Say what is wrong with a line, without quoting it."""
    if isinstance(error, msgspec.ValidationError):
        return LineError(line=number, reason="wrong_type", detail="no JSON object", raw=line)
    if isinstance(error, UnicodeDecodeError):
        return LineError(line=number, reason="not_json", detail="not UTF-8", raw=line)
    if isinstance(error, RecursionError):
        return LineError(line=number, reason="not_json", detail="nested too deeply", raw=line)
    return LineError(line=number, reason="not_json", detail=str(error), raw=line)


def _published(thing: dict[str, Any]) -> float | None:
    """When a mention was published, in seconds since the epoch; None if it does not say so as RFC 3339."""
    try:
        at = msgspec.convert(thing.get("published_at"), datetime)
    except msgspec.ValidationError:
        return None
    return at.timestamp() if at.tzinfo else None
