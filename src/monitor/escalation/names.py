"""The names that a rule's condition can use: what each means, its type, and where its value comes from.

Every number is a decimal number (CEL's `double`); a number in a condition may be written with or without a point.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from monitor.escalation.types import StoryView

if TYPE_CHECKING:
    from monitor.spread.types import Spread

Value = float | str | bool | None
Type = Literal["number", "text", "yes or no"]
Get = Callable[[StoryView, float, ZoneInfo], Value]


class Name(Struct, frozen=True):
    """A name with its type, its line in the documentation, and how a view gives its value (None: absent)."""

    name: str
    type: Type
    about: str
    get: Get
    whole: bool = False
    """Handed over as a whole number, which costs a fifth; conditions see a decimal number all the same."""


def crossed(spread: Spread) -> bool:
    """Return whether the story is past its viral line: the forecast says so by "no time until then"."""
    return spread.forecast.minutes_to_viral == 0.0


def _text(attribute: str) -> Get:
    get = attrgetter(attribute)
    return lambda view, _now, _zone: get(view) or ""


def _view(attribute: str) -> Get:
    get = attrgetter(attribute)
    return lambda view, _now, _zone: float(get(view) or 0.0)


def _count(attribute: str) -> Get:
    get = attrgetter(attribute)
    return lambda view, _now, _zone: int(get(view) or 0)


Part = Literal["spread", "tide", "burn", "together"]


def _of(part: Part, attribute: str, absent: float = 0.0) -> Get:
    of, get = attrgetter(part), attrgetter(attribute)

    def value(view: StoryView, _now: float, _zone: ZoneInfo) -> Value:
        held = of(view)
        if held is None:
            return None
        number = get(held)
        return absent if number is None else float(number)

    return value


def _people(attribute: str) -> Get:
    return _if("burn", attrgetter(attribute))


def _if(part: Part, say: Callable[[Any], Value]) -> Get:
    of = attrgetter(part)
    return lambda view, _now, _zone: None if of(view) is None else say(of(view))


def seen_at(view: StoryView) -> float:
    """Return the moment that a view's figures are of."""
    part = view.spread or view.tide or view.burn or view.together
    return part.at if part is not None else view.last_at


def _since(attribute: str) -> Get:
    get = attrgetter(attribute)

    def minutes(view: StoryView, _now: float, _zone: ZoneInfo) -> Value:
        return float(seen_at(view) - get(view)) / 60.0

    return minutes


def _readable(view: StoryView, _now: float, _zone: ZoneInfo) -> Value:
    return view.size * (1.0 - view.unread_share)


def _hour(_view: StoryView, now: float, zone: ZoneInfo) -> Value:
    return datetime.fromtimestamp(now, zone).hour


def _weekday(_view: StoryView, now: float, zone: ZoneInfo) -> Value:
    return datetime.fromtimestamp(now, zone).isoweekday()


def _times(observed: float, expected: float) -> float:
    return observed / expected if expected > 0 else inf if observed > 0 else 0.0


_SPREAD_TIMES = _if("spread", lambda s: _times(s.per_hour, s.expected_per_hour))
_WAVE_TIMES = _if("tide", lambda t: _times(t.observed, t.expected))

