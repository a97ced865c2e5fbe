"""Pages to a webhook: a CloudEvent as JSON, signed, with an idempotency key. `docs/pages.md` is the receiver's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from monitor.clock import Clock, WallClock
from monitor.page.channels.http import HttpClient
from monitor.page.facts import iso
from monitor.page.render import headline, render
from monitor.page.signature import HEADER, sign
from monitor.page.types import Delivery
from monitor.page.voice import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.page.types import Page


class Endpoint(Struct, frozen=True):
    """Where a recipient's pages go, and the secrets that sign them (two while the secret is changed)."""

    url: str
    secrets: tuple[str, ...]


class WebhookNotifier:
    """Posts each page to its recipient's endpoint, or to `default`.

    The receiver drops a second request with the same `Idempotency-Key`, so a send without an answer is simply sent
    again: exactly once, if the receiver keeps its side.
    """

    exactly_once = True

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        default: Endpoint | None = None,
        name: str = "webhook",
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        voice: Voice | None = None,
    ) -> None:
        for endpoint in (*endpoints.values(), *((default,) if default else ())):
            if not endpoint.secrets or not all(endpoint.secrets):
                raise ValueError(f"webhook {endpoint.url}: a secret is needed to sign its pages")
        self.name = name
        self._endpoints = dict(endpoints)
        self._default = default
        self._client = HttpClient(timeout_s)
        self._clock = clock or WallClock()
        self._voice = voice or Voice()

    async def send(self, page: Page) -> Delivery:
        """Post once."""
        endpoint = self._endpoints.get(page.recipient, self._default)
        if endpoint is None:
            return Delivery("refused", "no endpoint is configured for this recipient")
        body = body_of(page, self._voice)
        now = self._clock.now()
        headers = {
            "Content-Type": "application/cloudevents+json",
            "Idempotency-Key": page.key,
            "Monitor-Attempt": str(page.attempts),
            HEADER: sign(body, endpoint.secrets, now),
        }
        if page.trace is not None:
            headers["traceparent"] = page.trace
        delivery = await self._client.post(endpoint.url, body, headers, now=now)
        return Delivery("retry", delivery.detail) if delivery.outcome == "in_doubt" else delivery

    async def check(self) -> str | None:
        """Say which endpoint cannot be reached."""
        wrong = []
        for endpoint in dict.fromkeys((*self._endpoints.values(), *((self._default,) if self._default else ()))):
            problem = await self._client.probe(endpoint.url)
            if problem is not None:
                wrong.append(f"{endpoint.url} {problem}")
        return "; ".join(wrong) or None

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()


def body_of(page: Page, voice: Voice) -> bytes:
    """Return the request's body: a CloudEvent 1.0 in structured mode. The same bytes for each try of a page."""
    reader = voice.reader(page)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": page.key,
            "source": f"mention-monitor/{page.umbrella}",
            "type": f"mention-monitor.page.{page.purpose}",
            "subject": page.incident,
            "time": iso(page.created_at),
            "datacontenttype": "application/json",
            "data": {
                "key": page.key,
                "incident": page.incident,
                "umbrella": page.umbrella,
                "brand": page.brand,
                "severity": page.severity,
                "purpose": page.purpose,
                "recipient": page.recipient,
                "sequence": page.sequence,
                "decided_at": page.decided_at,
                "created_at": page.created_at,
                "headline": headline(page, reader),
                "text": render(page, reader=reader),
                "links": {link.name: link.url for link in voice.content(page).links},
                "facts": page.facts,
            },
        }
    )
