"""How long and how often a page is tried, and when it is not worth sending any more. Pure.

- After a failed try the next comes after a random time between 0 and `first_s`, doubled with each try up to `most_s`
  ("full jitter"; Brooker, "Exponential Backoff and Jitter", AWS 2015), or when the receiver asks for it.
- A page is given up, loudly, `horizon_s` after it was made.
- A refusal (a 4xx) may be a mistake in the configuration that is being mended, or a proxy in front of a receiver that
  is starting: it is final after `refused_tries` tries and not before the page is `refused_s` old.
- A send whose outcome is unknown, to a receiver that cannot tell a repeat, is repeated once.
- After `trips` failures in a row a receiver rests; then one page tries it, until one gets through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from monitor.page.outbox import Next

if TYPE_CHECKING:
    from random import Random

    from monitor.page.outbox import Standing
    from monitor.page.types import Delivery, Page

_SOONEST_S = 0.05
_DOUBLINGS = 30


class Policy(Struct, frozen=True, kw_only=True):
    """The dispatcher's numbers; times in seconds of real time."""

    first_s: float = 1.0
    most_s: float = 60.0
    horizon_s: float = 24 * 3600.0
    refused_tries: int = 5
    refused_s: float = 900.0
    trips: int = 5
    rest_s: float = 60.0
    send_timeout_s: float = 15.0
    lease_s: float = 30.0
    in_flight: int = 64
    per_channel: int = 32
    per_receiver: int = 4
    poll_s: float = 0.25
    reclaim_s: float = 2.0
    grace_s: float = 4.0

    def backoff(self, tries: int, random: Random) -> float:
        """Return the seconds until the next try after `tries` failed ones.

        >>> from random import Random
        >>> waits = [Policy().backoff(tries, Random(1)) for tries in (1, 2, 20)]
        >>> [round(wait, 1) for wait in waits]
        [0.1, 0.3, 8.1]
        """
        most = min(self.most_s, self.first_s * 2 ** min(max(tries - 1, 0), _DOUBLINGS))
        return max(_SOONEST_S, random.uniform(0.0, most))

    def after(self, page: Page, delivery: Delivery, *, exactly_once: bool, now: float, random: Random) -> Fate:
        """Return what becomes of a page after a try; `page.attempts` counts that try too."""
        outcome = delivery.outcome
        if outcome in {"accepted", "cancelled"}:
            return Fate(outcome)
        if outcome == "in_doubt" and not exactly_once and page.may_be_repeat:
            return Fate("in_doubt")
        age = now - page.created_at
        if outcome == "refused" and page.attempts >= self.refused_tries and age >= self.refused_s:
            return Fate("refused")
        wait = self.backoff(page.attempts, random)
        if delivery.retry_after is not None:
            wait = max(wait, delivery.retry_after)
        if age + wait > self.horizon_s:
            return Fate("gave_up")
        return Fate("waiting", now + wait)


class Fate(Struct, frozen=True):
    """The status that a page goes to, and when it is tried again if it waits."""

    status: Next
    next_try_at: float | None = None


def not_needed(page: Page, standing: Standing) -> str | None:
    """Say why a page needs not be sent any more, or None.

    A page about an incident that is over is late: the notice says it better. A notice that it is over means nothing
    to somebody who never heard of it. A backlog page speaks of many incidents and always goes.
    """
    if page.purpose == "backlog":
        return None
    if standing.silenced is not None and page.purpose != "notice" and page.severity != "crisis":
        return f"{standing.silenced} silenced the incident before it could be sent"
    over = standing.state in {"resolved", "dismissed"}
    late = page.facts.get("about") == "overdue" and page.purpose != "deadline" and standing.state != "open"
    if page.purpose != "notice":  # the ladder stops when somebody acknowledges, also on its way
        return f"the incident was {standing.state} before it could be sent" if over or late else None
    if page.facts.get("about") in {"resolved", "dismissed", "merged"} and not standing.told:
        return "the recipient was never told of the incident over this channel"
    return None
