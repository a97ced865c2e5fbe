"""What HTTP channels share: one try, and what its answer or its failure means."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp

from monitor.page.types import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RETRY_AFTER_S = 3600.0
"""A receiver may put us off for an hour at most."""

MAX_ANSWER = 65_536
"""Bytes of an answer that are read: what a receiver says more is of no interest."""

_AGAIN = frozenset({408, 425, 429})
_DUPLICATE = 409


class HttpClient:
    """A session that is made in the loop it is used in, follows no redirects and keeps no cookies."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(5.0, timeout_s))
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, now: float) -> Delivery:
        """Post once, and say what became of it. The answer's body is not read; no answer is `in_doubt`.

        2xx: accepted; 409: accepted (a duplicate); 408, 425, 429, 5xx: retry, after what `Retry-After` says; other
        4xx and redirects: refused; not connected: retry; sent and no (sensible) answer: in doubt.
        """
        delivery, _ = await self.exchange(url, body, headers, now=now, read=0)
        return delivery

    async def exchange(
        self, url: str, body: bytes, headers: Mapping[str, str], *, now: float, read: int = MAX_ANSWER
    ) -> tuple[Delivery, bytes]:
        """Post once as `post`, and return the first `read` bytes of the answer too."""
        try:
            async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                said = judge(answer.status, answer.headers.get("Retry-After"), now)
                return said, await _first(answer, read) if read else b""
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            return Delivery("refused", "the URL is not valid"), b""
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Delivery("retry", f"not connected: {type(error).__name__}"), b""
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            return Delivery("in_doubt", f"no answer: {type(error).__name__}"), b""
        except ValueError as error:  # a URL or an answer that its parser chokes on
            return Delivery("refused", f"cannot be sent: {type(error).__name__}"), b""

    async def probe(self, url: str, method: str = "OPTIONS") -> str | None:
        """Say what is wrong with a receiver without sending anything to it that counts, or None."""
        try:
            async with self._open().request(method, url, allow_redirects=False) as answer:
                return f"answers {answer.status}" if answer.status >= 500 else None  # noqa: PLR2004 -- server errors
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return f"cannot be reached: {type(error).__name__}"

    async def close(self) -> None:
        """Close the session's connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=0),  # the dispatcher limits each receiver
                headers={"User-Agent": "mention-monitor"},
            )
        return self._session


async def _first(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Return at most the first so many bytes of an answer."""
    got = b""
    while len(got) < most and (piece := await answer.content.read(most - len(got))):
        got += piece
    return got


def judge(status: int, retry_after: str | None, now: float) -> Delivery:
    """Return what an HTTP status means for a delivery.

    >>> judge(503, "120", 0.0)
    Delivery(outcome='retry', detail='HTTP 503', retry_after=120.0, receipt=None)
    """
    detail = f"HTTP {status}"
    if 200 <= status < 300:  # noqa: PLR2004 -- success
        return Delivery("accepted", detail)
    if status == _DUPLICATE:
        return Delivery("accepted", f"{detail}, it had it already")
    if status in _AGAIN or status >= 500:  # noqa: PLR2004 -- server errors
        return Delivery("retry", detail, retry_after=parse_retry_after(retry_after, now))
    return Delivery("refused", detail)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), an hour at most; None if it says none.

    >>> parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 10.0), parse_retry_after("7", 0.0)
    (50.0, 7.0)
    """
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    wait = (moment - datetime.fromtimestamp(now, tz=UTC)).total_seconds()
    return min(max(wait, 0.0), MAX_RETRY_AFTER_S)
