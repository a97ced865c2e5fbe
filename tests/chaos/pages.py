"""Many incidents at once, receivers that fail half of the time, a dispatcher that is killed: what arrives, how often.

Every incident goes to one of four people over every kind of channel: opened, raised to a crisis, resolved. What the
receivers got is held against what the store says was decided.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosmtpd.smtp
import msgspec
from aiohttp import web
from msgspec import Struct
from sqlalchemy import func, select

from monitor.config import directory_of, load
from monitor.engine.changes import Act
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import Wish, incident_id
from monitor.store import Desk, Store
from monitor.store.tables import outbox, receipt
from monitor.store.writer import IncidentWriter
from tests.support.stores import url_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config import Settings

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ("ana", "ben", "carla", "dario")
KINDS = ("webhook", "pagerduty", "alertmanager", "slack", "email", "apprise")
KNOWS = frozenset({"webhook", "pagerduty", "alertmanager"})
"""Receivers that can tell a repeat."""

_INCIDENT = re.compile(r"\bi[0-9a-f]{16}\b")
_MARK = "(may be a repeat)"
_SECRET = "a secret of the tests"  # noqa: S105 -- the tests' own
_PURPOSES = {"PAGE": "first", "CRISIS": "raised", "RESOLVED": "notice"}


class Got(Struct, frozen=True):
    """A send that a receiver took in: what it is about, and whether it said that it may be a repeat."""

    incident: str
    purpose: str
    marked: bool
    at: float


class Receivers:
    """One receiver of each kind. Half of the time each refuses for now, or takes a page in and never answers."""

    def __init__(self, seed: int) -> None:
        self.got: dict[str, list[Got]] = {kind: [] for kind in KINDS}
        self.sends: Counter[str] = Counter()
        self.unanswered: Counter[str] = Counter()
        self.updates = 0
        self.keys: dict[str, tuple[str, str]] = {}
        self.url = ""
        self.smtp_port = 0
        self._dice = random.Random(seed)
        self._runner: web.AppRunner | None = None
        self._smtp: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/{kind}/{rest:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        loop = asyncio.get_running_loop()
        self._smtp = await loop.create_server(lambda: aiosmtpd.smtp.SMTP(self, hostname="tests"), "127.0.0.1", 0)
        self.smtp_port = self._smtp.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._smtp is not None:
            self._smtp.close()

    def _mood(self, kind: str) -> str:
        self.sends[kind] += 1
        roll = self._dice.random()
        if roll < 0.5:
            return "takes"
        return "busy" if roll < 0.9 else "takes and is silent"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        body = json.loads(await request.read())
        if request.path.endswith("chat.update"):
            self.updates += 1
            return web.json_response({"ok": True, "channel": "C1", "ts": "1.0"})
        mood = self._mood(kind)
        if mood == "busy":
            status = self._dice.choice([429, 500, 503])
            return web.Response(status=status, headers={"Retry-After": "1"} if status == 429 else {})
        self._note(kind, body)
        if mood == "takes and is silent":
            self.unanswered[kind] += 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response({"ok": True, "channel": "C1", "ts": f"{self.sends[kind]}.0"})

    def _note(self, kind: str, body: Any) -> None:
        now = time.time()
        if kind == "alertmanager":
            for alert in body:
                labels = alert["labels"]
                over = alert["endsAt"] <= _iso(now + 5)
                if over and labels["severity"] == "page":
                    continue  # the alert with the severity that it had ends, for there is a graver one
                purpose = "notice" if over else {"page": "first", "crisis": "raised"}[labels["severity"]]
                self.got[kind].append(Got(labels["incident"], purpose, marked=False, at=now))
            return
        if kind == "pagerduty":
            incident = body["dedup_key"].partition(":")[0]
            words = {"trigger": body.get("payload", {}).get("severity"), "resolve": "notice"}
            purpose = {"error": "first", "critical": "raised"}.get(words.get(body["event_action"]), "notice")
            self.got[kind].append(Got(incident, purpose, marked=False, at=now))
            return
        title = {
            "webhook": lambda: body["data"]["headline"],
            "slack": lambda: body["text"],
            "apprise": lambda: body["title"],
        }[kind]()
        self._add(kind, title, json.dumps(body), now)

    def _add(self, kind: str, title: str, text: str, now: float) -> None:
        found = _INCIDENT.search(text)
        purpose = _PURPOSES[title.split(maxsplit=1)[0]]
        self.got[kind].append(Got(found[0] if found else "?", purpose, marked=_MARK in title, at=now))

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        """Take a mail, or not."""
        mood = self._mood("email")
        if mood == "busy":
            return "451 busy"
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        text = mail.get_body(("plain",)).get_content()
        self._add("email", str(mail["Subject"]), text, time.time())
        if mood == "takes and is silent":
            self.unanswered["email"] += 1
            server.transport.abort()
        return "250 OK"


class Outcome(Struct, kw_only=True):
    """What became of it, by kind of channel; delays in seconds from the decision to the receipt."""

    pages: dict[str, int] = {}
    sends: dict[str, int] = {}
    repeats: dict[str, int] = {}
    marked: dict[str, int] = {}
    delays: dict[str, list[float]] = {}
    statuses: dict[str, int] = {}
    kills: int = 0
    seconds: float = 0.0
    updates: int = 0
    problems: list[str] = []


async def run(
    folder: Path, *, incidents: int, seconds: float, kills: int, policy: dict[str, float], seed: int = 1
) -> Outcome:
    """Open so many incidents in so many seconds, kill the dispatcher so often, and return what came of it."""
    receivers = Receivers(seed)
    await receivers.start()
    config = _configure(folder, receivers)
    secrets = {"S": _SECRET, "APPRISE": f"{receivers.url.replace('http://', 'json://')}/apprise/hook?rto=3&cto=3"}
    settings = load(config, secrets)
    store = Store(settings.store.url)
    store.migrate()
    dice = random.Random(seed)
    crew = _Crew(config, policy, folder, secrets)
    began = time.time()
    try:
        crew.start()
        first = asyncio.create_task(crew.kill_now_and_then(kills - kills // 2, seconds, dice))
        desk = await _open_and_raise(settings, store, incidents, seconds)
        await first
        await _drained(store)
        second = asyncio.create_task(crew.kill_now_and_then(kills // 2, seconds / 4, dice))
        for name in _names(incidents):
            await desk.do(name, Wish(verb="resolve", by="boss", why="refunded"))
        await second
        await _drained(store)
        took = time.time() - began
        await asyncio.sleep(0.2)
    finally:
        crew.stop()
        await receivers.stop()
    outcome = _judge(store, receivers, incidents, kills, int(policy.get("in_flight", 64)))
    outcome.seconds, outcome.kills = took, kills
    store.close()
    return outcome


async def _open_and_raise(settings: Settings, store: Store, incidents: int, seconds: float) -> Desk:
    routes = directory_of(settings)
    began = time.monotonic()
    for number in range(incidents + max(1, incidents // 10)):
        if (pause := began + seconds * number / incidents - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        if number < incidents:
            await _decide(store, routes, number, "open", "page")
        if number >= max(1, incidents // 10):
            await _decide(store, routes, number - max(1, incidents // 10), "raise", "crisis")
    return Desk(store, routes)


async def _decide(store: Store, routes: Any, number: int, action: Any, severity: Any) -> None:
    view = example_view(umbrella="u", story=f"s{number}", brand=f"b{number % len(PEOPLE)}", headline=f"Matter {number}")
    act = Act(time.time(), view, Decision(action, severity, "going-viral", "many"), None)
    await store.run_retrying(lambda connection: IncidentWriter(connection, routes, time.time()).act(act))


def _names(incidents: int) -> list[str]:
    return [incident_id("u", f"s{number}") for number in range(incidents)]


class _Crew:
    """A dispatcher that is started again after each kill."""

    def __init__(self, config: Path, policy: dict[str, float], folder: Path, secrets: dict[str, str]) -> None:
        self._secrets = secrets
        self._argv = [
            sys.executable,
            "-m",
            "tests.chaos.dispatching",
            str(config),
            msgspec.json.encode(policy).decode(),
        ]
        self._log = (folder / "dispatch.log").open("ab")
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._running = subprocess.Popen(
            self._argv,
            stdout=self._log,
            stderr=self._log,
            cwd=ROOT,
            env={**os.environ, **self._secrets, "PYTHONPATH": path},
        )

    async def kill_now_and_then(self, times: int, seconds: float, dice: random.Random) -> None:
        for _ in range(times):
            await asyncio.sleep(dice.uniform(0.5, 1.5) * seconds / max(1, times) + 1.5)  # it takes a second to start
            self._kill()
            self.start()

    def stop(self) -> None:
        self._kill()
        self._log.close()

    def _kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()


async def _drained(store: Store, patience_s: float = 900.0) -> None:
    """Wait until every page is settled."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not await store.run(lambda: _unsettled(store)):
            return
        await asyncio.sleep(0.25)
    raise AssertionError(f"{_unsettled(store)} pages are not settled after {patience_s:.0f} s")


