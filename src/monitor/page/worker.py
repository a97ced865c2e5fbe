"""The dispatching worker: channels as configured, the dispatcher over the store's outbox, Alertmanager's feed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from monitor import __version__
from monitor.clock import WallClock
from monitor.config import (
    AlertmanagerChannel,
    AppriseChannel,
    EmailChannel,
    Escalation,
    PagerDutyChannel,
    Reloader,
    SlackChannel,
    TerminalChannel,
    WebhookChannel,
    escalation_of,
    follow,
)
from monitor.page.budget import Budget
from monitor.page.channels.alertmanager import AlertmanagerClient, AlertmanagerFeed, AlertmanagerNotifier
from monitor.page.channels.apprise import AppriseNotifier
from monitor.page.channels.email import EmailNotifier, Server
from monitor.page.channels.pagerduty import PagerDutyNotifier
from monitor.page.channels.slack import SlackNotifier
from monitor.page.channels.terminal import TerminalNotifier
from monitor.page.channels.webhook import Endpoint, WebhookNotifier
from monitor.page.dispatcher import Dispatcher
from monitor.page.follower import Follower
from monitor.page.links import Linker
from monitor.page.readers import Reader, Readers
from monitor.page.trial import trial_pages, week_of
from monitor.page.voice import Voice
from monitor.store import IncidentStore, MirrorStore, OutboxStore, Store, StoreError
from monitor.store.figures import read_figures
from monitor.store.timers import run_timers
from monitor.telemetry import run_worker
from monitor.telemetry.metrics import PAGE_IN_TIME_S
from monitor.telemetry.spans import Spans, spans_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from monitor.clock import Clock
    from monitor.config import AnyChannel, Settings
    from monitor.incident import Incident
    from monitor.page.outbox import Outbox
    from monitor.page.policy import Policy
    from monitor.page.types import Notifier, Page
    from monitor.store.figures import Figures
    from monitor.telemetry import Worker
    from monitor.telemetry.health import Health
    from monitor.telemetry.metrics import PageMetrics

STORE_PATIENCE_S = 60.0
"""How long a store that is locked or away is waited for at the start."""

FIGURES_S = 10.0
"""Seconds between two looks at the incidents."""

LOOK_S = 2.0
"""Seconds between two looks at the outbox's depth and at the dispatcher's progress."""


WEEKLY_LOOK_S = 60.0
"""Seconds between two looks at whether the weekly test is due."""


class DispatchError(RuntimeError):
    """There is nothing to dispatch to; the text says what to do."""


def run(settings: Settings) -> None:
    """Deliver pages until told to stop: `monitor dispatch`."""
    run_worker(
        "dispatch",
        lambda worker: dispatch(settings, worker),
        host=settings.http.host,
        port=settings.http.dispatch_port,
        stuck_after_s=settings.http.stuck_after_s,
        log_format=settings.log.format,
        log_level=settings.log.level,
        version=__version__,
    )


async def dispatch(
    settings: Settings,
    worker: Worker,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    policy: Policy | None = None,
    stream: TextIO | None = None,
) -> None:
    """Deliver pages until `worker.stop`. What is brought along (`store`, `stream`) is left open.

    Raises:
        DispatchError: no channel is configured.
        StoreError: the store cannot be used.
    """
    if not settings.channels:
        raise DispatchError("nobody can be paged: add recipients with channels to the configuration")
    alertmanagers = alertmanagers_of(settings, clock=clock)
    notifiers = notifiers_of(settings, stream=stream, clock=clock, alertmanagers=alertmanagers)
    standing = escalation_of(settings)
    spans = spans_of(settings.tracing, worker.name, __version__)
    own = store is None
    store = store or Store(settings.store.url)
    try:
        await store.retry(store.migrate, patience_s=STORE_PATIENCE_S)
        outbox = OutboxStore(store, budget=budget_of(settings))
        meter = PageMeter(worker.metrics.pages, live=settings.time.mode == "live", spans=spans)
        dispatcher = Dispatcher(outbox, notifiers, clock=clock, policy=policy, meter=meter)
        worker.health.ready("store")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(dispatcher.run(worker.stop))
            tasks.create_task(_weekly(settings, outbox, clock or WallClock(), worker.stop))
            tasks.create_task(_look(outbox, dispatcher, worker.metrics.pages, worker.health, worker.stop))
            follower = Follower(MirrorStore(store), notifiers, clock=clock, meter=meter)
            tasks.create_task(follower.run(worker.stop))
            tasks.create_task(_figure(store, worker.metrics.pages, worker.stop))
            incidents = IncidentStore(store, standing.directory, clock)
            tasks.create_task(_timers(settings, incidents, store, worker, clock or WallClock()))
            tasks.create_task(_follow(settings, standing, incidents, worker))
            active = _Active(incidents, store)
            for client in alertmanagers.values():
                tasks.create_task(AlertmanagerFeed(client, active, clock=clock).run(worker.stop))
    finally:
        await asyncio.to_thread(spans.close)
        for notifier in notifiers.values():
            await notifier.close()
        if own:
            store.close()


async def _timers(settings: Settings, incidents: IncidentStore, store: Store, worker: Worker, clock: Clock) -> None:
    """Let incidents' timers run out."""
    live = settings.time.mode == "live"
    await run_timers(
        incidents,
        worker.stop,
        now=clock.now if live else None,
        replay=None if live else store,
        ran_out=worker.metrics.pages.timers.inc,
    )


