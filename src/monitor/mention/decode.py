"""Bytes in, a `Mention` or the reason why not out. Nothing that comes in can make it raise.

The rules stand in `docs/mention.md`. CloudEvents 1.0, Kafka protocol binding: in binary mode the `ce_id`, `ce_source`
and `ce_time` headers fill in what the mention itself lacks; in structured mode (`content-type:
application/cloudevents+json`) the envelope does, and `data` holds the mention.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from monitor.mention.model import MAX_ID, Mention

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Reason = Literal[
    "not_json",
    "too_large",
    "wrong_type",
    "missing_field",
    "unknown_kind",
    "bad_id",
    "bad_time",
    "bad_text",
    "text_too_long",
    "field_too_long",
    "out_of_range",
    "no_text",
    "target_missing",
    "target_is_self",
    "published_in_future",
    "published_unbelievable",
    "observed_in_future",
    "record_time_unbelievable",
]

REASONS: Final[dict[Reason, str]] = {
    "not_json": "not a JSON text in UTF-8, nested too deeply, or an empty record",
    "too_large": "the record is larger than 1 MiB",
    "wrong_type": "a field, or the whole, is of another JSON type than the mention has there",
    "missing_field": "`id`, `source` or `published_at` is missing, or a CloudEvent has no data",
    "unknown_kind": "`kind` is none of the known ones",
    "bad_id": "`id` or `source` is empty or longer than 512 characters",
    "bad_time": "a time is not in RFC 3339 with a zone",
    "bad_text": "a text holds NUL or half of a surrogate pair, which no store keeps",
    "text_too_long": "`text` is longer than 100,000 characters",
    "field_too_long": "another field is longer than it may be",
    "out_of_range": "a count or the revision is negative, or does not fit 64 bits",
    "no_text": "no text and no media, and neither a repost nor a delete",
    "target_missing": "an edit or a delete does not name its `target`",
    "target_is_self": "an edit or a delete names itself as its `target`; it has an id of its own",
    "published_in_future": "`published_at` is more than 300 s after `observed_at`",
    "published_unbelievable": "`published_at` is before the year 2000",
    "observed_in_future": "`observed_at` is more than 300 s after the record's time",
    "record_time_unbelievable": "the record's own time is missing, before the year 2000 or beyond the year 9998",
}
"""Every reason why a record is dead-lettered: a closed set, fit for a metric's label."""

MAX_BYTES: Final = 1 << 20
"""Bytes that a record may have. Kafka's own default for a message is 1 MiB, and the longest text that is taken, 100,000
characters, has 400 KB in UTF-8 and 600 KB when all of it is escaped."""

LEEWAY: Final = 300.0
"""Seconds by which two clocks may disagree."""

EARLIEST: Final = 946_684_800.0
"""2000-01-01T00:00:00Z: nothing that is monitored is older."""

_LATEST: Final = 253_370_764_800.0
"""9999-01-01T00:00:00Z: what a datetime can hold in any zone."""

_FILLS: Final = {"id": "id", "source": "source", "time": "published_at"}
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_MISFITS: Final[tuple[tuple[str, Reason], ...]] = (
    ("Invalid enum value", "unknown_kind"),
    ("Object missing required field", "missing_field"),
    ("of length", "field_too_long"),
    ("RFC3339", "bad_time"),
    ("timezone component", "bad_time"),
    (">=", "out_of_range"),
    ("<=", "out_of_range"),
    ("Number out of range", "out_of_range"),
)
_BOM: Final = b"\xef\xbb\xbf"
_TEXTLESS: Final = frozenset({"repost", "delete"})
_REVISES: Final = frozenset({"edit", "delete"})


class Dead(Struct, frozen=True):
    """A record that is no mention: `reason` is one of `REASONS`, `detail` says where, quoting nothing anyone wrote."""

    reason: Reason
    detail: str = ""