def _unsettled(store: Store) -> int:
    with store.engine.connect().execution_options(read_only=True) as connection:
        return int(connection.scalar(select(func.count()).where(outbox.c.settled.is_(False))) or 0)


def _judge(store: Store, receivers: Receivers, incidents: int, kills: int, in_flight: int) -> Outcome:
    """Hold what arrived against what was decided."""
    said = Outcome(updates=receivers.updates)
    with store.engine.connect() as connection:
        pages = connection.execute(select(outbox)).all()
        taken = dict(
            connection.execute(
                select(receipt.c.key, func.min(receipt.c.at))
                .where(receipt.c.outcome == "accepted")
                .group_by(receipt.c.key)
            ).all()
        )
    said.statuses = dict(Counter(page.status for page in pages))
    expected = {(kind, name, purpose) for kind in KINDS for name in _names(incidents) for purpose in _PURPOSES.values()}
    decided = {(page.channel.partition("-")[0], page.incident, page.purpose) for page in pages}
    said.problems += [f"never decided: {missing}" for missing in sorted(expected - decided)[:5]]
    for kind in KINDS:
        mine = [page for page in pages if page.channel.startswith(kind)]
        said.pages[kind], said.sends[kind] = len(mine), receivers.sends[kind]
        said.delays[kind] = sorted(taken[page.key] - page.created_at for page in mine if page.key in taken)
        _judge_kind(kind, mine, receivers, said, bound=kills * in_flight)
    return said


