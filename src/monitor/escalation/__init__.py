"""Rules over stories: a view of a story and what is remembered of it in, a decision with its reason and evidence out.

Pure: no I/O, no wall clock. `evaluate` runs a `RuleSet` (see `default_rules`) and returns a `Decision` and the new
`RuleMemory`; a condition is one callable over a `StoryView`.
"""

from __future__ import annotations

from monitor.escalation.rules import CLOSE_AFTER_S, LOWER_AFTER_S, Rule, RuleSet, default_rules, evaluate
from monitor.escalation.types import (
    SEVERITIES,
    Action,
    ConditionError,
    Decision,
    Quote,
    RuleMemory,
    Severity,
    StoryView,
    rank,
)

__all__ = [
    "CLOSE_AFTER_S",
    "LOWER_AFTER_S",
    "SEVERITIES",
    "Action",
    "ConditionError",
    "Decision",
    "Quote",
    "Rule",
    "RuleMemory",
    "RuleSet",
    "Severity",
    "StoryView",
    "default_rules",
    "evaluate",
    "rank",
]
