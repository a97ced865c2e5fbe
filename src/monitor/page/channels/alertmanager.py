"""Incidents as alerts in Prometheus Alertmanager (API v2).

Alertmanager expects its clients to post an active alert again and again: here every minute, with `endsAt` five minutes
ahead, so that an alert whose client has died ends by itself. An incident that is over is posted once more with
`endsAt` now. Alerts with the same labels are the same alert, so a repeat does no harm.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from msgspec import Struct

from monitor.clock import Clock, WallClock
from monitor.mention.text import safe
from monitor.page.channels.http import HttpClient
from monitor.page.facts import iso
from monitor.page.render import headline
from monitor.page.types import Delivery
from monitor.page.voice import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.incident.types import Incident
    from monitor.page.types import Page

EVERY_S = 60.0
AHEAD_S = 300.0
_BATCH = 100
_NAMES = {
    "story": "MentionStorySpreads",
    "wave": "MentionComplaintWave",
    "budget": "MentionCauseOutOfBudget",
    "umbrella": "MentionSeveralBrands",
}
_OVER = ("resolved", "dismissed", "merged")

_log = structlog.get_logger("monitor.page.alertmanager")


class ActiveIncidents(Protocol):
    """What the feed asks of the store."""

    async def active_incidents(self, severities: Sequence[str]) -> list[Incident]:
        """Return every incident that is open, acknowledged or answered, of these severities."""
        ...


class Alert(Struct, frozen=True, rename="camel"):
    """An alert as the API takes it."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str


def alert_of(incident: Incident, *, now: float, over: bool = False) -> Alert:
    """Return an incident as an alert: ending five minutes from now, or now if it is over."""
    annotations = {
        "summary": harmless(safe(incident.headline, 200)),
        "description": harmless(incident.reason),
        "rule": incident.rule,
        "state": incident.state,
        "owner": harmless(incident.owner or "nobody"),
        "opened": iso(incident.opened_at),
    }
    labels = _labels(incident.kind, incident.umbrella, incident.brand, incident.severity, incident.id)
    return _alert(labels, annotations, incident.opened_at, now, over=over)


class AlertmanagerClient:
    """Posts alerts to one Alertmanager, or to each of a cluster (they gossip notifications, not alerts).

    Accepted is what at least one of them took.
    """

    def __init__(self, urls: Sequence[str], *, timeout_s: float = 10.0, clock: Clock | None = None) -> None:
        if not urls:
            raise ValueError("Alertmanager: at least one URL is needed")
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._client = HttpClient(timeout_s)
        self._clock = clock or WallClock()

    async def post(self, alerts: Sequence[Alert]) -> Delivery:
        """Post alerts in batches; the first that fails ends it."""
        delivery = Delivery("accepted", "nothing to post")
        for start in range(0, len(alerts), _BATCH):
            delivery = await self._post(msgspec.json.encode(alerts[start : start + _BATCH]))
            if delivery.outcome != "accepted":
                return delivery
        return delivery

    async def check(self) -> str | None:
        """Say which Alertmanager cannot be reached or is not ready."""
        problems = [(url, await self._client.probe(f"{url}/api/v2/status", "GET")) for url in self._urls]
        return "; ".join(f"{url} {problem}" for url, problem in problems if problem) or None

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _post(self, body: bytes) -> Delivery:
        now = self._clock.now()
        headers = {"Content-Type": "application/json"}
        answers = await asyncio.gather(
            *(self._client.post(f"{url}/api/v2/alerts", body, headers, now=now) for url in self._urls)
        )
        best = min(answers, key=lambda answer: ("accepted", "retry", "in_doubt", "refused").index(answer.outcome))
        # the same labels are the same alert: what is in doubt is posted again
        return Delivery("retry", best.detail) if best.outcome == "in_doubt" else best


