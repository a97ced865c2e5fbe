"""Rules and their evaluation: a view of a story in, a decision and a new memory out. Pure.

How a severity moves:

- A rule fires once its condition has held for `hold_s` of event time, and then stays on until its calmer condition
  `still` fails (hysteresis). The story deserves the highest severity among the rules that are on.
- It opens or rises at once when it deserves more than it stands at.
- It comes down slowly: after `LOWER_AFTER_S` of deserving less it is lowered to what it deserves (to notify if no
  rule is on), and after `CLOSE_AFTER_S` without any rule on it is closed. Any return in between starts the wait anew.
- A story that came down climbs back only with `FLARE` times the people it had then, or to a severity it never had:
  the stragglers of the next morning are no news, and the number of pages about one story stays small.
- While a rule that lowers is on, the story deserves its severity at most, at once; while one that closes is on, it
  deserves nothing, and is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from monitor.escalation.language import Condition, Sight
from monitor.escalation.types import (
    KINDS,
    Action,
    ConditionError,
    Decision,
    Kind,
    RuleMemory,
    Severity,
    StoryView,
    rank,
)
from monitor.escalation.wording import evidence, figures, lasting

if TYPE_CHECKING:
    from collections.abc import Iterable

LOWER_AFTER_S = 3600.0
"""Seconds of event time that a story must deserve less before its severity comes down."""

CLOSE_AFTER_S = 3 * 3600.0
"""Seconds of event time without any rule on before it is closed."""

FLARE = 1.25
"""How many times the people it had when it came down a story must have to climb back."""


class Check(Protocol):
    """Whether a rule's condition holds for a view. Raises `ConditionError` where it cannot be said."""

    def __call__(self, sight: Sight, /) -> bool:
        """Return whether it holds."""
        ...


class Schedule(Struct, frozen=True, kw_only=True):
    """When a rule counts: on these days (1 is Monday), between two times of the day; past midnight if `end` is earlier.

    A night belongs to the day on which it begins. Times are wall time in `zone`, minutes since midnight.

    >>> night = Schedule(days=frozenset({5}), start=22 * 60, end=6 * 60, zone="Europe/Berlin")
    >>> from datetime import datetime
    >>> [night.open(datetime(2026, 1, day, 4, 0, tzinfo=UTC).timestamp()) for day in (2, 3)]  # a Friday, a Saturday
    [False, True]
    """

    days: frozenset[int] = frozenset(range(1, 8))
    start: int = 0
    end: int = 24 * 60
    zone: str = "UTC"

    def open(self, now: float) -> bool:
        """Return whether it counts at `now` (seconds since the epoch)."""
        local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return local.isoweekday() in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return local.isoweekday() in self.days
        return minute < self.end and (local - timedelta(days=1)).isoweekday() in self.days


class Rule(Struct, frozen=True, kw_only=True):
    """A condition over a story or a wave that opens an incident at a severity, or raises it; or lowers or closes it.

    `condition` must hold for `hold_s` seconds of event time to fire; `still` (default: `condition`) keeps it on.
    `reason` is a template over the phrases of `wording.figures`. `action` `lower` caps the story at `severity`, `close`
    ends it. `route` names the route that its incidents take. Outside of `schedule` it does not hold.
    """

    name: str
    severity: Severity
    kinds: tuple[Kind, ...]
    condition: Check
    reason: str
    still: Check | None = None
    hold_s: float = 0.0
    action: Literal["open", "lower", "close"] = "open"
    route: str = ""
    schedule: Schedule | None = None
    shadow: bool = False

    def conditions(self) -> list[Condition]:
        """Return its compiled conditions."""
        return [one for one in (self.condition, self.still) if isinstance(one, Condition)]


class Layer(Struct, frozen=True, kw_only=True):
    """What one entry of a rule file says of the rule `name`: the fields that it gives; `off` takes the rule away."""

    name: str
    fields: Mapping[str, Any]
    off: bool = False
    shadow: bool = False


class Scope(Struct, frozen=True, eq=False):
    """The rules that count for one brand and kind, and the sight that shows them a view."""

    rules: tuple[Rule, ...]
    shadows: tuple[Rule, ...]
    sight: Sight


