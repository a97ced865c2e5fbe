"""Trace context: the `traceparent` of a mention's Kafka record, which goes on to the page that it leads to.

Trace Context, W3C Recommendation of 23 November 2021, https://www.w3.org/TR/trace-context/, section 3.2. It is handed
on as it came: what is added in between are spans that link to it (`monitor.telemetry.spans`), not a new parent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER = "traceparent"
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?", re.DOTALL)


def traceparent_of(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """Return the trace context among a record's headers, or None if there is none or it is no such thing.

    A later version's is read as version 00's, as the recommendation asks.

    >>> traceparent_of([("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    >>> traceparent_of([("traceparent", b"00-00000000000000000000000000000000-00f067aa0ba902b7-01")]) is None
    True
    """
    for name, value in headers:
        if name == HEADER:
            found = _FORM.fullmatch(value or b"")
            if found is None or (found[1] == b"00" and found[3] is not None):
                return None
            return "00" + found[2].decode()
    return None


def trace_id(traceparent: str) -> str:
    """Return the part that names the whole trace.

    >>> trace_id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    return traceparent[3:35]