async def _follow(settings: Settings, standing: Escalation, incidents: IncidentStore, worker: Worker) -> None:
    """Page by what the files of rota and brands say when they change."""

    async def adopt(found: Escalation) -> None:
        incidents.set_routes(found.directory)
        await incidents.plan_again()

    await incidents.plan_again()  # they may have changed while nobody looked
    await follow(Reloader(settings, standing), worker.stop, adopt, worker.metrics.reloads)


def notifiers_of(
    settings: Settings,
    *,
    stream: TextIO | None = None,
    clock: Clock | None = None,
    alertmanagers: Mapping[str, AlertmanagerClient] | None = None,
) -> dict[str, Notifier]:
    """Return a notifier for every configured channel, by the channel's name. `stream` is the terminal's."""
    clients = alertmanagers or alertmanagers_of(settings, clock=clock)
    voice = voice_of(settings)
    notifiers: dict[str, Notifier] = {}
    for name, channel in settings.channels.items():
        if isinstance(channel, AlertmanagerChannel):
            notifiers[name] = AlertmanagerNotifier(clients[name], clock)
        else:
            notifiers[name] = _notifier(name, channel, voice, clock, stream)
        notifiers[name].name = name
    return notifiers


def voice_of(settings: Settings) -> Voice:
    """Return who reads what, and what signs the links of pages."""
    return Voice(readers_of(settings), linker_of(settings))


def readers_of(settings: Settings) -> Readers:
    """Return how each recipient reads."""
    return Readers(
        {one.name: Reader(role=one.role, language=one.language, zone=one.time_zone) for one in settings.recipients}
    )


def budget_of(settings: Settings) -> Budget | None:
    """Return what a person is spared; nothing in a replay, whose hours pass in seconds."""
    if not settings.pages.budget or settings.time.mode == "replay":
        return None
    personal = TerminalChannel | SlackChannel | EmailChannel | AppriseChannel
    names = frozenset(name for name, channel in settings.channels.items() if isinstance(channel, personal))
    return Budget(pages=settings.pages.budget, window_s=settings.pages.budget_hours * 3_600, channels=names)


def linker_of(settings: Settings) -> Linker | None:
    """Return what makes and reads the links of pages, if they are configured."""
    api = settings.api
    if api.public_url is None or api.link_secret is None:
        return None
    return Linker(api.public_url, api.link_secret.get_secret_value(), lasting_s=api.link_hours * 3_600)


def _notifier(name: str, channel: AnyChannel, voice: Voice, clock: Clock | None, stream: TextIO | None) -> Notifier:
    """Return the notifier of a channel that needs nothing beside its settings; what is an extra is imported here."""
    match channel:
        case TerminalChannel():
            return TerminalNotifier(stream, voice)
        case WebhookChannel():
            endpoint = Endpoint(channel.url, (channel.secret.get_secret_value(),))
            return WebhookNotifier({}, default=endpoint, timeout_s=channel.timeout_s, clock=clock, voice=voice)
        case SlackChannel():
            return SlackNotifier(
                channel.token.get_secret_value(),
                channel.channel,
                api=channel.api,
                timeout_s=channel.timeout_s,
                clock=clock,
                voice=voice,
            )
        case EmailChannel():
            password = channel.password.get_secret_value() if channel.password else None
            server = Server(
                host=channel.host, port=channel.port, tls=channel.tls, username=channel.username, password=password
            )
            return EmailNotifier(server, channel.sender, channel.to, timeout_s=channel.timeout_s, voice=voice)
        case PagerDutyChannel():
            key = channel.routing_key.get_secret_value()
            return PagerDutyNotifier(key, url=channel.url, timeout_s=channel.timeout_s, clock=clock, voice=voice)
        case AppriseChannel():
            try:
                return AppriseNotifier(channel.address.get_secret_value(), limit=channel.max_characters, voice=voice)
            except ValueError as error:
                raise DispatchError(f"channel {name}: {error}") from error
        case _:
            raise DispatchError(f"channel {name} is of no known type")


def alertmanagers_of(settings: Settings, *, clock: Clock | None = None) -> dict[str, AlertmanagerClient]:
    """Return a client for every channel that is an Alertmanager, by the channel's name."""
    return {
        name: AlertmanagerClient(channel.urls, timeout_s=channel.timeout_s, clock=clock)
        for name, channel in settings.channels.items()
        if isinstance(channel, AlertmanagerChannel)
    }


