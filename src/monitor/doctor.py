"""`monitor doctor`: is everything there that the workers need? What is not is told with what to do about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from monitor.brand import BrandTree
from monitor.config import ConfigError, RouteError, Settings, directory_of, find, load
from monitor.escalation.rulefile import RuleFileError, load_rules
from monitor.mention import FileError
from monitor.oncall import OnCallFileError
from monitor.page.dispatcher import check_receivers
from monitor.page.worker import notifiers_of
from monitor.sentiment import ModelError
from monitor.store import Store, StoreError, WatchStore
from monitor.stream.embedded import is_embedded
from monitor.stream.groups import member_hosts
from monitor.stream.identity import UNREACHABLE, connected, topic_identities
from monitor.stream.model import scorer_of
from monitor.stream.offsets import standings
from monitor.stream.topics import TopicError, client_options, topic_plans, verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Grade = Literal["ok", "warn", "FAIL"]

NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ncpfs",
        "glusterfs",
        "ceph",
        "lustre",
        "beegfs",
        "gpfs",
    }
)
"""File systems on which SQLite's locks are not to be trusted (https://www.sqlite.org/wal.html, point 2)."""

ENOUGH_BYTES = 1 << 30
TOO_LITTLE_BYTES = 100 << 20
_SHIPPED_SQLITE = (3, 35, 0)


class Finding(Struct, frozen=True):
    """What was looked at, how it stands, and, if it does not stand well, what to do."""

    grade: Grade
    what: str
    detail: str


def run(path: Path | None = None, *, environ: dict[str, str] | None = None) -> int:
    """Check everything and print it; return 0, or 1 where something fails."""
    failed = False
    for finding in asyncio.run(_all(path, environ)):
        first, *more = finding.detail.splitlines() or [""]
        sys.stdout.write(f"{finding.grade:<4}  {finding.what:<14}  {first}\n")
        sys.stdout.writelines(f"{'':<22}{line}\n" for line in more)
        failed |= finding.grade == "FAIL"
    sys.stdout.write("something has to be done before the workers can run\n" if failed else "ready\n")
    return 1 if failed else 0


async def _all(path: Path | None, environ: dict[str, str] | None) -> list[Finding]:
    environment = dict(os.environ) if environ is None else environ
    try:
        settings = load(path, environment)
    except ConfigError as error:
        return [Finding("FAIL", "configuration", str(error))]
    source = find(path, environment)
    first = Finding("ok", "configuration", str(source) if source else "no file, all defaults (and the environment)")
    return [first, *await examine(settings)]


async def examine(settings: Settings) -> list[Finding]:
    """Return what there is to say about everything that the settings name."""
    findings = [
        *_brands(settings),
        *_rules(settings),
        *_oncall(settings),
        *_store(settings),
        *await asyncio.to_thread(_model, settings),
    ]
    findings += [finding async for finding in _kafka(settings)]
    findings += [finding async for finding in _receivers(settings)]
    return findings


# -- brands and model


def _brands(settings: Settings) -> Iterator[Finding]:
    if settings.brands is None:
        yield Finding("ok", "brands", "no file: every brand that a mention names is a brand of its own")
        return
    try:
        tree = BrandTree.load(settings.brands)
        directory_of(settings, tree)
    except OnCallFileError:
        pass  # said of the on-call file below
    except (FileError, RouteError) as error:
        yield Finding("FAIL", "brands", str(error))
        return
    yield Finding("ok", "brands", f"{settings.brands}: {len(tree.nodes)} in {len(tree.roots)} umbrellas")


def _rules(settings: Settings) -> Iterator[Finding]:
    try:
        tree = BrandTree.load(settings.brands) if settings.brands is not None else None
        rules = load_rules(settings.rules, tree, {route.name for route in settings.routes if route.name})
    except FileError:
        return  # said of the brands already
    except RuleFileError as error:
        yield Finding("FAIL", "rules", str(error))
        return
    yield Finding("ok", "rules", f"{settings.rules or 'the shipped ones'}: {len(rules.everything)}, {rules.version}")


