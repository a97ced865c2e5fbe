"""Pages on a terminal: written to a stream as the person on call would read them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TextIO

from monitor.page.render import render
from monitor.page.types import Delivery
from monitor.page.voice import Voice

if TYPE_CHECKING:
    from monitor.page.types import Page


class TerminalNotifier:
    """Writes each page to a text stream, with an empty line after it. A terminal cannot tell a repeat."""

    name = "terminal"
    exactly_once = False

    def __init__(self, stream: TextIO | None = None, voice: Voice | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._lock = asyncio.Lock()
        self._voice = voice or Voice()

    async def send(self, page: Page) -> Delivery:
        """Write the page; what the stream's encoding lacks becomes a question mark."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        text = (render(page, reader=self._voice.reader(page)) + "\n\n").encode(encoding, "replace").decode(encoding)
        async with self._lock:
            try:
                await asyncio.to_thread(self._write, text)
            except (OSError, ValueError) as error:  # closed, or the reader has gone
                return Delivery("retry", f"terminal: {type(error).__name__}")
        return Delivery("accepted", "written")

    async def check(self) -> str | None:
        """Say whether the stream is closed."""
        return "the terminal's stream is closed" if self._stream.closed else None

    async def close(self) -> None:
        """Leave the stream to its owner."""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
