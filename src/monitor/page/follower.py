"""Keeps messages elsewhere (Slack, PagerDuty) as their incident is now: acknowledged, owned, answered, over.

Nobody is notified by it, so it is done at leisure and may be done twice. A page tells people; this tells those who
look. What a receiver refuses is logged and left until the incident changes again.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import structlog

from monitor.clock import Clock, WallClock
from monitor.page.facts import build_facts
from monitor.page.types import Delivery, Page

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from monitor.incident import Incident
    from monitor.page.dispatcher import Meter
    from monitor.page.types import Notifier

EVERY_S = 2.0
SEND_TIMEOUT_S = 15.0
_MOST_PAUSE_S = 300.0
_STORY = ("how_sure", "cause", "first_at", "last_at", "own_replies", "sources", "quotes", "mood", "numbers", "forecast",
          "wave", "budget", "together", "deadline")  # fmt: skip

_log = structlog.get_logger("monitor.page.follower")


@runtime_checkable
class Follows(Protocol):
    """A channel whose messages can be changed after they were sent."""

    async def follow(self, page: Page) -> Delivery:
        """Make the message `page.thread` say what `page` says; twice is once."""
        ...


class Mirror(Protocol):
    """A message that is behind."""

    @property
    def recipient(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def thread(self) -> str: ...  # noqa: D102
    @property
    def incident(self) -> Incident: ...  # noqa: D102
    @property
    def facts(self) -> dict[str, Any]: ...  # noqa: D102


class Mirrors(Protocol):
    """What the follower asks of the store: `monitor.store.MirrorStore` has it."""

    async def behind(self, channels: Collection[str], limit: int = 100) -> list[Any]:
        """Return messages that do not show their incident as it is."""
        ...

    async def shown(self, done: Any) -> None:
        """Note that one does."""
        ...


class Follower:
    """Brings messages up to date, one after the other; a receiver that fails is left alone for a while."""

    def __init__(
        self,
        mirrors: Mirrors,
        notifiers: Mapping[str, Notifier],
        *,
        clock: Clock | None = None,
        meter: Meter | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._mirrors = mirrors
        self._notifiers = {name: one for name, one in notifiers.items() if isinstance(one, Follows)}
        self._clock = clock or WallClock()
        self._meter = meter
        self._every_s = every_s
        self._rests: dict[str, tuple[float, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until told to stop; without a channel that can be changed there is nothing to do."""
        while self._notifiers and not stop.is_set():
            try:
                await self.step()
            except Exception as error:  # noqa: BLE001 -- the outer wall: a store that is away comes back
                _log.warning("follower_waits", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)

    async def step(self) -> int:
        """Bring up to date what is behind and not resting; return how many messages were."""
        now = self._clock.now()
        awake = [name for name in self._notifiers if self._rests.get(name, (0.0, 0.0))[0] <= now]
        done = 0
        for behind in await self._mirrors.behind(awake) if awake else ():
            if behind.channel in awake and await self._follow(behind, now):
                done += 1
            elif behind.channel in awake:
                awake.remove(behind.channel)
        return done

    async def _follow(self, behind: Mirror, now: float) -> bool:
        """Bring one message up to date; False if its receiver is to be left alone."""
        channel = behind.channel
        notifier = self._notifiers[channel]
        delivery = Delivery("in_doubt", "no answer in time")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEND_TIMEOUT_S):
                delivery = await notifier.follow(page_of(behind, now))
        if delivery.outcome in {"retry", "in_doubt"}:
            pause = min(_MOST_PAUSE_S, max(2 * self._rests.get(channel, (0.0, 0.5))[1], delivery.retry_after or 0.0))
            self._rests[channel] = (now + pause, pause)
            _log.warning("message_not_followed", channel=channel, detail=delivery.detail, seconds=pause)
            return False
        self._rests.pop(channel, None)
        if delivery.outcome == "refused":
            _log.error("message_not_followed", channel=channel, detail=delivery.detail)
        await self._mirrors.shown(behind)
        return True


def page_of(behind: Mirror, now: float) -> Page:
    """Return a page that says how the incident is now; it is in no outbox."""
    incident = behind.incident
    about = incident.state if incident.state in {"resolved", "dismissed"} else "opened"
    facts = build_facts(incident, about=about, at=incident.updated_at)
    facts |= {name: behind.facts[name] for name in _STORY if name in behind.facts}
    return Page(
        key=f"follow:{incident.id}:{incident.version}",
        incident=incident.id,
        umbrella=incident.umbrella,
        brand=incident.brand,
        severity=incident.severity,
        purpose="notice",
        recipient=behind.recipient,
        channel=behind.channel,
        sequence=1,
        decided_at=incident.updated_at,
        created_at=now,
        facts=facts,
        thread=behind.thread,
    )