def _oncall(settings: Settings) -> Iterator[Finding]:
    if settings.oncall is None:
        yield Finding("ok", "on call", "no file: pages go to recipients by name, and nobody is paged again")
        return
    try:
        found = directory_of(settings).oncall
    except FileError:
        return  # said of the brands already
    except (OnCallFileError, RouteError) as error:
        yield Finding("FAIL", "on call", str(error))
        return
    said = f"{len(found.rotas)} rotas, {len(found.ladders)} ladders, never nobody in the next 400 days"
    yield Finding("ok", "on call", f"{settings.oncall}: {said}")


def _model(settings: Settings) -> list[Finding]:
    model = settings.model
    if model.path is not None and not (model.path / "model.json").is_file():
        return [Finding("FAIL", "model", f"{model.path} holds no weights (model.json): correct model.path")]
    began = time.monotonic()
    try:
        scorer = scorer_of(settings)
        reading = scorer.read(["Two hours on hold, and then they hung up."])[0]
    except (ModelError, FileError) as error:
        return [Finding("FAIL", "model", str(error))]
    took = time.monotonic() - began
    if reading.sentiment is None:
        return [Finding("warn", "model", f"{scorer.name} loads, but reads no plain English ({reading.unread})")]
    grade: Grade = "warn" if model.stub else "ok"
    note = ": a list of words, for tests" if model.stub else ""
    return [Finding(grade, "model", f"{scorer.name} by {scorer.runtime}, loaded and tried in {took:.1f} s{note}")]


# -- the store


def _store(settings: Settings) -> list[Finding]:
    try:
        url = make_url(settings.store.url)
        if url.get_backend_name() == "sqlite":
            return list(_sqlite(Path(url.database) if url.database and url.database != ":memory:" else None))
        return list(_server(settings.store.url))
    except (ArgumentError, NoSuchModuleError, StoreError, ValueError) as error:
        said = str(error).splitlines()[0]
        return [Finding("FAIL", "store", f"store.url cannot be understood ({said}): see docs/configuration.md")]


