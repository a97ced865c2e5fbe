"""The facts of a page: plain JSON, put together once, from which every channel and every reader's version is rendered.

Every text that came from outside is made printable here (no control characters, no ANSI, no marks that reorder), so
that no channel can forget it; what a channel's own markup needs escaped is its renderer's work. Numbers are finite or
null; times are UTC in ISO 8601.

Top level: version, about, severity, brand, umbrella, kind, headline, reason, how_sure, cause, owner, deadline,
decided_at, first_at, last_at, own_replies, sources, quotes (role, text, author, followers, published_at, url), mood,
numbers, forecast, wave, budget, together, related, incident. What is not known is null or an empty list.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from monitor.escalation.names import crossed
from monitor.escalation.wording import count, percent
from monitor.mention.text import safe
from monitor.page.types import Page
from monitor.spread.burn import CONFIGURED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.escalation.types import Decision, Quote, StoryView
    from monitor.incident.types import Incident, Intent

About = Literal["opened", "raised", "reopened", "resolved", "dismissed", "merged", "overdue", "assigned", "linked"]
ROLES = ("biggest", "first", "latest")
_MAX_HEADLINE = 200
_MAX_QUOTE = 280
_MAX_NAME = 60
_MAX_REASON = 400
_MAX_SOURCES = 8
_WIDE = 4.0
_URL = re.compile(r"https?://[\x21-\x7e]{1,1000}", re.IGNORECASE)


def build_facts(
    incident: Incident, *, about: About, at: float, view: StoryView | None = None, decision: Decision | None = None
) -> dict[str, Any]:
    """Return the facts of the pages about one change of an incident.

    Args:
        incident: as it stands after the change.
        about: what happened.
        at: when it was decided, event time.
        view: the story as the rules saw it; without it (a change by a person) the page says what the incident knows.
        decision: what the rules said; without it the reason is the incident's.
    """
    facts: dict[str, Any] = {
        "version": 1,
        "about": about,
        "severity": incident.severity,
        "brand": incident.brand,
        "umbrella": incident.umbrella,
        "kind": incident.kind,
        "headline": safe(view.headline if view else incident.headline, _MAX_HEADLINE),
        "reason": safe(decision.reason if decision and decision.reason else incident.reason, _MAX_REASON),
        "how_sure": None,
        "cause": None,
        "owner": incident.owner,
        "deadline": None,
        "decided_at": iso(at),
        "first_at": None,
        "last_at": None,
        "own_replies": 0,
        "sources": [],
        "quotes": [],
        "mood": None,
        "numbers": {},
        "forecast": None,
        "wave": None,
        "budget": None,
        "together": None,
        "related": None,
        "incident": {
            "id": incident.id,
            "state": incident.state,
            "peak": incident.peak,
            "cycle": incident.cycle,
            "version": incident.version,
            "rule": incident.rule,
            "rules": incident.rules,
            "opened_at": iso(incident.opened_at),
            "crossed_at": None if incident.crossed_at is None else iso(incident.crossed_at),
            "merged_into": incident.merged_into,
        },
    }
    if decision is not None:
        facts["numbers"] = {name: _json(value) for name, value in decision.evidence}
    if view is not None:
        facts |= _story(view)
    return facts


def outgoing(
    intents: Iterable[Intent], incident: Incident, facts: dict[str, Any], *, decided_at: float, created_at: float
) -> tuple[Page, ...]:
    """Return the pages for an incident's intents, ready for the outbox, which gives them their sequence."""
    return tuple(
        Page(
            key=intent.key,
            incident=incident.id,
            umbrella=incident.umbrella,
            brand=incident.brand,
            severity=incident.severity,
            purpose=intent.purpose,
            recipient=intent.recipient,
            channel=intent.channel,
            sequence=0,
            decided_at=decided_at,
            created_at=created_at,
            facts=facts,
        )
        for intent in intents
    )


