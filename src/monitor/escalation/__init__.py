"""Rules over stories: a view of a story and what is remembered of it in, a decision with its reason and evidence out.

Pure but for reading files: no wall clock. `load_rules` reads a `RuleSet` (`default_rules` are the shipped ones);
`evaluate` runs it over a `StoryView` and returns a `Decision` and the new `RuleMemory`. Conditions are CEL over typed
names (`names`, `language`); `ruletest` runs tests of rules.
"""

from __future__ import annotations

from monitor.escalation.rulefile import RuleFileError, load_rules
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
    "RuleFileError",
    "RuleMemory",
    "RuleSet",
    "Severity",
    "StoryView",
    "default_rules",
    "evaluate",
    "load_rules",
    "rank",
]
