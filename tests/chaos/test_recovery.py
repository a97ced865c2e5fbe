"""What a part that comes back finds: a dead neighbour, a broker that was away, another topic, an older store."""

from __future__ import annotations

import asyncio
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import select

from monitor.engine import partition_of
from monitor.store.tables import partition_state
from tests.chaos.run import Fault, Report, judge, run, settled
from tests.chaos.script import UMBRELLAS, Script, write
from tests.chaos.stage import PARTITIONS, Stage
from tests.support.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from monitor.stream.embedded import EmbeddedBroker
    from tests.support.kafka import ApacheKafka

    Build = Callable[..., Awaitable[Stage]]

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow]

FENCED = re.compile(r"^watch ended with \d after signal None(.|\n)*another worker owns it")
CALM = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def script() -> Script:
    return write(3200, seed=5)


@pytest.fixture
async def build(tmp_path: Path, script: Script) -> AsyncIterator[Build]:
    stages: list[Stage] = []

    async def make(broker: EmbeddedBroker | ApacheKafka, **options: Any) -> Stage:
        stages.append(await Stage.build(tmp_path / f"run-{len(stages)}", broker, script, **options))
        return stages[-1]

    yield make
    for stage in stages:
        await stage.close()


def _offsets(stage: Stage) -> dict[int, int]:
    with stage.store.engine.connect().execution_options(read_only=True) as connection:
        return {row.partition: row.next_offset for row in connection.execute(select(partition_state))}


async def _until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 -- other processes move it
            await asyncio.sleep(0.05)


async def _ended(stage: Stage, script: Script) -> Report:
    """Let it come to its end in peace, stop everybody, and hold it against what was published."""
    async with asyncio.timeout(150):
        await settled(stage)
    await stage.stop()
    report = Report()
    await judge(stage, script, report)
    return report


@pytest.mark.kafka
async def test_after_kill_9_of_a_watching_worker_the_next_page_comes_within_20_seconds(
    build: Build, own_kafka: ApacheKafka, script: Script
):
    stage = await build(own_kafka, session_timeout_ms=10_000, moods=CALM)
    stage.start(score=1, watch=2, dispatch=1)
    for member in stage.crew("watch"):
        await member.until('"assigned"')
    publishing = asyncio.create_task(stage.publish(script.records, window=600))
    await _until(lambda: len(stage.receiver.taken) >= 16)
    killed = time.time()
    stage.crew("watch")[0].kill()  # nobody starts it again
    owners = {name.lower(): partition_of(name.lower(), PARTITIONS) for name in UMBRELLAS}

    def first_pages() -> dict[int, float]:
        first: dict[int, float] = {}
        for page in stage.receiver.taken.values():
            if page.at > killed:
                first.setdefault(owners[page.data["umbrella"]], page.at - killed)
        return first

    await _until(lambda: len(first_pages()) == len(set(owners.values())), timeout_s=40)
    assert max(first_pages().values()) < 20.0, first_pages()
    await publishing
    report = await _ended(stage, script)
    assert not report.problems, "\n".join(report.problems)


@pytest.mark.kafka
async def test_a_broker_that_goes_away_is_waited_for(build: Build, own_kafka: ApacheKafka, script: Script):
    report = await run(await build(own_kafka), script, [Fault(0.3, "broker", signal.SIGKILL, away_s=15.0)])
    assert not report.problems, "\n".join(report.problems)
    assert len(report.endings) == 3, "a worker did not go on by itself"


@pytest.mark.kafka
async def test_a_worker_that_hung_and_comes_back_writes_nothing_twice(
    build: Build, own_kafka: ApacheKafka, script: Script
):
    stage = await build(own_kafka)
    faults = [Fault(share, role, signal.SIGSTOP, away_s=10.0) for share, role in ((0.2, "watch"), (0.5, "score"))]
    report = await run(stage, script, faults, crew={"score": 2, "watch": 2, "dispatch": 1})
    # A watching worker may find that its partition has gone: then it ends, and starts again.
    problems = [problem for problem in report.problems if not FENCED.search(problem)]
    assert not problems, "\n".join(problems)


async def test_a_cluster_made_anew_under_a_kept_store_stops_the_watcher_with_the_mend(
    build: Build, own_embedded: EmbeddedBroker, script: Script
):
    stage = await build(own_embedded)
    stage.start()
    await stage.publish(script.records[:600])
    await settled(stage)
    await stage.stop()
    before = _offsets(stage)
    own_embedded.restart()  # empty, and another cluster
    await _stops_with_the_mend(stage, before)


@pytest.mark.kafka
async def test_a_topic_made_anew_under_a_kept_store_stops_the_watcher_with_the_mend(
    build: Build, kafka_broker: ApacheKafka, script: Script
):
    stage = await build(kafka_broker)
    stage.start()
    await stage.publish(script.records[:600])
    await settled(stage)
    await stage.stop()
    before = _offsets(stage)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    await admin.start()
    await admin.delete_topics([stage.settings.kafka.topics.readings])
    await admin.close()
    await _stops_with_the_mend(stage, before)


async def _stops_with_the_mend(stage: Stage, before: dict[int, int]) -> None:
    worker = await asyncio.to_thread(_run, stage, "watch")
    assert worker.returncode not in (0, None)
    assert "monitor offsets reset" in worker.stderr
    assert "was made anew" in worker.stderr
    assert _offsets(stage) == before, "something was skipped"
    assert (await asyncio.to_thread(_run, stage, "offsets", "reset", "--yes")).returncode == 0
    stage.members.clear()
    stage.start(watch=1)
    await stage.members[0].until('"assigned"')
    await stage.stop()
    assert [ending.code for ending in stage.members[0].endings] == [0]