class _Envelope(Struct):
    """A structured CloudEvent: what a mention can use of it."""

    id: str | None = None
    source: str | None = None
    time: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_mention = msgspec.json.Decoder(Mention)
_envelope = msgspec.json.Decoder(_Envelope)
_encoder = msgspec.json.Encoder()


def decode(raw: bytes | None, *, record_time: float, headers: Sequence[tuple[str, bytes]] = ()) -> Mention | Dead:
    r"""Read one record as a mention.

    Times come back in UTC, `observed_at` is filled in with the record's time where absent, and an optional text that
    is empty counts as absent. Unknown fields are ignored.

    Args:
        raw: the record's value; None (a tombstone) is dead-lettered.
        record_time: seconds since the epoch: the record's own time, but never later than the reader's clock, for a
            producer can write anything there.
        headers: the record's headers, for CloudEvents.

    Returns:
        The mention, or a `Dead` with the reason. Never raises, whatever the bytes.

    >>> decode(b'{"id":"1","source":"blog","published_at":"2026-01-05T10:00:00Z","text":"Hi"}', record_time=1.8e9).text
    'Hi'
    >>> decode(b'{"id":"1","source":"blog","published_at":"2026-01-05T10:00:00Z"}', record_time=1.8e9)
    Dead(reason='no_text', detail='a post needs text or media')
    """
    if not raw:
        return Dead("not_json", "the record has no value")
    raw = raw.removeprefix(_BOM)
    if len(raw) > MAX_BYTES:
        return Dead("too_large", f"{len(raw)} bytes; at most {MAX_BYTES}")
    try:
        if headers and (found := _cloud_event(raw, headers)):
            return _decode_with(*found, record_time)
        mention = _mention.decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's errors, UTF-8's, base64's and int's are ValueErrors
        return _why_not(raw, error)
    return _judge(mention, raw, record_time)


def encode(mention: Mention) -> bytes:
    """Write a mention as `decode` reads it: JSON in UTF-8, defaults left out."""
    return _encoder.encode(mention)


def to_dict(mention: Mention) -> dict[str, Any]:
    """Give a mention as plain JSON values, defaults left out; times as RFC 3339 text."""
    plain: dict[str, Any] = msgspec.to_builtins(mention)
    return plain


def _judge(mention: Mention, raw: bytes, record_time: float) -> Mention | Dead:
    """Judge what the types cannot say, and put the fields in order. `mention` is fresh: nobody else holds it yet."""
    if b'""' in raw:
        _drop_blanks(mention)
    if b"\\u0000" in raw and any("\0" in text for text in _texts(msgspec.to_builtins(mention))):
        return Dead("bad_text", "NUL in a text")
    kind = mention.kind
    if kind in _REVISES:
        if mention.target is None:
            return Dead("target_missing", f"kind {kind} needs target")
        if mention.target == mention.id:
            return Dead("target_is_self", f"kind {kind}")
    text = mention.text
    if (not text or text.isspace()) and kind not in _TEXTLESS and not mention.media:
        return Dead("no_text", f"{'an' if kind in ('edit', 'article') else 'a'} {kind} needs text or media")
    return _judge_times(mention, record_time)


def _judge_times(mention: Mention, record_time: float) -> Mention | Dead:
    """Judge whether the times are believable, and bring them to UTC."""
    if not EARLIEST <= record_time < _LATEST:
        return Dead("record_time_unbelievable", f"record time {record_time:.0f} s")
    published = mention.published_at.timestamp()
    observed = record_time if mention.observed_at is None else mention.observed_at.timestamp()
    if observed > record_time + LEEWAY:
        return Dead("observed_in_future", f"{observed - record_time:.0f} s after the record's time")
    if published > observed + LEEWAY:
        return Dead("published_in_future", f"{published - observed:.0f} s after it was observed")
    if published < EARLIEST:
        return Dead("published_unbelievable", f"{EARLIEST - published:.0f} s before the year 2000")
    if mention.published_at.tzinfo is not UTC:
        force_setattr(mention, "published_at", mention.published_at.astimezone(UTC))
    if mention.observed_at is None:
        force_setattr(mention, "observed_at", datetime.fromtimestamp(record_time, UTC))
    elif mention.observed_at.tzinfo is not UTC:
        force_setattr(mention, "observed_at", mention.observed_at.astimezone(UTC))
    return mention


