"""One run: publish a script under load while parts die, and count outside the pipeline what came of it."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import func, select

from monitor.incident import Acknowledged, IllegalChange, Resolved
from monitor.store.tables import outbox, seen, story
from tests.chaos.crew import ROLES, Ending, Role
from tests.chaos.script import Expected, Script, expected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.stage import Stage

PATIENCE_S = 90.0
"""Real seconds without progress after which a run is given up."""

PERSON = "pat"


class Fault(Struct, frozen=True):
    """Send `signal` to a worker once the share `after` of all mentions is accounted for, and `delay_s` later.

    `role` `broker`: kill the broker and start it with its data, `away_s` later. SIGSTOP: let the worker go on after
    `away_s`, as a machine that hung would.
    """

    after: float
    role: str
    signal: int
    delay_s: float = 0.0
    away_s: float = 1.0


class Report(Struct):
    """What a run came to. `problems` is empty when every promise was kept.

    `incidents` are compared with those of other runs: umbrella, story, kind. Not the rule and severity: partitions of
    `mentions` are read in no fixed order, and a story at the edge of a crisis may fall on either side. Not the brand
    below the umbrella: it is the one that most of the story spoke of when it was opened, and that moment may differ by
    a tick.
    """

    mentions: int = 0
    faults: int = 0
    account: dict[str, int] = {}
    wanted: dict[str, int] = {}
    pages: int = 0
    arrived: int = 0
    raw_repeats: int = 0
    dead_repeats: int = 0
    acknowledged: int = 0
    seconds: float = 0.0
    incidents: frozenset[tuple[str, ...]] = frozenset()
    keys: frozenset[str] = frozenset()
    endings: list[Ending] = []
    problems: list[str] = []

    @property
    def openings(self) -> set[str]:
        """The keys of the pages that opened an incident; whether it was raised later hangs on the edge."""
        return {key for key in self.keys if ":first:" in key}


def plan(seed: int, *, each: int = 2, broker: bool = False, away_s: float = 1.0) -> tuple[Fault, ...]:
    """Draw up the faults: `each` SIGTERM and `each` SIGKILL for every worker, at random shares of the run.

    `broker`: and one kill of the broker, which starts again after `away_s`.
    """
    dice = random.Random(seed)
    kinds: list[tuple[str, int]] = [
        (role, number) for role in ROLES for number in (signal.SIGTERM, signal.SIGKILL) for _ in range(each)
    ]
    dice.shuffle(kinds)
    if broker:
        kinds.insert(dice.randrange(2, len(kinds) - 1), ("broker", signal.SIGKILL))
    places = sorted(dice.uniform(0.03, 0.92) for _ in kinds)
    for i in range(1, len(places)):
        if dice.random() < 0.25:
            places[i] = places[i - 1]  # two at once
    return tuple(
        Fault(after, role, number, dice.uniform(0.0, 0.6)) for after, (role, number) in zip(places, kinds, strict=True)
    )


async def run(
    stage: Stage, script: Script, faults: Sequence[Fault] = (), crew: Mapping[str, int] | None = None
) -> Report:
    """Run a script to its end and account for everything. `crew`: how many of each worker; one of each by default."""
    began = time.monotonic()
    report = Report(mentions=len(script.records))
    stage.start(**(crew or {}))
    everything = asyncio.create_task(_everything(stage, script, faults, report))
    watchdog = asyncio.create_task(_watch(stage))
    enough = asyncio.Event()
    people = asyncio.create_task(_people(stage, enough))
    try:
        done, _ = await asyncio.wait({everything, watchdog, people}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        enough.set()
        await people
        await _end_half(stage)
        await _delivered(stage)
    except RunStuckError as error:
        report.problems.append(str(error))
    finally:
        for task in (everything, watchdog, people):
            task.cancel()
        await asyncio.gather(everything, watchdog, people, return_exceptions=True)
    await stage.stop()
    report.seconds = time.monotonic() - began
    await judge(stage, script, report)
    _judge_people(stage, report)
    return report


class RunStuckError(RuntimeError):
    """Nothing moved any more; the text says where it stood."""


async def _everything(stage: Stage, script: Script, faults: Sequence[Fault], report: Report) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.publish(script.records))
        tasks.create_task(_faults(stage, len(script.records), faults, report))
    await settled(stage)


async def settled(stage: Stage) -> None:
    """Wait until everything published is accounted for and every page is delivered."""
    while (await stage.account()).total < stage.published:  # noqa: ASYNC110 -- other processes move it
        await asyncio.sleep(0.1)
    await _delivered(stage)


async def _faults(stage: Stage, mentions: int, faults: Sequence[Fault], report: Report) -> None:
    dice = random.Random(len(faults))
    for fault in faults:
        while (await stage.account()).total < fault.after * mentions:  # noqa: ASYNC110 -- others move it
            await asyncio.sleep(0.05)
        await asyncio.sleep(fault.delay_s)
        if fault.role == "broker":
            await asyncio.to_thread(stage.broker.kill)
            await asyncio.sleep(fault.away_s)
            await asyncio.to_thread(stage.broker.start)
        else:
            role: Role = fault.role  # type: ignore[assignment]  # of ROLES, see `plan`
            member = dice.choice(stage.crew(role))
            while not member.send(fault.signal):  # noqa: ASYNC110 -- until it is started again
                await asyncio.sleep(0.05)
            if fault.signal == signal.SIGSTOP:
                await asyncio.sleep(fault.away_s)
                member.send(signal.SIGCONT)
        report.faults += 1


async def _watch(stage: Stage) -> None:
    """Raise when nothing has moved for long."""
    last: Any = None
    since = time.monotonic()
    while True:
        account, depth = await stage.account(), await _unsettled(stage)
        if (account, depth, stage.published) != last:
            last, since = (account, depth, stage.published), time.monotonic()
        elif time.monotonic() - since > PATIENCE_S:
            tails = "\n".join(f"-- {member.name}\n{member.tail()}" for member in stage.members)
            raise RunStuckError(
                f"stuck: {account.total} of {stage.published} published accounted for, {depth} pages open\n{tails}"
            )
        await asyncio.sleep(1.0)


async def _people(stage: Stage, enough: asyncio.Event) -> None:
    """Acknowledge each incident soon after it is there, to the last: a person among the workers' batches."""
    seen: set[str] = set()
    while True:
        last = enough.is_set()
        for incident in await stage.store.retry(lambda: stage.incidents.all(active=True)):
            if incident.id not in seen:
                seen.add(incident.id)
                await stage.incidents.change(incident.id, Acknowledged(at=incident.updated_at, by=PERSON))
        if last:
            return
        await asyncio.sleep(0.3)


