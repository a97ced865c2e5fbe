"""Reading a micro-batch ahead: what each mention says by itself, before any of them is placed.

Placing is one mention after the other, and each goes through a lot of code. The part that hangs on nothing but the
mention is done for all of a batch first, step by step: a step that is repeated finds its code and tables at hand, and
takes a third to a half of the time. What is found is remembered for as many mentions as a batch holds, under the text
and the embedding themselves: a mention that was not read ahead is placed no differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.story.duplicates import signature
from monitor.story.likelihood import unit
from monitor.story.promo import promo_kind
from monitor.story.types import StorySettings
from monitor.story.words import take_apart

if TYPE_CHECKING:
    from collections.abc import Iterable

AHEAD = 512
"""So many mentions are read ahead at once, as many as a record of readings holds; what was found is remembered for so
many at least."""
_MIN_WORDS = StorySettings().min_words


def read_ahead(said: Iterable[tuple[str, bytes | None]]) -> None:
    """Take the texts and embeddings (float16 bytes, or None) of mentions that will be placed next apart.

    At most `AHEAD` at a time are worth it. Nothing changes but the time that placing takes.
    """
    texts: list[str] = []
    vectors: list[bytes] = []
    for text, vector in said:
        texts.append(text)
        if vector:
            vectors.append(vector)
    for apart in [take_apart(text) for text in texts]:
        if len(apart.content) >= _MIN_WORDS:
            signature(apart.words)
    for text in texts:
        promo_kind(text)
    for vector in vectors:
        unit(vector)
