"""A story on one line of a table: what `monitor stories show` prints and what stands in a summary file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from rich import box
from rich.table import Table
from rich.text import Text

from monitor.mention.text import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.story.replay import Tally
    from monitor.story.story import Story

BARS = " ▁▂▃▄▅▆▇█"
WIDTH = 16
HOUR = 3600


class Summary(Struct, frozen=True, omit_defaults=True):
    """What a story came to. Times in seconds since the epoch; `shape` is mentions in equal parts of its span."""

    story: str
    umbrella: str
    brand: str
    headline: str
    size: int
    voices: int
    own_replies: int
    first_at: float
    last_at: float
    complaint: float
    negative: float
    positive: float
    causes: tuple[tuple[str, int], ...]
    phrases: tuple[str, ...]
    sources: tuple[tuple[str, int], ...]
    langs: tuple[tuple[str, int], ...]
    shape: tuple[int, ...]
    promo: float = 0.0
    authentic: float = 1.0
    returned_after_s: float | None = None


def summarise(story: Story, tally: Tally) -> Summary:
    """Return what is to be shown of a story."""
    shares = story.shares()
    return Summary(
        story.id,
        story.umbrella,
        story.brand(),
        story.headline(),
        story.size,
        len(tally.voices),
        story.own_replies,
        story.first_at,
        story.last_at,
        round(shares.complaint, 3),
        round(shares.negative, 3),
        round(shares.positive, 3),
        _ranked(story.causes),
        story.phrases(),
        _ranked(story.sources),
        _ranked(story.langs),
        shape(tally.hours),
        round(story.promo_share, 3),
        round(story.authentic_share, 3),
        story.returned_after_s,
    )


def _ranked(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])))


def shape(hours: Mapping[int, int], width: int = WIDTH) -> tuple[int, ...]:
    """Return how many mentions fell into each of at most `width` equal parts of the span.

    >>> shape({100: 1, 101: 5, 103: 2})
    (1, 5, 0, 2)
    """
    if not hours:
        return ()
    first, span = min(hours), max(hours) - min(hours) + 1
    parts = [0] * min(width, span)
    for hour, n in hours.items():
        parts[(hour - first) * len(parts) // span] += n
    return tuple(parts)


def sparkline(parts: Sequence[int]) -> str:
    """Return a bar a part.

    >>> sparkline((1, 5, 0, 2))
    '▂█ ▄'
    """
    most = max(parts, default=0)
    return "".join(BARS[-(-n * (len(BARS) - 1) // most)] if n > 0 else BARS[0] for n in parts)


def table(stories: Sequence[Summary]) -> Table:
    """Return the table of the stories, in the order given. Texts are made safe for a terminal."""
    out = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    out.add_column("brand", max_width=14, overflow="ellipsis", no_wrap=True)
    out.add_column("mentions", justify="right", no_wrap=True)
    out.add_column("voices", justify="right", no_wrap=True)
    out.add_column("complain", justify="right", no_wrap=True)
    out.add_column("from (UTC), for, how it went", no_wrap=True, min_width=WIDTH)
    out.add_column("what is said", ratio=1, min_width=24, overflow="fold")
    for story in stories:
        said = Text(safe(story.headline, 120))
        about = [", ".join(safe(phrase, 40) for phrase in story.phrases)]
        about += [f"cause {safe(name, 30)} {n}" for name, n in story.causes[:2]]
        about += [f"{story.own_replies} answers of the brand"] if story.own_replies else []
        about += ["promotion"] if story.promo >= _HALF else []
        about += [f"again, after {story.returned_after_s / 86400:.0f} days"] if story.returned_after_s else []
        said.append("\n" + " · ".join(part for part in about if part), style="dim")
        out.add_row(
            safe(story.brand, 40),
            str(story.size),
            str(story.voices),
            f"{story.complaint:.0%}",
            f"{_span(story.first_at, story.last_at)}\n{sparkline(story.shape)}",
            said,
        )
    return out


_HALF = 0.5


def _span(first: float, last: float) -> str:
    hours = (last - first) / HOUR
    return f"{datetime.fromtimestamp(first, UTC):%d %b %H:%M}, {hours:.0f} h"
