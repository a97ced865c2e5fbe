"""Sends what is in the outbox: many lanes at once, in order within each, until it is delivered or given up loudly.

One try of a page: claim it (a lease), take a place at its receiver, begin (the last look at the incident, and the note
that it is about to be sent), send, write the receipt. A process that dies on the way leaves a lease that runs out.
Everything here goes by real time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from random import Random
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import structlog
from msgspec import structs

from monitor.clock import Clock, WallClock
from monitor.page.policy import Policy, not_needed
from monitor.page.receivers import Receivers
from monitor.page.types import Delivery
from monitor.telemetry.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.page.outbox import Outbox
    from monitor.page.policy import Fate
    from monitor.page.types import Notifier, Outcome, Page

_log = structlog.get_logger("monitor.page.dispatcher")


class Meter(Protocol):
    """Where the dispatcher's counts go."""

    def on_delivery(self, channel: str, outcome: str, seconds: float, trace: str | None = None) -> None:
        """Count one try: its outcome (see `Outcome`) and how long it took."""
        ...

    def on_settled(self, channel: str, status: str) -> None:
        """Count a page that is settled (see `outbox.Settled`), and how long after it was made."""
        ...

    def on_page(self, page: Page, status: str, now: float) -> None:
        """Count a settled page by what it says; `now` is real time."""
        ...

    def on_repeat(self, channel: str) -> None:
        """Count a page that may have arrived and goes out again, marked."""
        ...

    def on_held(self, channel: str) -> None:
        """Count a page that is held, because its recipient has had enough for now."""
        ...

    def on_error(self, error: str) -> None:
        """Count an error of the store or a bug in a channel, by the name of its type."""
        ...


class NoMeter:
    """Counts nothing."""

    def on_delivery(self, channel: str, outcome: str, seconds: float, trace: str | None = None) -> None:
        """Count nothing."""

    def on_settled(self, channel: str, status: str) -> None:
        """Count nothing."""

    def on_page(self, page: Page, status: str, now: float) -> None:
        """Count nothing."""

    def on_repeat(self, channel: str) -> None:
        """Count nothing."""

    def on_held(self, channel: str) -> None:
        """Count nothing."""

    def on_error(self, error: str) -> None:
        """Count nothing."""