async def _end_half(stage: Stage) -> None:
    """Resolve every other incident, so that lanes get a second page."""
    active = await stage.store.retry(lambda: stage.incidents.all(active=True))
    for incident in sorted(active, key=lambda incident: incident.id)[::2]:
        try:
            await stage.incidents.change(incident.id, Resolved(at=incident.updated_at + 1, by=PERSON))
        except IllegalChange:
            continue


async def _unsettled(stage: Stage) -> int:
    def work() -> int:
        with stage.store.engine.connect().execution_options(read_only=True) as connection:
            query = select(func.count()).select_from(outbox).where(outbox.c.settled.is_(False))
            return int(connection.scalar(query) or 0)

    return await stage.store.retry(work)


async def _delivered(stage: Stage) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while await _unsettled(stage):
        if time.monotonic() > deadline:
            raise RunStuckError(f"{await _unsettled(stage)} pages are still open")
        await asyncio.sleep(0.1)


# -- counting outside


async def judge(stage: Stage, script: Script, report: Report) -> None:
    """Hold the store, the dead letters and the receiver against what stands in the topic of mentions."""
    names = stage.settings.kafka.topics
    records = [r for r in await stage.read_topic(names.mentions) if not r.headers]
    want = expected(script, [r.value for r in records])
    if len(records) != len(script.records):
        report.problems.append(f"{len(script.records)} were to be published, {len(records)} stand in the topic")
    account = await stage.account()
    report.wanted = want.account
    report.account = {name: n for name in account.__struct_fields__ if (n := getattr(account, name))}
    if report.account != want.account:
        report.problems.append(f"account {report.account}, expected {want.account}")
    dead = await stage.read_topic(names.dead)
    origins = Counter(_origin(letter) for letter in dead)
    report.dead_repeats = len(dead) - len(origins)
    if len(origins) != want.dead:
        report.problems.append(f"{len(origins)} dead letters, expected {want.dead}")
    _judge_stories(stage, want, report)
    _judge_pages(stage, report)
    report.endings = [ending for member in stage.members for ending in member.endings]
    report.problems += [
        f"{e.role} ended with {e.code} after signal {e.asked}, {e.took_s:.1f} s:\n{e.last}"
        for e in report.endings
        if not e.clean
    ]