def _run(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "monitor", *words, "--config", str(stage.file)]
    return subprocess.run(argv, capture_output=True, text=True, env=stage.env, timeout=40, check=False)


async def test_a_store_set_back_by_a_thousand_mentions_loses_nothing_and_counts_nothing_twice(
    build: Build, own_broker: EmbeddedBroker | ApacheKafka, script: Script, tmp_path: Path
):
    file, backup = tmp_path / "monitor.sqlite", tmp_path / "backup.sqlite"
    stage = await build(own_broker, moods=CALM, store={"url": f"sqlite:///{file}"})
    stage.start()
    await stage.publish(script.records[:1600], tail=False)
    await settled(stage)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    await stage.publish(script.records[1600:2600], tail=False)
    await settled(stage)
    await stage.stop()

    stage.store.engine.dispose()
    for name in ("monitor.sqlite-wal", "monitor.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    backup.replace(file)
    stage.members.clear()
    stage.start()
    await stage.publish(script.records[2600:])
    report = await _ended(stage, script)
    # Decided anew, a page may say a voice more or less than the first time; its key is what the receiver goes by.
    problems = [problem for problem in report.problems if "came again with another text" not in problem]
    assert not problems, "\n".join(problems)
    assert stage.receiver.again, "the pages in between come again, under their old keys"


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    binaries = Postgres.binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install Debian's package postgresql")
    pytest.importorskip("psycopg", reason="no driver: pip install 'mention-monitor[postgres]'")
    with Postgres(binaries) as server:
        yield server


async def test_postgresql_killed_and_set_back_to_an_older_copy_loses_nothing_and_counts_nothing_twice(
    build: Build, own_broker: EmbeddedBroker | ApacheKafka, script: Script, postgres: Postgres
):
    stage = await build(own_broker, moods=CALM, store={"url": postgres.url})
    stage.start()
    await stage.publish(script.records[:1000], tail=False)
    await settled(stage)
    copied = await asyncio.to_thread(postgres.copy)  # connections break; the workers go on by themselves
    told_before = set(stage.receiver.taken)
    await stage.publish(script.records[1000:2000], tail=False)
    await settled(stage)
    sent_since = set(stage.receiver.taken) - told_before

    stage.store.engine.dispose()
    await asyncio.to_thread(postgres.restore, copied)
    await stage.publish(script.records[2000:])
    report = await _ended(stage, script)
    # A worker whose memory is ahead of the store set back under it is fenced, ends, and starts again from the store.
    # Decided anew, a page may say a voice more or less than the first time; its key is what the receiver goes by.
    problems = [
        problem
        for problem in report.problems
        if "came again with another text" not in problem and not FENCED.match(problem)
    ]
    assert not problems, "\n".join(problems)
    assert sent_since, "the script pages in between"
    again = set(stage.receiver.again)
    assert again, "the pages in between come again, under their old keys"
    assert again <= sent_since, "only pages sent since the copy come again"
    assert len(stage.receiver.again) == len(again), "each of them once"


async def test_a_locked_store_is_waited_for(
    build: Build, own_broker: EmbeddedBroker | ApacheKafka, script: Script, tmp_path: Path
):
    file = tmp_path / "monitor.sqlite"
    stage = await build(own_broker, store={"url": f"sqlite:///{file}"})
    stage.start()
    publishing = asyncio.create_task(stage.publish(script.records))
    await _until(lambda: len(stage.receiver.taken) >= 4)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    before = _offsets(stage)
    await asyncio.sleep(12)
    assert _offsets(stage) == before
    other.execute("ROLLBACK")
    other.close()
    await publishing
    report = await _ended(stage, script)
    assert not report.problems, "\n".join(report.problems)
    assert '"what": "store"' in stage.crew("watch")[0].log.read_text()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: a full disk is a limit on the file's size")
async def test_a_full_disk_is_waited_for(
    build: Build, own_broker: EmbeddedBroker | ApacheKafka, script: Script, tmp_path: Path
):
    stage = await build(own_broker, store={"url": f"sqlite:///{tmp_path}/monitor.sqlite"})
    stage.start()
    publishing = asyncio.create_task(stage.publish(script.records))
    await _until(lambda: len(stage.receiver.taken) >= 4)
    watch = stage.crew("watch")[0]
    assert watch.pid is not None
    _, most = resource.prlimit(watch.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(watch.pid, resource.RLIMIT_FSIZE, (200_000, most))
    await watch.until('"what": "store"', 30)
    await asyncio.sleep(5)
    resource.prlimit(watch.pid, resource.RLIMIT_FSIZE, (most, most))
    await publishing
    report = await _ended(stage, script)
    assert not report.problems, "\n".join(report.problems)


@pytest.mark.parametrize("weights", ["missing", "truncated"])
async def test_a_model_that_cannot_be_loaded_is_one_clear_error(
    build: Build, broker: EmbeddedBroker | ApacheKafka, tmp_path: Path, weights: str
):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.json").write_text('{"name": "cut')
    if weights == "missing":
        shutil.rmtree(folder)
    stage = await build(broker, stub=False, model={"path": str(folder)})
    worker = await asyncio.to_thread(_run, stage, "score")
    assert worker.returncode not in (0, None)
    assert str(folder) in worker.stderr
    assert "Traceback" not in worker.stderr
