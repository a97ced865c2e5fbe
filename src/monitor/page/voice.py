"""What channels share: who reads, which links stand on a page, and strangers' words made harmless for any markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.page.compose import Content, compose
from monitor.page.readers import Readers

if TYPE_CHECKING:
    from monitor.page.links import Linker
    from monitor.page.readers import Reader
    from monitor.page.types import Page

_MARKS = "<>`*_~|[]#\\"
_LIKE = "\u2039\u203a\u02cb\u2217\u02cd\u223c\u00a6\uff3b\uff3d\uff03\uff3c"  # the same to the eye, and no marks
_HARMLESS = {**{ord(mark): like for mark, like in zip(_MARKS, _LIKE, strict=True)}, ord("@"): "@\u200b"}


class Voice:
    """How a channel finds what to say to whom."""

    def __init__(self, readers: Readers | None = None, linker: Linker | None = None) -> None:
        self._readers = readers or Readers()
        self._linker = linker

    def reader(self, page: Page) -> Reader:
        """Return who reads the page."""
        return self._readers.of(page.recipient)

    def content(self, page: Page) -> Content:
        """Return the page as its recipient reads it, with its links."""
        reader = self.reader(page)
        return compose(page, reader, self._linker.links(page, reader) if self._linker else ())

    def chart(self, page: Page) -> str | None:
        """Return where the page's chart can be fetched from outside."""
        return self._linker.chart(page) if self._linker else None


def harmless(text: str) -> str:
    """Return a text in which no chat, mark-up language or template finds anything to act on.

    What marks something up is replaced by what looks like it, and a handle is broken behind its @. For channels whose
    markup is not known; those that are known escape instead.

    >>> any(mark in harmless("<!channel> **now** [x](http://e) @everyone") for mark in "<>*[]")
    False
    """
    return text.translate(_HARMLESS)