def _judge_kind(kind: str, pages: Sequence[Any], receivers: Receivers, said: Outcome, *, bound: int) -> None:
    copies: dict[tuple[str, str], list[Got]] = defaultdict(list)
    for got in receivers.got[kind]:
        copies[got.incident, got.purpose].append(got)
    arrived = {page for page in copies if copies[page]}
    lost = {(page.incident, page.purpose) for page in pages if page.status != "cancelled"} - arrived
    said.problems += [f"{kind}: never arrived: {page}" for page in sorted(lost)[:5]]
    order = () if kind == "alertmanager" else tuple(_PURPOSES.values())  # its feed shows how things are, in any order
    for incident in {page.incident for page in pages}:
        times = [copies[incident, purpose][0].at for purpose in order if copies[incident, purpose]]
        if times != sorted(times):
            said.problems.append(f"{kind}: out of order: {incident}")
    said.repeats[kind] = sum(len(more) - 1 for more in copies.values())
    said.marked[kind] = sum(got.marked for more in copies.values() for got in more[1:])
    if kind in KNOWS:
        return  # it drops what it has
    unmarked = said.repeats[kind] - said.marked[kind]
    if unmarked:
        said.problems.append(f"{kind}: {unmarked} repeats are not marked")
    if said.repeats[kind] > bound + receivers.unanswered[kind]:
        said.problems.append(f"{kind}: {said.repeats[kind]} repeats, more than were in flight")
    if any(len(more) > 2 for more in copies.values()):
        said.problems.append(f"{kind}: a page came three times")


def _configure(folder: Path, receivers: Receivers) -> Path:
    url, port = receivers.url, receivers.smtp_port
    kinds = {
        "webhook": {"url": f"{url}/webhook/pages", "secret_env": "S", "timeout_s": 3},
        "pagerduty": {"url": f"{url}/pagerduty/v2/enqueue", "routing_key": "${S}", "timeout_s": 3},
        "alertmanager": {"urls": [f"{url}/alertmanager"], "timeout_s": 3},
        "slack": {"api": f"{url}/slack/api", "token": "${S}", "channel": "C1", "timeout_s": 3},
        "email": {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "m@example.com", "timeout_s": 3},
        "apprise": {"address": "${APPRISE}"},
    }
    recipients = []
    for person in PEOPLE:
        channels = [{"name": f"{kind}-{person}", "type": kind, **fields} for kind, fields in kinds.items()]
        for channel in channels:
            if channel["type"] == "email":
                channel["to"] = f"{person}@example.org"
        recipients.append({"name": person, "channels": channels})
    config = {
        "store": {"url": url_for(folder / "pages.sqlite")},
        "recipients": recipients,
        "routes": [{"to": [person], "severity": "page", "brands": [f"b{n}"]} for n, person in enumerate(PEOPLE)],
        "pages": {"budget": 0},
        "log": {"level": "error"},
    }
    path = folder / "monitor.yaml"
    path.write_text(json.dumps(config))
    return path


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
