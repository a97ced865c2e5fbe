"""What the rules see and what they say."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from monitor.spread.types import Burn, Spread, Tide

Severity = Literal["info", "notify", "page", "crisis"]
SEVERITIES: tuple[Severity, ...] = ("info", "notify", "page", "crisis")
Kind = Literal["story", "wave", "budget", "umbrella"]
"""What a rule looks at: a story, a brand's wave of complaints, a brand's budget of one cause, a whole umbrella."""

KINDS: tuple[Kind, ...] = get_args(Kind)
Action = Literal["none", "open", "raise", "lower", "close"]


class Quote(Struct, frozen=True):
    """One real mention, shortened, to stand on a page. The text is hostile: escape it wherever it is shown."""

    text: str
    author: str
    followers: int | None
    published_at: float
    url: str | None = None


class Together(Struct, frozen=True):
    """Brands of one umbrella, none above another, that are in trouble at the same time.

    `brands`: each by its name, with the people who complain there; `same` of them complain of the one cause `cause`,
    by `authors` people. `stories` are the names of the stories and waves that make it up.
    """

    at: float
    brands: tuple[tuple[str, int], ...]
    same: int
    authors: int
    cause: str | None
    stories: tuple[str, ...]


class StoryView(Struct, frozen=True, kw_only=True):
    """A story, wave, budget or umbrella as the rules and the page see it: a value, cut off from the state behind it.

    Shares are of the mentions that could be read, 0 to 1; `unread_share` is of all. `brands_hit` is the number of
    brands, none an ancestor of another, that each hold a tenth of the story or more. For a wave, `story` is the
    wave's own name (it must stay the same while the wave lasts) and `size` counts what the wave holds.
    """

    umbrella: str
    story: str
    brand: str
    kind: Kind
    headline: str
    first_at: float
    last_at: float
    size: int
    voices: int
    own_replies: int
    complaint_share: float
    negative_share: float
    positive_share: float
    repost_share: float
    unread_share: float
    cause: str | None
    sources: tuple[tuple[str, int], ...]
    quotes: tuple[Quote, ...]
    phrases: tuple[str, ...] = ()
    authentic_share: float = 1.0
    promo_share: float = 0.0
    brands_hit: int = 1
    biggest_followers: int | None = None
    spread: Spread | None = None
    tide: Tide | None = None
    burn: Burn | None = None
    together: Together | None = None


class Decision(Struct, frozen=True):
    """What to do about a story, why, and on which evidence.

    `reason` is a sentence for a person at 3 a.m. and holds no mention's text; `evidence` has the figures behind it.
    `rules` is the version of the rule set. `errors` names the rules whose condition could not be evaluated. `route` is
    the route that the rule asks for; empty: those of the configuration.
    """

    action: Action
    severity: Severity
    rule: str
    reason: str
    evidence: tuple[tuple[str, float | str], ...] = ()
    rules: str = ""
    errors: tuple[str, ...] = ()
    route: str = ""


class RuleMemory(Struct, frozen=True):
    """What the rules remember of one story between two evaluations.

    `since`: since when each condition has held; `fired`: the rules that have held through their hold-down and have
    not gone calm since; `severity`: where the story stands (None: no incident); `calm_since`: since when it deserves
    less than that. `peak` is the highest severity it ever stood at, `calmed` the number of people when it last came
    down: a story must have grown since to climb back.
    """

    since: tuple[tuple[str, float], ...] = ()
    severity: Severity | None = None
    calm_since: float | None = None
    fired: tuple[str, ...] = ()
    peak: Severity | None = None
    calmed: int = 0


class ConditionError(ValueError):
    """A rule's condition could not be evaluated on this view: it counts as unchanged, and the other rules go on."""


def rank(severity: Severity) -> int:
    """Return where a severity stands: 0 for info, 3 for crisis.

    >>> rank("page") > rank("notify")
    True
    """
    return SEVERITIES.index(severity)