class Dispatcher:
    """Delivers pages. Several may run on one outbox.

    Args:
        outbox: the store's side.
        notifiers: a channel's name and its notifier. Pages for other channels stay in the outbox.
        clock: real time.
        policy: limits and times.
        random: for the jitter.
        meter: where counts go.
        owner: this dispatcher's name in leases; by default unique.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        *,
        clock: Clock | None = None,
        policy: Policy | None = None,
        random: Random | None = None,
        meter: Meter | None = None,
        owner: str | None = None,
    ) -> None:
        self._outbox = outbox
        self._notifiers = dict(notifiers)
        self._clock = clock or WallClock()
        self._policy = policy or Policy()
        self._random = random or Random()  # noqa: S311 -- jitter, no secret
        self._meter: Meter = meter or NoMeter()
        self.owner = owner or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._receivers = Receivers(self._policy, self._random)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._reclaimed_at = float("-inf")
        self.progress_at: float | None = None
        """When the outbox was last read without an error: for the health check."""

    def nudge(self) -> None:
        """Look into the outbox at once instead of at the next poll; call it from the same event loop."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop; then finish what is under way within `grace_s`; leases hold the rest."""
        waiter = asyncio.create_task(stop.wait())
        errors = 0
        try:
            while not stop.is_set():
                self._wake.clear()
                began = time.monotonic()
                try:
                    started = await self._round()
                    errors = 0
                except Exception as error:  # noqa: BLE001 -- the outer wall: a store that is locked or away comes back
                    errors += 1
                    self._error("outbox_unavailable", error)
                    await self._pause(waiter, self._policy.backoff(errors, self._random))
                    continue
                # Half of the time at most goes into looking: with thousands of pages due, a look is dear, and what has
                # room meanwhile is taken by the next one together.
                await asyncio.wait({waiter}, timeout=min(self._policy.poll_s, time.monotonic() - began))
                if not started:
                    await self._pause(waiter, self._policy.poll_s)
        finally:
            waiter.cancel()
            await self._drain()

    async def step(self) -> int:
        """Do one round and wait for its sends; return how many were started. For tests on a virtual clock."""
        started = await self._round()
        while self._tasks:
            await asyncio.wait(self._tasks)
        return started

    async def _round(self) -> int:
        """Take back lost leases now and then, claim what there is room for, and start it."""
        now = self._clock.now()
        if now - self._reclaimed_at >= self._policy.reclaim_s:
            await self._reclaim(now)
        limit = self._policy.in_flight - len(self._tasks)
        channels = self._receivers.open_channels(self._notifiers)
        if limit <= 0 or not channels:
            return 0
        pages = await self._outbox.claim(
            now, limit, self.owner, self._policy.lease_s, channels=channels, full=self._receivers.full(now)
        )
        self.progress_at = now
        no_room: list[str] = []
        for page in pages:
            if self._receivers.room(page.recipient, page.channel, now):
                self._receivers.start(page.recipient, page.channel)
                task = asyncio.create_task(self._deliver(page, self._notifiers[page.channel]))
                self._tasks.add(task)
                task.add_done_callback(self._done)
            else:
                no_room.append(page.key)
        if no_room:
            await self._outbox.release(no_room, self.owner)
        return len(pages) - len(no_room)

    async def _reclaim(self, now: float) -> None:
        """Take back the pages of dispatchers that died."""
        for lost in await self._outbox.reclaim(now):
            _log.warning("page_reclaimed", channel=lost.channel, outcome=lost.outcome)
            if lost.outcome == "repeat":
                self._meter.on_repeat(lost.channel)
            if lost.outcome == "in_doubt":
                self._meter.on_settled(lost.channel, "in_doubt")
            if lost.page is not None:
                self._meter.on_page(lost.page, "in_doubt", now)
        self._reclaimed_at = now

    async def _deliver(self, page: Page, notifier: Notifier) -> None:
        """Try a page once."""
        delivery: Delivery | None = None
        try:
            delivery = await self._try(page, notifier)
        except Exception as error:  # noqa: BLE001 -- the outer wall: one page's trouble is not the others'
            self._error("page_not_finished", error, incident=page.incident, channel=page.channel)
        finally:
            self._receivers.end(page.recipient, page.channel, delivery, self._clock.now())

    async def _try(self, page: Page, notifier: Notifier) -> Delivery | None:
        """Begin, send, and write the receipt; None if the lease was lost."""
        exactly_once = notifier.exactly_once
        standing = await self._outbox.begin(
            page.key, self.owner, self._clock.now(), self._policy.lease_s, exactly_once=exactly_once
        )
        if standing is None:
            return None
        if standing.held_until is not None:
            _log.info("page_held", incident=page.incident, channel=page.channel, purpose=page.purpose)
            self._meter.on_held(page.channel)
            return None
        page = structs.replace(page, attempts=page.attempts + 1, thread=standing.thread)
        began = time.monotonic()
        needless = not_needed(page, standing)
        delivery = await self._send(page, notifier) if needless is None else Delivery("cancelled", needless)
        self._meter.on_delivery(page.channel, delivery.outcome, time.monotonic() - began, page.trace)
        now = self._clock.now()
        fate = self._policy.after(page, delivery, exactly_once=exactly_once, now=now, random=self._random)
        await self._settle(page, delivery, fate, give_up_at=began + self._policy.lease_s)
        return delivery

    async def _send(self, page: Page, notifier: Notifier) -> Delivery:
        """Send within the time allowed; what a channel fails to catch is a doubt and is counted."""
        unknown: Outcome = "retry" if notifier.exactly_once else "in_doubt"
        try:
            async with asyncio.timeout(self._policy.send_timeout_s):
                return await notifier.send(page)
        except TimeoutError:
            return Delivery(unknown, f"no answer within {self._policy.send_timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 -- a channel's bug must not lose the page
            self._error("channel_failed", error, incident=page.incident, channel=page.channel)
            return Delivery(unknown, f"the channel failed: {type(error).__name__}")

    async def _settle(self, page: Page, delivery: Delivery, fate: Fate, *, give_up_at: float) -> None:
        """Write the receipt, also to a store that is locked for a while: as long as the lease is ours."""
        tries = 0
        while True:
            try:
                now = self._clock.now()
                moved = await self._outbox.finish(
                    page.key, self.owner, delivery, now, status=fate.status, next_try_at=fate.next_try_at
                )
                break
            except Exception:
                tries += 1
                wait = min(self._policy.backoff(tries, self._random), 1.0)
                if time.monotonic() + wait >= give_up_at:
                    raise
                await asyncio.sleep(wait)
        if moved:
            self._tell(page, delivery, fate, now)

    def _tell(self, page: Page, delivery: Delivery, fate: Fate, now: float) -> None:
        """Log and count where a page has come to. The recipient's name stays in the store."""
        log = _log.bind(
            incident=page.incident,
            channel=page.channel,
            purpose=page.purpose,
            severity=page.severity,
            attempts=page.attempts,
            detail=delivery.detail,
        )
        if page.trace is not None:
            log = log.bind(trace_id=trace_id(page.trace))
        if fate.status == "waiting":
            log.warning("page_waits", outcome=delivery.outcome, seconds=round((fate.next_try_at or now) - now, 1))
            if delivery.outcome == "in_doubt":
                self._meter.on_repeat(page.channel)
            return
        self._meter.on_settled(page.channel, fate.status)
        self._meter.on_page(page, fate.status, now)
        if fate.status in {"gave_up", "refused", "in_doubt"}:
            log.error("page_not_delivered", status=fate.status, age=round(now - page.created_at, 1))
        else:
            log.info("page_settled", status=fate.status)

    async def _pause(self, stopping: asyncio.Task[bool], seconds: float) -> None:
        """Wait for the time to pass, a nudge, a send that ended, or the stop."""
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({stopping, woken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    async def _drain(self) -> None:
        """Finish what is under way, for a while."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._policy.grace_s)
            for task in late:
                task.cancel()
            if late:
                _log.warning("sends_left_to_their_leases", number=len(late))
                await asyncio.wait(late, timeout=1.0)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Forget a send that ended, and look for its lane's next page."""
        self._tasks.discard(task)
        self._wake.set()

    def _error(self, event: str, error: Exception, **fields: str) -> None:
        """Log and count an error that the outer wall stopped."""
        _log.error(event, error=type(error).__name__, detail=str(error)[:200], **fields)
        self._meter.on_error(type(error).__name__)


async def check_receivers(notifiers: Iterable[Notifier]) -> dict[str, str]:
    """Return what is wrong with each channel's receivers, by channel; empty if nothing is: for `monitor doctor`."""
    problems: dict[str, str] = {}
    for notifier in notifiers:
        if (problem := await notifier.check()) is not None:
            problems[notifier.name] = problem
    return problems