class AlertmanagerNotifier:
    """The channel `alertmanager` of a route: the alert goes out at once, with a receipt; the feed keeps it alive."""

    name = "alertmanager"
    exactly_once = True

    def __init__(self, client: AlertmanagerClient, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or WallClock()

    async def send(self, page: Page) -> Delivery:
        """Post the page's incident, ended if the page says that it is over."""
        return await self._client.post(self._alerts(page))

    async def check(self) -> str | None:
        """Say what is wrong with the receiver."""
        return await self._client.check()

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    def _alerts(self, page: Page) -> list[Alert]:
        now = self._clock.now()
        if page.purpose in {"backlog", "digest", "test"}:
            return []  # the feed posts what is active, which is what a backlog page speaks of
        facts = page.facts
        incident = facts["incident"]
        labels = _labels(facts["kind"], page.umbrella, page.brand, page.severity, page.incident)
        annotations = {
            "summary": harmless(headline(page)),
            "description": harmless(facts["reason"]),
            "rule": incident["rule"],
            "state": incident["state"],
            "owner": harmless(facts["owner"] or "nobody"),
            "opened": incident["opened_at"],
        }
        return [_alert(labels, annotations, page.decided_at, now, over=facts["about"] in _OVER)]


class AlertmanagerFeed:
    """Keeps Alertmanager's view of the active incidents alive.

    What it posted last is kept in memory only: after a restart an alert that has ended meanwhile ends by its `endsAt`,
    five minutes later at most. The labels carry the severity; when that changes, the alert with the old one is ended.
    """

    def __init__(
        self,
        client: AlertmanagerClient,
        incidents: ActiveIncidents,
        *,
        clock: Clock | None = None,
        every_s: float = EVERY_S,
        severities: Sequence[str] = ("notify", "page", "crisis"),
    ) -> None:
        self._client = client
        self._incidents = incidents
        self._clock = clock or WallClock()
        self._every_s = every_s
        self._severities = tuple(severities)
        self._posted: dict[str, Alert] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Post until told to stop; a failure is logged and tried again sooner."""
        while not stop.is_set():
            try:
                delivery = await self.step()
                detail, fine = delivery.detail, delivery.outcome == "accepted"
            except Exception as error:  # noqa: BLE001 -- the room's outer wall: a store's error must not end the feed
                detail, fine = type(error).__name__, False
            if not fine:
                _log.warning("alertmanager_not_fed", detail=detail, posted=len(self._posted))
            wait = self._every_s if fine else min(self._every_s, 5.0)
            try:
                await asyncio.wait_for(stop.wait(), wait)
            except TimeoutError:
                continue

    async def step(self) -> Delivery:
        """Post every active incident, and once more what was posted before and is over."""
        now = self._clock.now()
        active = {
            _identity(alert): alert
            for alert in (
                alert_of(incident, now=now) for incident in await self._incidents.active_incidents(self._severities)
            )
        }
        ended = [
            Alert(alert.labels, alert.annotations, alert.starts_at, iso(now))
            for name, alert in self._posted.items()
            if name not in active
        ]
        self._posted |= active  # posted or not: a post without an answer may have arrived
        delivery = await self._client.post([*ended, *active.values()])
        if delivery.outcome == "accepted":
            self._posted = active
        return delivery


def _labels(kind: str, umbrella: str, brand: str, severity: str, incident: str) -> dict[str, str]:
    """Return the labels that make an alert: two with the same are one."""
    return {
        "alertname": _NAMES.get(kind, _NAMES["story"]),
        "umbrella": umbrella,
        "brand": brand,
        "severity": severity,
        "incident": incident,
    }


def _alert(labels: dict[str, str], annotations: dict[str, str], opened_at: float, now: float, *, over: bool) -> Alert:
    """Return an alert that ends now or ahead; one cannot end before it starts."""
    return Alert(labels, annotations, iso(min(opened_at, now - 1)), iso(now if over else now + AHEAD_S))


def _identity(alert: Alert) -> str:
    """Return what tells alerts apart."""
    return msgspec.json.encode(alert.labels, order="sorted").decode()