class _Active:
    """The active incidents, read on the store's own thread."""

    def __init__(self, incidents: IncidentStore, store: Store) -> None:
        self._incidents, self._store = incidents, store

    async def active_incidents(self, severities: Sequence[str]) -> list[Incident]:
        found = await self._store.run(lambda: self._incidents.all(active=True))
        active = {incident.id: incident for incident in found}
        return [
            incident
            for incident in found
            if incident.severity in severities
            and (incident.parent not in active or not active[incident.parent].speaks_for(incident))
        ]


class PageMeter:
    """Counts what the dispatcher does. `live`: event time is the wall clock's, so that the two may be compared."""

    def __init__(self, metrics: PageMetrics, *, live: bool = True, spans: Spans | None = None) -> None:
        self._metrics = metrics
        self._live = live
        self._spans = spans or Spans()

    def on_delivery(self, channel: str, outcome: str, seconds: float, trace: str | None = None) -> None:
        """Count one try."""
        self._spans.tell("deliver", seconds, parent=trace, channel=channel, outcome=outcome)
        self._metrics.tries.labels(self._metrics.channel(channel), outcome).inc()
        self._metrics.send.labels(self._metrics.channel(channel)).observe(seconds)

    def on_settled(self, channel: str, status: str) -> None:
        """Count a settled page."""
        self._metrics.settled.labels(self._metrics.channel(channel), status).inc()

    def on_page(self, page: Page, status: str, now: float) -> None:
        """Count a settled page by what it says."""
        metrics = self._metrics
        rule = str(page.facts.get("incident", {}).get("rule", ""))
        metrics.reasons.labels(metrics.rule(rule), page.severity, status).inc()
        if page.held:
            return  # it was not to go out at once
        if status == "accepted":
            metrics.age.labels(metrics.channel(page.channel)).observe(now - page.created_at)
        if page.purpose == "test":
            return  # about nothing that was published
        if status != "cancelled":
            kept = status == "accepted" and now - page.created_at <= PAGE_IN_TIME_S
            metrics.promises.labels("true" if kept else "false").inc()
        if status == "accepted" and self._live:
            metrics.from_published.observe(max(0.0, now - page.decided_at))

    def on_repeat(self, channel: str) -> None:
        """Count a page that goes out again."""
        self._metrics.repeats.labels(self._metrics.channel(channel)).inc()

    def on_held(self, channel: str) -> None:
        """Count a page that is held."""
        self._metrics.held.labels(self._metrics.channel(channel)).inc()

    def on_error(self, error: str) -> None:
        """Count an error."""
        self._metrics.errors.labels(self._metrics.error(error)).inc()


async def _figure(store: Store, metrics: PageMetrics, stop: asyncio.Event) -> None:
    """Show now and then what only the store knows."""
    shown: set[tuple[str, str]] = set()

    def read() -> Figures:
        with store.engine.connect().execution_options(read_only=True) as connection:
            return read_figures(connection, late_before=time.time() - PAGE_IN_TIME_S)

    while not stop.is_set():
        with contextlib.suppress(DBAPIError):  # the store is away: `_look` says so
            figures = await store.run(read)
            metrics.late.set(figures.late)
            metrics.incident_events.values = figures.events
            metrics.lead_time.replace(figures.leads)
            for severity, state in shown - figures.incidents.keys():
                metrics.incidents.labels(severity, state).set(0)
            for (severity, state), number in figures.incidents.items():
                metrics.incidents.labels(severity, state).set(number)
            shown |= figures.incidents.keys()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), FIGURES_S)


async def _weekly(settings: Settings, outbox: OutboxStore, clock: Clock, stop: asyncio.Event) -> None:
    """Send everybody a test page once a week, if that is wished; which of several dispatchers does it is all one."""
    day, done = settings.pages.weekly_test, ""
    pairs = [(one.name, channel.name) for one in settings.recipients for channel in one.channels]
    while day is not None and not stop.is_set():
        week = week_of(clock.now(), day, settings.pages.weekly_test_hour)
        if week is not None and week != done:
            with contextlib.suppress(StoreError):  # tried again at the next look
                await outbox.put(trial_pages(pairs, name=week, by="the weekly test", now=clock.now()))
                done = week
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WEEKLY_LOOK_S)


async def _look(
    outbox: Outbox, dispatcher: Dispatcher, metrics: PageMetrics, health: Health, stop: asyncio.Event
) -> None:
    """Show the outbox's depth; the dispatcher lives as long as it reads the outbox, or cannot because of the store."""
    seen: float | None = None
    health.beat("dispatch")
    while not stop.is_set():
        try:
            depth = await outbox.depth()
        except Exception:  # noqa: BLE001 -- the store is away: the dispatcher says so and goes on, and so does this
            health.ready("store", "the store does not answer")
            health.beat("dispatch")
        else:
            health.ready("store")
            metrics.unsettled.set(depth.unsettled)
            oldest = depth.oldest_created_at
            metrics.oldest.set(max(0.0, time.time() - oldest) if oldest is not None else 0.0)
            if dispatcher.progress_at != seen:
                seen = dispatcher.progress_at
                health.beat("dispatch")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_S)