def _drop_blanks(thing: Struct) -> None:
    """Set optional texts that are empty to None, in place: some sources write an empty text for nothing."""
    for name in thing.__struct_fields__:
        value = getattr(thing, name)
        if value == "" and name != "text":
            force_setattr(thing, name, None)
        elif isinstance(value, Struct):
            _drop_blanks(value)


def _texts(plain: Any) -> Iterator[str]:
    """Every text in plain JSON values, however deep."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict):
        for value in plain.values():
            yield from _texts(value)
    elif isinstance(plain, list | tuple):
        for value in plain:
            yield from _texts(value)


def _cloud_event(raw: bytes, headers: Sequence[tuple[str, bytes]]) -> tuple[bytes, dict[str, str]] | None:
    """Give the mention's bytes and what a CloudEvent around it says of it; None if there is no CloudEvent."""
    names = {name.lower(): value for name, value in headers if value is not None}
    if names.get("content-type", b"").lower().startswith(b"application/cloudevents+json"):
        event = _envelope.decode(raw)
        said = {field: value for name, field in _FILLS.items() if (value := getattr(event, name))}
        if event.data_base64 is not None:
            return base64.b64decode(event.data_base64, validate=True), said
        return bytes(event.data), said
    said = {field: value.decode() for name, field in _FILLS.items() if (value := names.get(f"ce_{name}"))}
    return (raw, said) if said else None


def _decode_with(raw: bytes, said: Mapping[str, str], record_time: float) -> Mention | Dead:
    """Read a mention that a CloudEvent stands around; `said` fills in what it lacks."""
    if not raw:
        return Dead("missing_field", "the CloudEvent has no data")
    try:
        mention = _mention.decode(raw)
    except msgspec.ValidationError:
        plain = msgspec.json.decode(raw)
        if not isinstance(plain, dict):
            raise
        lacking = {field: value for field, value in said.items() if plain.get(field) in (None, "")}
        mention = msgspec.convert({**plain, **lacking}, Mention)
        if any("\0" in value for value in lacking.values()):
            return Dead("bad_text", "NUL in a CloudEvents attribute")
    return _judge(mention, raw, record_time)


def _why_not(raw: bytes, error: Exception) -> Dead:
    """Name the reason of a failed decode, without quoting what could not be read."""
    if isinstance(error, msgspec.ValidationError):
        return _misfit(str(error))
    if isinstance(error, RecursionError):
        return Dead("not_json", "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Dead("not_json", "not UTF-8")
    if _only_surrogates(raw):
        return Dead("bad_text", "half of a surrogate pair")
    return Dead("not_json", str(error))


def _misfit(said: str) -> Dead:
    """Name the reason from msgspec's words: what it expected, and where. It quotes a value only for `kind`."""
    reason: Reason = next((reason for mark, reason in _MISFITS if mark in said), "wrong_type")
    where = found.group(1) if (found := _AT.search(said)) else ""
    if reason == "unknown_kind":
        return Dead(reason, "kind is none of the known ones")
    if reason == "field_too_long" and where in ("id", "source"):
        return Dead("bad_id", f"{where} needs 1 to {MAX_ID} characters")
    if reason == "field_too_long" and where == "text":
        return Dead("text_too_long", said)
    return Dead(reason, said)


def _only_surrogates(raw: bytes) -> bool:
    """Whether the only fault of a JSON text is half of a surrogate pair, which Python's own reader lets through."""
    if not _SURROGATE.search(raw):
        return False
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
