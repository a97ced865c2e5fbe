"""Incidents: what people work on, as a log of events and a pure state machine over it.

`from_decision`, `crossing` and `merging` turn what the rules and stories say into events; `advance` applies an event
and decides who is paged; `replay` makes an incident from its log. Changes by people are the same events.
"""

from __future__ import annotations

from monitor.incident.decide import crossing, from_decision, merging
from monitor.incident.events import (
    Acknowledged,
    Answered,
    Assigned,
    Crossed,
    Dismissed,
    Event,
    Joined,
    Linked,
    Lowered,
    Merged,
    Opened,
    Overdue,
    Paged,
    Parted,
    Raised,
    Reopened,
    Resolved,
    Silenced,
    Spared,
    Unlinked,
    decode,
    encode,
)
from monitor.incident.machine import apply, replay
from monitor.incident.pages import HANDOVERS, Routes, Rung, Step, advance, pages_for
from monitor.incident.timers import Plan, Timer, next_timer, overdue
from monitor.incident.types import ACTIVE, IllegalChange, Incident, Intent, Purpose, State, TimerKind, incident_id
from monitor.incident.verbs import VERBS, Verb, Wish, event_of

__all__ = [
    "ACTIVE",
    "HANDOVERS",
    "VERBS",
    "Acknowledged",
    "Answered",
    "Assigned",
    "Crossed",
    "Dismissed",
    "Event",
    "IllegalChange",
    "Incident",
    "Intent",
    "Joined",
    "Linked",
    "Lowered",
    "Merged",
    "Opened",
    "Overdue",
    "Paged",
    "Parted",
    "Plan",
    "Purpose",
    "Raised",
    "Reopened",
    "Resolved",
    "Routes",
    "Rung",
    "Silenced",
    "Spared",
    "State",
    "Step",
    "Timer",
    "TimerKind",
    "Unlinked",
    "Verb",
    "Wish",
    "advance",
    "apply",
    "crossing",
    "decode",
    "encode",
    "event_of",
    "from_decision",
    "incident_id",
    "merging",
    "next_timer",
    "overdue",
    "pages_for",
    "replay",
]
