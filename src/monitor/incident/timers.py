"""When an incident's next timer runs out: to acknowledge it, to answer the customer, to resolve it. Pure.

Timers run at page and crisis only, from the first page of a cycle (or from a raise, which begins the ladder anew):

- while it is open, the ladder: `waits[step]` seconds after one step without an acknowledgement comes the next;
- once it is acknowledged, `answer` seconds after the first page its owner is told that the customer still waits, and
  `again` seconds later the next level too;
- likewise `resolve`, while it is acknowledged or answered.

Who has just taken it is given `again` seconds before a deadline that is over already counts.
"""

from __future__ import annotations

from msgspec import Struct

from monitor.escalation.types import rank
from monitor.escalation.wording import lasting
from monitor.incident.events import Overdue
from monitor.incident.types import Incident, TimerKind

ROUNDS = 2
"""How often a deadline to answer or to resolve is told: to the owner, then to the next level as well."""


class Plan(Struct, frozen=True, kw_only=True):
    """When people are told again; seconds. Without any of it nothing is timed."""

    waits: tuple[float, ...] = ()
    answer: float | None = None
    resolve: float | None = None
    again: float = 600.0


class Timer(Struct, frozen=True, order=True):
    """A timer that will run out at `due`."""

    due: float
    kind: TimerKind
    round: int


def next_timer(incident: Incident, plan: Plan) -> Timer | None:
    """Return the timer that runs out first as the incident stands, or None.

    >>> from monitor.incident import Intent, Opened, Paged, apply
    >>> one = apply(None, Opened(at=0, by="rule:r", incident="i", umbrella="u", brand="u", story="s", kind="story",
    ...     headline="", severity="page", rule="r"))
    >>> rung = apply(one, Paged(at=0, by="routes", pages=(Intent("i", 1, "first", 0, 0, "ana", "sms"),)))
    >>> next_timer(rung, Plan(waits=(600.0,)))
    Timer(due=600.0, kind='acknowledge', round=1)
    """
    rung = incident.rung_at
    if rung is None or not incident.active or rank(incident.severity) < rank("page"):
        return None
    if incident.state == "open":
        if incident.step >= len(plan.waits):
            return None
        last = max([at for timer, _, at in incident.overdue if timer == "acknowledge"], default=rung)
        return Timer(max(rung, last) + plan.waits[incident.step], "acknowledge", _fired(incident, "acknowledge") + 1)
    timers: list[Timer] = []
    taken = incident.acknowledged_at if incident.acknowledged_at is not None else rung
    if incident.state == "acknowledged" and plan.answer is not None:
        timers += _deadline(incident, "answer", rung + plan.answer, taken, plan.again)
    if plan.resolve is not None:
        since = incident.answered_at if incident.answered_at is not None else taken
        timers += _deadline(incident, "resolve", rung + plan.resolve, since, plan.again)
    return min(timers, default=None)


def overdue(incident: Incident, timer: Timer, at: float) -> Overdue:
    """Return the event of a timer that has run out."""
    waited = {
        "acknowledge": "nobody has acknowledged it",
        "answer": "the customer still waits for an answer",
        "resolve": "it is still not resolved",
    }[timer.kind]
    since = incident.rung_at if incident.rung_at is not None else at
    return Overdue(at=at, by="timer", why=f"{waited} after {lasting(at - since)}", timer=timer.kind, round=timer.round)


def _deadline(incident: Incident, kind: TimerKind, due: float, taken: float, again: float) -> list[Timer]:
    fired = [at for timer, _, at in incident.overdue if timer == kind]
    if len(fired) >= ROUNDS:
        return []
    at = fired[-1] + again if fired else max(due, taken + again)
    return [Timer(at, kind, len(fired) + 1)]


def _fired(incident: Incident, kind: TimerKind) -> int:
    return sum(timer == kind for timer, _, _ in incident.overdue)