def _origin(letter: Any) -> tuple[bytes, ...]:
    headers = dict(letter.headers)
    return headers["topic"], headers["partition"], headers["offset"]


def _judge_stories(stage: Stage, want: Expected, report: Report) -> None:
    """Hold the ids seen and each story's own size against what was published."""
    with stage.store.engine.connect() as connection:
        rows = connection.execute(select(seen).where(seen.c.state == "stored")).all()
        stories = {(row.umbrella, row.story): row for row in connection.execute(select(story))}
    found = {(row.key, row.umbrella) for row in rows}
    if found != want.rows:
        report.problems.append(f"ids seen: {len(want.rows - found)} missing, {len(found - want.rows)} too many")
    sizes: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name = row.story
        while (row.umbrella, name) in stories and stories[row.umbrella, name].merged_into is not None:
            name = stories[row.umbrella, name].merged_into
        sizes[row.umbrella, name] += row.key not in want.gone
    told = {name: stories[name].size if name in stories else 0 for name in sizes}
    wrong = [f"{name} {told[name]} for {n}" for name, n in sizes.items() if n and told[name] != n]
    if wrong:
        report.problems.append(f"{len(wrong)} stories have a wrong size: {', '.join(wrong[:5])}")


def _judge_pages(stage: Stage, report: Report) -> None:
    receiver = stage.receiver
    rows = stage.incidents.pages()
    report.pages, report.arrived, report.raw_repeats = len(rows), len(receiver.taken), len(receiver.again)
    report.keys = frozenset(row["key"] for row in rows)
    if report.keys != set(receiver.taken):
        missing, extra = report.keys - set(receiver.taken), set(receiver.taken) - report.keys
        report.problems.append(f"pages: {len(missing)} never arrived, {len(extra)} that are not in the outbox")
    report.problems += [f"page {row['key']} is {row['status']}" for row in rows if row["status"] != "accepted"]
    report.problems += [f"page {key} came again with another text" for key in receiver.altered]
    if receiver.refused:
        report.problems.append(f"{receiver.refused} requests had a wrong signature")
    sequence = {row["key"]: ((row["incident"], row["recipient"], row["channel"]), row["sequence"]) for row in rows}
    lanes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for key in receiver.taken:
        if key in sequence:
            lane, number = sequence[key]
            lanes[lane].append(number)
    report.problems += [f"lane {lane} arrived as {came}" for lane, came in lanes.items() if came != sorted(came)]


def _judge_people(stage: Stage, report: Report) -> None:
    incidents = stage.incidents.all()
    report.incidents = frozenset((i.umbrella, i.story, i.kind) for i in incidents)
    for incident in incidents:
        log = stage.incidents.log(incident.id)
        acknowledged = sum(isinstance(event, Acknowledged) for event in log)
        report.acknowledged += acknowledged
        if acknowledged != 1 or incident.owner != PERSON:
            report.problems.append(
                f"incident {incident.id} has {acknowledged} acknowledgements and the owner {incident.owner}"
            )