def _sqlite(file: Path | None) -> Iterator[Finding]:
    if file is None:
        yield Finding("FAIL", "store", "a store in memory is not shared by the workers: name a file in store.url")
        return
    if sqlite3.sqlite_version_info < _SHIPPED_SQLITE:
        yield Finding("FAIL", "store", f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed")
    folder = file.absolute().parent
    existing = next(above for above in (folder, *folder.parents) if above.exists())
    kind = filesystem_of(existing)
    if kind in NETWORK or (kind or "").startswith(
        ("fuse.sshfs", "fuse.gluster", "fuse.ceph", "fuse.s3", "fuse.rclone")
    ):
        yield Finding(
            "FAIL",
            "store",
            f"{folder} is on a network file system ({kind}), where SQLite loses data: "
            "put it on a local disk, or use PostgreSQL",
        )
    if not os.access(existing, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
        yield Finding("FAIL", "store", f"{file} cannot be written by this user: mend its rights, or name another file")
        return
    free = shutil.disk_usage(existing).free
    if free < ENOUGH_BYTES:
        grade: Grade = "FAIL" if free < TOO_LITTLE_BYTES else "warn"
        yield Finding(grade, "store", f"only {free >> 20} MB are free for {file}: make room")
    if not file.exists():
        yield Finding("ok", "store", f"{file} will be made at the first start")
        return
    yield _tried(f"sqlite:///{file}", str(file))


def _server(url: str) -> Iterator[Finding]:
    shown = make_url(url).render_as_string(hide_password=True)
    try:
        yield _tried(url, shown)
    except ImportError:
        yield Finding("FAIL", "store", f"{shown} needs its driver: pip install 'mention-monitor[postgres]'")


def _tried(url: str, shown: str) -> Finding:
    """Begin a transaction that may write, and give it up."""
    store = Store(url)
    try:
        with store.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            if not store.is_sqlite:
                may = connection.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')"))
                if not may:
                    return Finding("FAIL", "store", f"{shown}: this user may not make tables: GRANT CREATE ON SCHEMA")
            connection.rollback()
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        mend = (
            "another program holds it, or it is no SQLite file" if store.is_sqlite else "start it, or correct store.url"
        )
        return Finding("FAIL", "store", f"{shown} does not answer ({said}): {mend}")
    finally:
        store.close()
    return Finding("ok", "store", shown)


def filesystem_of(path: Path, mounts: str | None = None) -> str | None:
    r"""Return the type of the file system that a path is on, from the kernel's table of mounts; None if unknown.

    >>> filesystem_of(Path("/data/x"), "a / ext4 rw 0 0\nb /data nfs4 rw 0 0\nc /dat xfs rw 0 0")
    'nfs4'
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None  # not Linux
        path = path.resolve()
    best, kind = -1, None
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = Path(fields[1].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


# -- the broker


async def _kafka(settings: Settings) -> AsyncIterator[Finding]:
    kafka = settings.kafka
    try:
        client = client_options(kafka, name="monitor-doctor")
    except OSError as error:
        yield Finding("FAIL", "broker", f"a file of kafka.security cannot be read ({error}): correct it")
        return
    plans = topic_plans(kafka)
    try:
        async with connected(client) as ready:
            found = await topic_identities(ready, [plan.name for plan in plans])
    except UNREACHABLE as error:
        yield Finding("FAIL", "broker", str(error))
        return
    cluster = next((one.cluster for one in found.values()), None)
    if is_embedded(cluster):
        yield Finding(
            "warn", "broker", f"{kafka.bootstrap} is the embedded broker: it forgets everything when it stops"
        )
    else:
        yield Finding("ok", "broker", kafka.bootstrap + (f", cluster {cluster}" if cluster else ""))
    for plan in plans:
        topic = found.get(plan.name)
        try:
            if topic is not None or not kafka.create_topics:
                verify(plan, topic)
        except TopicError as error:
            yield Finding("FAIL", "topic", str(error))
            continue
        made = f"{topic.partitions} partitions" if topic else f"will be made with {plan.partitions} partitions"
        yield Finding("ok", "topic", f"{plan.name}: {made}")
    if kafka.topics.readings in found:
        async for finding in _agreement(settings, client):
            yield finding
    async for finding in _hosts(settings, client):
        yield finding


async def _agreement(settings: Settings, client: dict[str, object]) -> AsyncIterator[Finding]:
    """Does the store belong to these topics?"""
    if not _store_exists(settings):
        return
    store = Store(settings.store.url)
    try:
        found = await standings(client, settings.kafka.topics.readings, WatchStore(store, directory_of(settings)))
    except (SQLAlchemyError, StoreError, *UNREACHABLE):
        return  # a store without tables yet; whatever else is wrong has been said already
    finally:
        store.close()
    problems = {one.problem for one in found if one.problem}
    for problem in sorted(problems):
        yield Finding(
            "FAIL", "offsets", f"{problem}: see `monitor offsets show`; `monitor offsets reset` starts anew on purpose"
        )
    if not problems:
        yield Finding("ok", "offsets", "the store belongs to these topics")


def _url(settings: Settings) -> URL | None:
    try:
        return make_url(settings.store.url)
    except ArgumentError:
        return None  # said already


def _store_exists(settings: Settings) -> bool:
    url = _url(settings)
    if url is None:
        return False
    return url.get_backend_name() != "sqlite" or (bool(url.database) and Path(str(url.database)).is_file())


async def _hosts(settings: Settings, client: dict[str, object]) -> AsyncIterator[Finding]:
    """SQLite serves one host."""
    url = _url(settings)
    if url is None or url.get_backend_name() != "sqlite":
        return
    try:
        hosts = await member_hosts(client, settings.kafka.watch_group)
    except (ValueError, *UNREACHABLE):
        return  # the broker does not tell
    if len(hosts) > 1:
        yield Finding(
            "FAIL",
            "hosts",
            f"watch workers run on {len(hosts)} hosts, but the store is SQLite, which serves one: use PostgreSQL",
        )


# -- receivers


async def _receivers(settings: Settings) -> AsyncIterator[Finding]:
    if not settings.channels:
        yield Finding("FAIL", "receivers", "nobody can be paged: add recipients with channels")
        return
    notifiers = notifiers_of(settings)
    try:
        problems = await check_receivers(notifiers.values())
    finally:
        for notifier in notifiers.values():
            await notifier.close()
    for name in notifiers:
        if name in problems:
            yield Finding("FAIL", "receivers", f"{name}: {problems[name]}: start it, or correct its address")
        else:
            yield Finding("ok", "receivers", name)
