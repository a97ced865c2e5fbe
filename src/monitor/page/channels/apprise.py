"""Pages to anything that Apprise knows (over a hundred services), one of its URLs per channel, as harmless plain text.

Apprise says only whether a notification went out. What failed is read from what it logs: a refused connection or an
answer with a number is known, anything else is a doubt.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from monitor.page.compose import plain
from monitor.page.types import Delivery
from monitor.page.voice import Voice, harmless

if TYPE_CHECKING:
    from monitor.page.types import Page

MAX_TEXT = 1_500
_ANSWERED = re.compile(r"error=(\d{3})\b|HTTP(?: status)?[ :=]+(\d{3})\b")
_NOT_CONNECTED = re.compile(
    r"Connection refused|Failed to establish a new connection|Name or service not known|NameResolutionError"
    r"|ConnectTimeout|getaddrinfo|No route to host",
    re.IGNORECASE,
)
_sending: ContextVar[object] = ContextVar("sending", default=None)
_logger = logging.getLogger("apprise")
_AGAIN = frozenset({408, 425, 429})


class AppriseNotifier:
    """Notifies one Apprise URL. What is behind it cannot tell a repeat, as far as anybody knows."""

    exactly_once = False

    def __init__(self, url: str, *, name: str = "apprise", limit: int = MAX_TEXT, voice: Voice | None = None) -> None:
        self.name = name
        self._limit = limit
        self._voice = voice or Voice()
        self._lock = asyncio.Lock()
        self._service = _service(url)

    async def send(self, page: Page) -> Delivery:
        """Notify once."""
        content = self._voice.content(page)
        title = harmless(content.headline)
        rest = plain(content, self._limit)[len(content.headline) :].strip()
        links = "\n".join(f"{link.label}: {link.url}" for link in content.links)
        body = harmless(rest.removesuffix(links)) + links if links and rest.endswith(links) else harmless(rest)
        async with self._lock:  # what is logged meanwhile is this send's
            return await asyncio.to_thread(self._notify, title, body or title)

    async def check(self) -> str | None:
        """Say nothing: asking would notify."""
        return None

    async def close(self) -> None:
        """Nothing is held open."""

    def _notify(self, title: str, body: str) -> Delivery:
        import apprise  # noqa: PLC0415 -- an extra

        log = io.StringIO()
        handler, this = logging.StreamHandler(log), object()
        _sending.set(this)  # Apprise takes the context along into its own threads
        handler.addFilter(lambda _: _sending.get() is this)  # other channels log beside this one
        _logger.addHandler(handler)
        try:
            sent = self._service.notify(
                title=title, body=body, body_format=apprise.NotifyFormat.TEXT, interpret_escapes=False
            )
        finally:
            _logger.removeHandler(handler)
        return Delivery("accepted", "Apprise sent it") if sent else judge(log.getvalue())


def judge(log: str) -> Delivery:
    """Return what a failure means, by what Apprise logged about it.

    >>> judge("Failed to send JSON notification: Service Unavailable., error=503.").outcome
    'retry'
    >>> judge("Socket Exception: ('Connection aborted.', RemoteDisconnected())").outcome
    'in_doubt'
    """
    found = _ANSWERED.search(log)
    if found:
        status = int(found[1] or found[2])
        known = status in _AGAIN or status >= 500  # noqa: PLR2004 -- server errors
        return Delivery("retry" if known else "refused", f"HTTP {status}")
    if _NOT_CONNECTED.search(log):
        return Delivery("retry", "not connected")
    return Delivery("in_doubt", "Apprise could not say whether it arrived")


def _service(url: str) -> Any:
    import apprise  # noqa: PLC0415 -- an extra: named when it is missing

    _logger.setLevel(logging.DEBUG)
    _logger.propagate = False  # it is read here, and names addresses
    service = apprise.Apprise()
    if not service.add(url):
        raise ValueError("Apprise does not know this URL: see its list of services")
    return service
