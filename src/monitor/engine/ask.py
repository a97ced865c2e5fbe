"""Asking the rules about a view: the live ones, and the shadows beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from monitor.engine.changes import Act, ShadowAct
from monitor.escalation.rules import evaluate
from monitor.escalation.types import Decision, RuleMemory

if TYPE_CHECKING:
    from monitor.engine.changes import Changes
    from monitor.engine.state import UmbrellaState
    from monitor.escalation.rules import RuleSet
    from monitor.escalation.types import StoryView


class Ask:
    """One set of rules, asked on behalf of one umbrella; what is decided goes into the batch's changes."""

    def __init__(self, state: UmbrellaState, rules: RuleSet) -> None:
        self._state = state
        self.rules = rules

    def live(self, view: StoryView, memory: RuleMemory, changes: Changes) -> tuple[Decision, RuleMemory]:
        """Return what the live rules decide, and what they remember then."""
        decision, after = evaluate(self.rules, view, memory, self._state.clock)
        changes.rule_errors.update(decision.errors)
        return self._unless_silent(decision, after, memory)

    def shadows(
        self, view: StoryView, memories: dict[str, RuleMemory], changes: Changes, *, watch_only: bool
    ) -> dict[str, RuleMemory]:
        """Record what each shadow rule would have done; returns what they remember."""
        kept: dict[str, RuleMemory] = {}
        state = self._state
        for rule in self.rules.scope(view.kind, view.brand, view.umbrella).shadows:
            before = memories.get(rule.name, RuleMemory())
            decision, memory = evaluate(self.rules, view, before, state.clock, shadow=rule.name)
            changes.rule_errors.update(decision.errors)
            decision, memory = self._unless_silent(decision, memory, before)
            if watch_only:
                memory = undecided(memory, before)
            elif decision.action != "none" and not state.hushed:
                changes.shadows.append(ShadowAct(state.clock, state.name, view.brand, view.story, rule.name, decision))
            if memory != RuleMemory():
                kept[rule.name] = memory
        return kept

    def _unless_silent(self, decision: Decision, after: RuleMemory, before: RuleMemory) -> tuple[Decision, RuleMemory]:
        """Let nothing come down or close for want of input: the wait for calm begins anew when something is heard."""
        if before.severity is None or not self._state.pulse.doubtful:
            return decision, after
        if decision.action in {"lower", "close"}:
            decision = Decision("none", before.severity, "", "", (), decision.rules, decision.errors)
            after = msgspec.structs.replace(after, severity=before.severity, calmed=before.calmed)
        return decision, msgspec.structs.replace(after, calm_since=None)

    def conclude(self, view: StoryView, decision: Decision, since: float | None, changes: Changes) -> None:
        """Hand a decision over, unless it is only to be remembered."""
        state = self._state
        if decision.action != "none" and not state.hushed:
            above = state.above(view) if decision.action == "open" else None
            changes.events.append(Act(state.clock, view, decision, since, parent=above))


def undecided(new: RuleMemory, old: RuleMemory) -> RuleMemory:
    """Return what is remembered when nothing may be decided: hold-downs run on, the severity stays."""
    return msgspec.structs.replace(new, severity=old.severity, calm_since=old.calm_since)