NAMES: tuple[Name, ...] = (
    Name("brand", "text", "the id of the deepest brand that holds most of the story", _text("brand")),
    Name("umbrella", "text", "the id of the root above it", _text("umbrella")),
    Name("kind", "text", "`story`, `wave`, `budget` or `umbrella`", _text("kind")),
    Name("cause", "text", "the most common cause of its complaints; empty if none is known", _text("cause")),
    Name("complaint_share", "number", "of the mentions that could be read, 0 to 1", _view("complaint_share")),
    Name("negative_share", "number", "the same, of negative ones", _view("negative_share")),
    Name("positive_share", "number", "the same, of positive ones", _view("positive_share")),
    Name("promo_share", "number", "share in the language of giveaways and campaigns", _view("promo_share")),
    Name("unread_share", "number", "of all mentions, those that could not be read", _view("unread_share")),
    Name("authentic_share", "number", "share of mentions that look authentic", _view("authentic_share")),
    Name("hour", "number", "hour of the day in the rule's time zone, 0 to 23", _hour, whole=True),
    Name("weekday", "number", "1 (Monday) to 7, in the rule's time zone", _weekday, whole=True),
    Name("story.authors", "number", "distinct people", _count("voices"), whole=True),
    Name("story.mentions", "number", "mentions", _count("size"), whole=True),
    Name("story.readable", "number", "mentions that could be read", _readable),
    Name("story.reach", "number", "followers of the distinct people", _of("spread", "reach")),
    Name(
        "story.biggest_followers",
        "number",
        "followers of its biggest account; 0 where unknown",
        _count("biggest_followers"),
        whole=True,
    ),
    Name("story.age_minutes", "number", "minutes since its first mention", _since("first_at")),
    Name("story.quiet_minutes", "number", "minutes since its last mention", _since("last_at")),
    Name("story.reposts", "number", "share of reposts", _view("repost_share")),
    Name("story.own_replies", "number", "answers by the brand's own accounts", _count("own_replies"), whole=True),
    Name(
        "story.brands",
        "number",
        "brands, none above another, with a tenth of it or more each",
        _count("brands_hit"),
        whole=True,
    ),
    Name("spread.p_viral", "number", "probability of crossing the viral line", _of("spread", "forecast.p_viral")),
    Name(
        "spread.minutes_to_viral",
        "number",
        "median minutes until then; 0 once it is crossed, infinite if it never is",
        _of("spread", "forecast.minutes_to_viral", inf),
    ),
    Name(
        "spread.crossed",
        "yes or no",
        "the story is past its viral line, without what is usual of it",
        _if("spread", crossed),
    ),
    Name(
        "spread.authors",
        "number",
        "distinct people, as the forecast counts them",
        _if("spread", attrgetter("voices")),
        whole=True,
    ),
    Name("spread.per_hour", "number", "mentions an hour now", _of("spread", "per_hour")),
    Name("spread.expected_per_hour", "number", "mentions an hour usually", _of("spread", "expected_per_hour")),
    Name(
        "spread.usual",
        "number",
        "of its people, those that it would have brought anyhow: they do not count for the line",
        _of("spread", "usual"),
    ),
    Name("spread.times", "number", "how many times the usual; infinite where nothing is usual", _SPREAD_TIMES),
    Name("spread.r", "number", "reproduction number: over 1 it grows", _of("spread", "reproduction")),
    Name("spread.line", "number", "the viral line in people; infinite where there is none", _of("spread", "line.size")),
    Name("spread.line_reach", "number", "the same in followers", _of("spread", "line.reach", inf)),
    Name("spread.q10", "number", "the final size, lower end (10 %)", _of("spread", "forecast.q10")),
    Name("spread.q50", "number", "the final size, median", _of("spread", "forecast.q50")),
    Name("spread.q90", "number", "the final size, upper end (90 %)", _of("spread", "forecast.q90")),
    Name("wave.on", "yes or no", "the brand is in a wave", _if("tide", lambda t: t.wave_since is not None)),
    Name("wave.confident", "yes or no", "the baseline is known well enough", _if("tide", lambda t: t.confident)),
    Name("wave.authors", "number", "people who complain in the window", _if("tide", attrgetter("voices")), whole=True),
    Name("wave.observed", "number", "complaints in the window", _of("tide", "observed")),
    Name("wave.expected", "number", "complaints that are usual in it", _of("tide", "expected")),
    Name("wave.high", "number", "complaints that are still usual at most", _of("tide", "high")),
    Name("wave.times", "number", "how many times the usual; infinite where nothing is usual", _WAVE_TIMES),
    Name("wave.score", "number", "how far above the usual, in standard deviations", _of("tide", "score")),
    Name("budget.confident", "yes or no", "it is configured, or a week was seen", _if("burn", lambda b: b.confident)),
    Name("budget.allowed", "number", "people who may complain of the cause in four weeks", _of("burn", "allowed")),
    Name("budget.spent", "number", "people who did in the last four weeks", _of("burn", "spent")),
    Name("budget.burn_5m", "number", "how many times too fast it is spent, in 5 minutes", _of("burn", "burn_5m")),
    Name("budget.burn_30m", "number", "the same, in half an hour", _of("burn", "burn_30m")),
    Name("budget.burn_1h", "number", "the same, in an hour", _of("burn", "burn_1h")),
    Name("budget.burn_6h", "number", "the same, in 6 hours", _of("burn", "burn_6h")),
    Name("budget.burn_3d", "number", "the same, in 3 days", _of("burn", "burn_3d")),
    Name("budget.people_1h", "number", "people who complain of it, in an hour", _people("people_1h"), whole=True),
    Name("budget.people_6h", "number", "the same, in 6 hours", _people("people_6h"), whole=True),
    Name("budget.people_3d", "number", "the same, in 3 days", _people("people_3d"), whole=True),
    Name(
        "together.brands",
        "number",
        "brands, none above another, with a wave or a story that stands at page or crisis",
        _if("together", lambda t: len(t.brands)),
        whole=True,
    ),
    Name(
        "together.same",
        "number",
        "those of them that share the one cause",
        _if("together", lambda t: t.same),
        whole=True,
    ),
    Name(
        "together.authors",
        "number",
        "people who complain of it there",
        _if("together", lambda t: t.authors),
        whole=True,
    ),
)

BY_NAME: dict[str, Name] = {one.name: one for one in NAMES}
GROUPS = frozenset(name.partition(".")[0] for name in BY_NAME if "." in name)


def table() -> str:
    """Return the names as a Markdown table, for docs/escalation.md.

    >>> table().splitlines()[2]
    '| `brand` | text | the id of the deepest brand that holds most of the story |'
    """
    rows = [f"| `{one.name}` | {one.type} | {one.about} |" for one in NAMES]
    return "\n".join(["| name | type | what it is |", "| --- | --- | --- |", *rows])
