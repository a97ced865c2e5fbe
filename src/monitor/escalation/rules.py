"""Rules and their evaluation: a view of a story in, a decision and a new memory out. Pure.

How a severity moves:

- A rule fires once its condition has held for `hold_s` of event time, and then stays on until its calmer condition
  `still` fails (hysteresis). The story deserves the highest severity among the rules that are on.
- It opens or rises at once when it deserves more than it stands at.
- It comes down slowly: after `LOWER_AFTER_S` of deserving less it is lowered to what it deserves (to notify if no
  rule is on), and after `CLOSE_AFTER_S` without any rule on it is closed. Any return in between starts the wait anew.
- A story that came down climbs back only with `FLARE` times the people it had then, or to a severity it never had:
  the stragglers of the next morning are no news, and the number of pages about one story stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from monitor.escalation.conditions import (
    Complaining,
    Condition,
    FarOverLine,
    GoingViral,
    Growing,
    InWave,
    Spreading,
    WaveLasts,
)
from monitor.escalation.types import Action, ConditionError, Decision, RuleMemory, Severity, StoryView, rank
from monitor.escalation.wording import evidence, figures, lasting

if TYPE_CHECKING:
    from collections.abc import Iterable

LOWER_AFTER_S = 3600.0
"""Seconds of event time that a story must deserve less before its severity comes down."""

CLOSE_AFTER_S = 3 * 3600.0
"""Seconds of event time without any rule on before it is closed."""

FLARE = 1.25
"""How many times the people it had when it came down a story must have to climb back."""


class Rule(Struct, frozen=True, kw_only=True):
    """A condition over a story or a wave that opens an incident at a severity, or raises it.

    `condition` must hold for `hold_s` seconds of event time to fire; `still` (default: `condition`) keeps it on.
    `reason` is a template over the phrases of `wording.figures`.
    """

    name: str
    severity: Severity
    kinds: tuple[Literal["story", "wave"], ...]
    condition: Condition
    reason: str
    still: Condition | None = None
    hold_s: float = 0.0


class RuleSet(Struct, frozen=True):
    """Rules in order (of one severity the first that is on gives the reason), and the version they came from."""

    rules: tuple[Rule, ...]
    version: str


def default_rules(
    *, p_viral: float = 0.3, complaint_share: float = 0.5, hold_s: float = 60.0, wave_hold_s: float = 600.0
) -> RuleSet:
    """Return the rules for a brand that wrote none.

    Args:
        p_viral: from which probability of crossing the viral line a story counts as going viral.
        complaint_share: from which share of complaints among its readable mentions a story counts as a complaint.
        hold_s: how long, in event time, a story must look so before anyone is told.
        wave_hold_s: the same for a wave, which unlike a story runs away from nobody.
    """
    complaining = Complaining(share=complaint_share)
    growing = Growing(p_viral=p_viral)
    viral = GoingViral(complaining=complaining, growing=growing)
    calmer_growth = Growing(
        p_viral=p_viral / 2, times=1.5, pace=growing.pace / 2, past=growing.pace, voices=growing.voices
    )
    calmer = GoingViral(
        complaining=Complaining(share=complaint_share * 0.7, against=0.5, least=0.12, promo=0.5),
        growing=calmer_growth,
    )
    return RuleSet(
        rules=(
            Rule(
                name="viral-crisis",
                severity="crisis",
                kinds=("story",),
                condition=FarOverLine(viral=viral),
                still=FarOverLine(viral=calmer, factor=2.0),
                hold_s=hold_s,
                reason="{people} in {lasting}, {times}; {outlook}; {complaining}{about}",
            ),
            Rule(
                name="going-viral",
                severity="page",
                kinds=("story",),
                condition=viral,
                still=calmer,
                hold_s=hold_s,
                reason="{people} in {lasting}, {times}; {outlook}; {complaining}{about}",
            ),
            Rule(
                name="complaint-wave",
                severity="page",
                kinds=("wave",),
                condition=InWave(share=complaint_share),
                still=WaveLasts(),
                hold_s=wave_hold_s,
                reason="{wave}, from {people}{about}",
            ),
            Rule(
                name="spreading-notice",
                severity="notify",
                kinds=("story",),
                condition=Spreading(complaining=complaining, growing=growing),
                still=calmer_growth,
                hold_s=hold_s,
                reason="{people} in {lasting}, {times}; {outlook}; mostly no complaint ({complaining})",
            ),
        ),
        version="default-1",
    )


def evaluate(rules: RuleSet, view: StoryView, memory: RuleMemory, now: float) -> tuple[Decision, RuleMemory]:
    """Decide what to do about a story at `now` (event time, seconds since the epoch), given what is remembered.

    Call it whenever the story has grown and on ticks (so that hold-downs end and calm is seen). The memory returned
    takes the decision as done: keep it only if the decision is.

    >>> from monitor.escalation.types import StoryView
    >>> view = StoryView(umbrella="u", story="s1", brand="b", kind="story", headline="", first_at=0, last_at=60, size=3,
    ...     voices=3, own_replies=0, complaint_share=1, negative_share=1, positive_share=0, repost_share=0,
    ...     unread_share=0, cause=None, sources=(), quotes=())
    >>> decision, memory = evaluate(default_rules(), view, RuleMemory(), 60)
    >>> decision.action, memory
    ('none', RuleMemory(since=(), severity=None, calm_since=None, fired=(), peak=None, calmed=0))
    """
    since, fired, errors = _conditions(rules.rules, view, memory, now)
    on = [rule for rule in rules.rules if rule.name in fired]
    best = max(on, key=lambda rule: rank(rule.severity), default=None)
    kept = structs.replace(memory, since=tuple(since.items()), fired=tuple(rule.name for rule in on), calm_since=None)
    standing = memory.severity

    def decided(severity: Severity, rule: str, reason: str, action: Action) -> Decision:
        return Decision(action, severity, rule, reason, evidence(view), rules.version, errors)

    nothing = Decision("none", standing or "info", "", "", (), rules.version, errors)
    if best is not None and (standing is None or rank(best.severity) > rank(standing)):
        if not _news(best.severity, view, memory):
            return nothing, kept
        reason = best.reason.format_map(figures(view))
        higher = memory.peak is None or rank(best.severity) > rank(memory.peak)
        risen = structs.replace(kept, severity=best.severity, peak=best.severity if higher else memory.peak)
        return decided(best.severity, best.name, reason, "open" if standing is None else "raise"), risen
    if standing is None or (best is not None and best.severity == standing):
        return nothing, kept

    calm_since = now if memory.calm_since is None else memory.calm_since
    calm_for = now - calm_since
    if best is None and calm_for >= CLOSE_AFTER_S:
        reason = f"calm for {lasting(calm_for)}: {_now(view, outlook=False)}"
        closed = structs.replace(kept, severity=None, calmed=view.voices)
        return decided(standing, "calm", reason, "close"), closed
    target: Severity = best.severity if best is not None else "notify"
    if rank(standing) > rank(target) and calm_for >= LOWER_AFTER_S:
        reason = f"calmer for {lasting(calm_for)}: {_now(view)}; lowered from {standing} to {target}"
        still_calm = calm_since if best is None else None
        lowered = structs.replace(kept, severity=target, calm_since=still_calm, calmed=view.voices)
        return decided(target, "calm", reason, "lower"), lowered
    return nothing, structs.replace(kept, calm_since=calm_since)


def _news(severity: Severity, view: StoryView, memory: RuleMemory) -> bool:
    """Return whether climbing to a severity is worth a page after the story came down before."""
    if memory.peak is None or not memory.calmed or view.kind == "wave" or rank(severity) > rank(memory.peak):
        return True
    return view.voices >= FLARE * memory.calmed


def _conditions(
    rules: Iterable[Rule], view: StoryView, memory: RuleMemory, now: float
) -> tuple[dict[str, float], set[str], tuple[str, ...]]:
    """Return since when each condition has held, which rules are on, and which could not be evaluated."""
    before, was_on = dict(memory.since), set(memory.fired)
    since: dict[str, float] = {}
    fired: set[str] = set()
    errors: list[str] = []
    for rule in rules:
        if view.kind not in rule.kinds:
            continue
        name = rule.name
        try:
            holds = rule.condition(view)
            keeps = holds or (name in before and rule.still is not None and rule.still(view))
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
    said = (words["times"], words["outlook"] if outlook else "", words["wave"])
    return ", ".join(phrase for phrase in said if phrase) or "quiet"