class RuleSet:
    """Rules in order (of one severity the first that is on gives the reason), and the version they came from.

    Args:
        rules: for every brand.
        version: named by each decision.
        shadows: rules that are only recorded, for every brand.
        layers: by brand, what counts for it and for all below it, over what is above.
        ancestors: by brand, the ids above it, the root last: needed where `layers` has brands that are no root.
    """

    def __init__(
        self,
        rules: tuple[Rule, ...],
        version: str,
        *,
        shadows: tuple[Rule, ...] = (),
        layers: Mapping[str, tuple[Layer, ...]] | None = None,
        ancestors: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.rules = rules
        self.version = version
        self.shadows = shadows
        self._layers = dict(layers or {})
        self._ancestors = dict(ancestors or {})
        self._scopes: dict[tuple[Kind, tuple[str, ...]], Scope] = {}

    @property
    def everything(self) -> list[Rule]:
        """Every rule of every brand, shadows too: for checks and lists."""
        found = [*self.rules, *self.shadows]
        for brand in self._layers:
            for kind in KINDS:
                scope = self.scope(kind, brand, "")
                found += [rule for rule in (*scope.rules, *scope.shadows) if rule not in found]
        return found

    def umbrella_of(self, brand: str) -> str:
        """Return the root above a brand that the rules were read with; a brand that they do not know is its own."""
        return (brand, *self._ancestors.get(brand, ()))[-1]

    def scope(self, kind: Kind, brand: str, umbrella: str) -> Scope:
        """Return what counts for a brand; brands of which the file says nothing share one."""
        chain: tuple[str, ...] = ()
        if self._layers:
            above = self._ancestors.get(brand)
            line = (brand, *above) if above is not None else (brand, umbrella) if umbrella != brand else (brand,)
            chain = tuple(one for one in reversed(line) if one in self._layers)
        scope = self._scopes.get((kind, chain))
        if scope is None:
            scope = self._scopes[kind, chain] = self._resolve(kind, chain)
        return scope

    def _resolve(self, kind: Kind, chain: tuple[str, ...]) -> Scope:
        live = {rule.name: rule for rule in self.rules}
        shadows = {rule.name: rule for rule in self.shadows}
        for brand in chain:
            for layer in self._layers[brand]:
                target = shadows if layer.shadow else live
                if layer.off:
                    target.pop(layer.name, None)
                else:
                    base = target.get(layer.name) or live.get(layer.name)
                    made = overlaid(base, layer)
                    if layer.name in target:
                        target[layer.name] = made
                    elif target is live:
                        live = {layer.name: made, **live}  # what is nearer to the brand comes first
                    else:
                        shadows[layer.name] = made
        rules = tuple(rule for rule in live.values() if kind in rule.kinds)
        shadowed = tuple(rule for rule in shadows.values() if kind in rule.kinds)
        return Scope(rules, shadowed, Sight([one for rule in (*rules, *shadowed) for one in rule.conditions()]))


def overlaid(base: Rule | None, layer: Layer) -> Rule:
    """Return the rule that a layer makes of the one above it, or makes anew."""
    fields = {**layer.fields, "shadow": layer.shadow}
    return structs.replace(base, **fields) if base is not None else Rule(name=layer.name, **fields)


@lru_cache(maxsize=1)
def default_rules() -> RuleSet:
    """Return the rules for a brand that wrote none: `default.yaml`, read once."""
    from monitor.escalation.rulefile import shipped  # noqa: PLC0415 -- it makes what is defined here

    return shipped()


def evaluate(  # noqa: C901, PLR0911 -- one way out per thing that can be decided
    rules: RuleSet, view: StoryView, memory: RuleMemory, now: float, *, shadow: str | None = None
) -> tuple[Decision, RuleMemory]:
    """Decide what to do about a story at `now` (event time, seconds since the epoch), given what is remembered.

    Call it whenever the story has grown and on ticks (so that hold-downs end and calm is seen). The memory returned
    takes the decision as done: keep it only if the decision is. `shadow`: by the shadow rule of this
    name alone, with a memory of its own.

    >>> from monitor.escalation.types import StoryView
    >>> view = StoryView(umbrella="u", story="s1", brand="b", kind="story", headline="", first_at=0, last_at=60, size=3,
    ...     voices=3, own_replies=0, complaint_share=1, negative_share=1, positive_share=0, repost_share=0,
    ...     unread_share=0, cause=None, sources=(), quotes=())
    >>> decision, memory = evaluate(default_rules(), view, RuleMemory(), 60)
    >>> decision.action, memory
    ('none', RuleMemory(since=(), severity=None, calm_since=None, fired=(), peak=None, calmed=0))
    """
    scope = rules.scope(view.kind, view.brand, view.umbrella)
    counted = scope.rules if shadow is None else tuple(rule for rule in scope.shadows if rule.name == shadow)
    since, fired, errors = _conditions(counted, scope.sight.show(view, now), memory, now)
    on = [rule for rule in counted if rule.name in fired] if fired else []
    best = _highest(on)
    if not since and memory == _BLANK:
        return Decision("none", "info", "", "", (), rules.version, errors), memory
    kept = structs.replace(memory, since=tuple(since.items()), fired=tuple(rule.name for rule in on), calm_since=None)
    standing = memory.severity

    def decided(severity: Severity, rule: str, reason: str, action: Action, route: str = "") -> Decision:
        return Decision(action, severity, rule, reason, evidence(view), rules.version, errors, route)

    nothing = Decision("none", standing or "info", "", "", (), rules.version, errors)
    closing = next((rule for rule in on if rule.action == "close"), None) if on else None
    if closing is not None:
        if standing is None:
            return nothing, kept
        reason = closing.reason.format_map(figures(view))
        return decided(standing, closing.name, reason, "close"), structs.replace(
            kept, severity=None, calmed=view.voices
        )
    deserved: Severity | None = best.severity if best is not None else None
    lowering = [rule for rule in on if rule.action == "lower"]
    capping = min(lowering, key=lambda rule: rank(rule.severity)) if lowering else None
    if capping is not None:
        if deserved is not None and rank(deserved) > rank(capping.severity):
            deserved = capping.severity
        if standing is not None and rank(standing) > rank(capping.severity):
            reason = capping.reason.format_map(figures(view))
            lowered = structs.replace(kept, severity=capping.severity, calmed=view.voices)
            return decided(capping.severity, capping.name, reason, "lower"), lowered
    if best is not None and deserved is not None and (standing is None or rank(deserved) > rank(standing)):
        if not _news(deserved, view, memory):
            return nothing, kept
        reason = best.reason.format_map(figures(view))
        higher = memory.peak is None or rank(deserved) > rank(memory.peak)
        risen = structs.replace(kept, severity=deserved, peak=deserved if higher else memory.peak)
        return decided(deserved, best.name, reason, "open" if standing is None else "raise", best.route), risen
    if standing is None or deserved == standing:
        return nothing, kept

    calm_since = now if memory.calm_since is None else memory.calm_since
    calm_for = now - calm_since
    if best is None and calm_for >= CLOSE_AFTER_S:
        reason = f"calm for {lasting(calm_for)}: {_now(view, outlook=False)}"
        closed = structs.replace(kept, severity=None, calmed=view.voices)
        return decided(standing, "calm", reason, "close"), closed
    target: Severity = deserved or "notify"
    if rank(standing) > rank(target) and calm_for >= LOWER_AFTER_S:
        reason = f"calmer for {lasting(calm_for)}: {_now(view)}; lowered from {standing} to {target}"
        still_calm = calm_since if best is None else None
        lowered = structs.replace(kept, severity=target, calm_since=still_calm, calmed=view.voices)
        return decided(target, "calm", reason, "lower"), lowered
    return nothing, structs.replace(kept, calm_since=calm_since)


_BLANK = RuleMemory()


def _highest(on: list[Rule]) -> Rule | None:
    """Return the first of the rules with the highest severity that open incidents."""
    best: Rule | None = None
    for rule in on:
        if rule.action == "open" and (best is None or rank(rule.severity) > rank(best.severity)):
            best = rule
    return best


def _news(severity: Severity, view: StoryView, memory: RuleMemory) -> bool:
    """Return whether climbing to a severity is worth a page after the story came down before."""
    if memory.peak is None or not memory.calmed or view.kind != "story" or rank(severity) > rank(memory.peak):
        return True
    return view.voices >= FLARE * memory.calmed


def _conditions(
    rules: Iterable[Rule], sight: Sight, memory: RuleMemory, now: float
) -> tuple[dict[str, float], set[str], tuple[str, ...]]:
    """Return since when each condition has held, which rules are on, and which could not be evaluated."""
    before, was_on = dict(memory.since), set(memory.fired)
    since: dict[str, float] = {}
    fired: set[str] = set()
    errors: list[str] = []
    for rule in rules:
        name = rule.name
        if rule.schedule is not None and not rule.schedule.open(now):
            continue
        try:
            holds = rule.condition(sight)
            keeps = holds or (name in before and rule.still is not None and rule.still(sight))
        except ConditionError:
            errors.append(name)
            holds, keeps = False, name in before
        if not keeps:
            continue
        since[name] = before.get(name, now)
        if name in was_on or (holds and now - since[name] >= rule.hold_s):
            fired.add(name)
    return since, fired, tuple(errors)


def _now(view: StoryView, *, outlook: bool = True) -> str:
    """Say how a story stands that is calming down; of one that is over no outlook."""
    words = figures(view)
    said = (words["times"], words["outlook"] if outlook else "", words["wave"], words["budget"])
    return ", ".join(phrase for phrase in said if phrase) or "quiet"
