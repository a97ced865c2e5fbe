"""Pages as PagerDuty alerts (Events API v2): one alert per cycle of an incident, acknowledged and resolved with it.

The alert's `dedup_key` is the incident and its cycle, so a repeated send is the same alert. Limits as of PagerDuty's
reference: summary 1,024 characters, dedup_key 255, an event 512 KB. Texts are plain there.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.clock import Clock, WallClock
from monitor.mention.text import shorten
from monitor.page.channels.http import HttpClient
from monitor.page.compose import MANY, OVER, fitted
from monitor.page.facts import iso
from monitor.page.types import Delivery
from monitor.page.voice import Voice, harmless

if TYPE_CHECKING:
    from monitor.page.types import Page

URL = "https://events.pagerduty.com/v2/enqueue"
MAX_SUMMARY = 1_024
MAX_KEY = 255
MAX_DETAILS = 20_000
_SEVERITIES = {"info": "info", "notify": "warning", "page": "error", "crisis": "critical"}
_ENDED = frozenset({"resolved", "dismissed"})
_TAKEN = frozenset({"acknowledged", "answered"})


class PagerDutyNotifier:
    """Sends events with one integration's routing key."""

    exactly_once = True

    def __init__(
        self,
        routing_key: str,
        *,
        name: str = "pagerduty",
        url: str = URL,
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        voice: Voice | None = None,
    ) -> None:
        self.name = name
        self._key = routing_key
        self._url = url
        self._client = HttpClient(timeout_s)
        self._clock = clock or WallClock()
        self._voice = voice or Voice()

    async def send(self, page: Page) -> Delivery:
        """Trigger the alert, or resolve it where the page says that the incident is over."""
        over = page.facts.get("about") in OVER
        return await self._enqueue(page, "resolve" if over else "trigger")

    async def follow(self, page: Page) -> Delivery:
        """Acknowledge or resolve the alert as the incident was."""
        state = (page.facts.get("incident") or {}).get("state")
        if state in _ENDED:
            return await self._enqueue(page, "resolve")
        if state in _TAKEN:
            return await self._enqueue(page, "acknowledge")
        return Delivery("accepted", "nothing to say")

    async def check(self) -> str | None:
        """Say whether PagerDuty can be reached; the routing key is known to be good only when it is used."""
        return await self._client.probe(self._url)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _enqueue(self, page: Page, action: str) -> Delivery:
        event = {"routing_key": self._key, **event_of(page, action, self._voice)}
        delivery = await self._client.post(
            self._url, msgspec.json.encode(event), {"Content-Type": "application/json"}, now=self._clock.now()
        )
        if delivery.outcome == "in_doubt":
            return Delivery("retry", delivery.detail)
        return Delivery("accepted", delivery.detail, receipt=event["dedup_key"]) if _taken(delivery) else delivery


def event_of(page: Page, action: str, voice: Voice) -> dict[str, Any]:
    """Return an event without its routing key."""
    event: dict[str, Any] = {"event_action": action, "dedup_key": dedup_key(page)}
    if action != "trigger":
        return event
    content = fitted(voice.content(page), MAX_DETAILS)
    facts = page.facts
    event |= {
        "client": "Mention Monitor",
        "links": [{"href": link.url, "text": link.label} for link in content.links],
        "payload": {
            "summary": shorten(harmless(content.headline), MAX_SUMMARY),
            "source": shorten(page.brand or page.umbrella or "mention-monitor", MAX_KEY),
            "severity": _SEVERITIES[page.severity],
            "timestamp": iso(page.decided_at),
            "component": shorten(page.umbrella or "-", MAX_KEY),
            "group": shorten(page.brand or "-", MAX_KEY),
            "class": shorten(facts.get("cause") or facts.get("kind") or page.purpose, MAX_KEY),
            "custom_details": {part.label or part.name: harmless(part.text) for part in content.parts},
        },
    }
    chart = voice.chart(page)
    if chart is not None and chart.startswith("https:"):  # it takes no other
        event["images"] = [{"src": chart, "alt": "now, forecast and viral line"}]
    return event


def dedup_key(page: Page) -> str:
    """Return what makes two events the same alert."""
    if page.purpose in MANY or page.purpose == "test":
        return sha256(page.key.encode()).hexdigest()
    return page.root[:MAX_KEY]


def _taken(delivery: Delivery) -> bool:
    return delivery.outcome == "accepted"