def how_sure(view: StoryView) -> str:
    """Say in a sentence how far the figures can be trusted, and what would make them wrong."""
    parts: list[str] = []
    if (spread := view.spread) is not None:
        forecast = spread.forecast
        parts.append(f"{percent(forecast.p_viral)} by the forecast")
        if forecast.q90 > _WIDE * max(forecast.q10, 1.0):
            parts.append(f"but wide: it may end at {count(forecast.q10)} or at {count(forecast.q90)} people")
        else:
            parts.append(f"the end between {count(forecast.q10)} and {count(forecast.q90)} people")
    if (tide := view.tide) is not None:
        if tide.confident:
            parts.append(f"usual here is {count(round(tide.low))} to {count(round(tide.high))}, baseline known")
        else:
            parts.append("what is usual here is not known yet")
    if view.burn is not None:
        parts.append("the budget is configured" if view.burn.why == CONFIGURED else view.burn.why)
    if view.unread_share > 0.2:  # noqa: PLR2004 -- a fifth unread is worth saying
        parts.append(f"{percent(view.unread_share)} could not be read")
    if view.authentic_share < 0.8:  # noqa: PLR2004 -- a fifth not authentic is worth saying
        parts.append(f"only {percent(view.authentic_share)} look authentic")
    return "; ".join(parts)


def iso(at: float) -> str:
    """Return a time as ISO 8601 in UTC, to the second.

    >>> iso(1_900_000_000.4)
    '2030-03-17T17:46:40Z'
    """
    return moment(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at: float) -> datetime:
    """Return a time as a datetime in UTC, to the second."""
    return datetime.fromtimestamp(math.floor(at), tz=UTC)


def _story(view: StoryView) -> dict[str, Any]:
    """Return what only a view of the story can tell."""
    spread, tide = view.spread, view.tide
    facts: dict[str, Any] = {
        "how_sure": how_sure(view),
        "cause": view.cause,
        "first_at": iso(view.first_at),
        "last_at": iso(view.last_at),
        "own_replies": view.own_replies,
        "sources": [[safe(name, _MAX_NAME), number] for name, number in view.sources[:_MAX_SOURCES]],
        "quotes": [_quote(role, quote) for role, quote in zip(ROLES, view.quotes, strict=False)],
        "mood": {
            "complaint": _json(view.complaint_share),
            "negative": _json(view.negative_share),
            "positive": _json(view.positive_share),
            "reposts": _json(view.repost_share),
            "promotion": _json(view.promo_share),
            "unread": _json(view.unread_share),
        },
    }
    if spread is not None:
        forecast = spread.forecast
        minutes = forecast.minutes_to_viral
        facts["forecast"] = {
            "size": spread.size,
            "voices": spread.voices,
            "reach": _json(spread.reach),
            "per_hour": _json(spread.per_hour),
            "expected_per_hour": _json(spread.expected_per_hour),
            "usual": _json(spread.usual),
            "reproduction": _json(spread.reproduction),
            "p_viral": _json(forecast.p_viral),
            "q10": _json(forecast.q10),
            "q50": _json(forecast.q50),
            "q90": _json(forecast.q90),
            "line": _json(spread.line.size),
            "line_reach": _json(spread.line.reach),
            "line_why": spread.line.why,
            "crossed": crossed(spread),
            "viral_at": None if minutes is None or not math.isfinite(minutes) else iso(spread.at + 60 * minutes),
        }
    if tide is not None:
        facts["wave"] = {
            "observed": _json(tide.observed),
            "expected": _json(tide.expected),
            "low": _json(tide.low),
            "high": _json(tide.high),
            "confident": tide.confident,
            "window_s": _json(tide.window_s),
            "voices": tide.voices,
            "since": None if tide.wave_since is None else iso(tide.wave_since),
        }
    if (burn := view.burn) is not None:
        window, rate, people, _ = burn.fastest()
        facts["budget"] = {
            "cause": burn.cause,
            "allowed": _json(burn.allowed),
            "why": burn.why,
            "spent": _json(burn.spent),
            "window": window,
            "people": people,
            "burn": _json(rate),
        }
    if (together := view.together) is not None:
        facts["together"] = {
            "brands": [[safe(brand, _MAX_NAME), people] for brand, people in together.brands],
            "same": together.same,
            "people": together.authors,
        }
    return facts


def _quote(role: str, quote: Quote) -> dict[str, Any]:
    """Return one real mention, harmless and short."""
    return {
        "role": role,
        "text": safe(quote.text, _MAX_QUOTE),
        "author": safe(quote.author, _MAX_NAME),
        "followers": quote.followers,
        "published_at": iso(quote.published_at),
        "url": quote.url if quote.url and _URL.fullmatch(quote.url) else None,
    }


def _json(value: float | str | None) -> float | str | None:
    """Return a number that JSON can hold, to four places; what is not finite becomes null."""
    if value is None or isinstance(value, str | int):
        return value
    return round(value, 4) if math.isfinite(value) else None
