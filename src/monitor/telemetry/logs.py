"""The log: one structured line per event on standard error; JSON for machines, aligned text for people.

Nothing that a person wrote and nothing that names a person goes into the log. Callers don't put it there; should one
do so all the same, the key is dropped here, and the line says which (`dropped`).
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

PERSONAL = frozenset(
    {
        *("text", "body", "headline", "quote", "quotes", "phrase", "phrases", "title", "facts", "payload"),
        *("handle", "name", "author", "author_id", "author_name", "display_name", "user", "username", "voice"),
        *("email", "phone", "recipient", "owner", "mention", "url", "secret", "password", "token"),
    }
)
"""Keys that never go out."""

LONGEST = 500
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PARAMETERS = re.compile(r"\[(?:parameters|SQL): .*", re.DOTALL)
_QUIET = ("aiokafka", "faust", "mode", "sqlalchemy", "alembic", "aiohttp", "asyncio", "urllib3")

Format = Literal["auto", "json", "console"]


def configure_logs(format: Format = "auto", level: str = "info", stream: TextIO | None = None) -> None:  # noqa: A002 -- the setting's name
    """Set up structlog, and the standard library's logging in the same form, for the whole process.

    `auto` is `console` on a terminal and `json` elsewhere. Third parties are heard from warnings on.
    """
    stream = stream if stream is not None else sys.stderr
    people = format == "console" or (format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        drop_personal,
        make_safe,
        _order,
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        if people
        else [structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False)]
    )
    numeric = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=lambda *names: _NamedLogger(stream, *names),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    for library in _QUIET:
        logging.getLogger(library).setLevel(max(numeric, logging.WARNING))


class _NamedLogger(structlog.WriteLogger):
    """Writes to a stream, and knows whose logger it is."""

    def __init__(self, stream: TextIO, name: str = "") -> None:
        super().__init__(stream)
        self.name = name


def _add_name(logger: Any, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    name = record.name if record is not None else getattr(logger, "name", "")
    if name:
        event["logger"] = name
    return event


def _order(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Put first what a reader looks for first."""
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return {**first, **{key: value for key, value in event.items() if key not in first}}


def drop_personal(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Drop what names a person or quotes one.

    >>> drop_personal(None, "info", {"event": "seen", "handle": "@ana", "size": 3})
    {'event': 'seen', 'size': 3, 'dropped': ['handle']}
    """
    found = sorted(PERSONAL.intersection(event))
    for key in found:
        del event[key]
    if found:
        event["dropped"] = found
    return event


def make_safe(_logger: Any, _method: str, event: EventDict) -> EventDict:
    r"""Cut long values, take what could steer a terminal out of them, and a statement's parameters out of errors.

    >>> make_safe(None, "info", {"event": "x", "detail": "a\x1b[31m\u202eb"})
    {'event': 'x', 'detail': 'a?[31m?b'}
    """
    for key, value in event.items():
        if isinstance(value, str):
            longest = LONGEST if key != "exception" else 20 * LONGEST
            clean = _UNSAFE.sub("?", _PARAMETERS.sub("[statement left out]", value))
            event[key] = clean if len(clean) <= longest else f"{clean[:longest]}..."
    return event
