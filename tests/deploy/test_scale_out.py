"""More and fewer workers under load, as real processes: nothing is lost or counted twice; how long it pauses."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from ruamel.yaml import YAML

from monitor.store import Store, read_account
from monitor.stream.embedded import free_port
from tests.deploy.house import Worker, slug, until
from tests.support.stores import fresh_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTITIONS = 8
UMBRELLAS = tuple(f"Brand {name}" for name in ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel",
                                                "Ivy", "Juniper", "Kapok", "Larch"))  # fmt: skip
RATE = 100
"""Mentions a second."""
SETTLE_S = 4.0
"""Seconds of load after each change."""
PAUSE_S = 25.0
"""No change may keep the whole for longer; a killed worker is noticed after the session's time-out of 6 s."""


class Load(threading.Thread):
    """Publishes without end; knows how many mentions name a brand."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._broker, self._topic = bootstrap, topic
        self.ended = threading.Event()
        self.named = self.all = 0

    def run(self) -> None:
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        dice = random.Random(2)
        async with AIOKafkaProducer(bootstrap_servers=self._broker, linger_ms=5) as producer:
            while not self.ended.is_set():
                began = time.monotonic()
                sent = []
                for _ in range(RATE // 10):
                    named = dice.random() < 0.9
                    words = " ".join("".join(dice.choices("abcdefghijklmnop", k=7)) for _ in range(6))
                    text = f"{dice.choice(UMBRELLAS) if named else 'nobody'} {words}"
                    said = {
                        "id": str(self.all),
                        "source": "twitter",
                        "text": text,
                        "published_at": datetime.now(UTC).isoformat(),
                    }
                    value = json.dumps(said).encode()
                    sent.append(await producer.send(self._topic, value, partition=self.all % PARTITIONS))
                    self.all += 1
                    self.named += named
                await asyncio.gather(*sent)
                await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))


class Watching(threading.Thread):
    """Looks at the account many times a second; knows the longest time in which nothing was counted."""

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True)
        self._store = store
        self.ended = threading.Event()
        self.total = 0
        self._grew_at = time.monotonic()
        self._longest = 0.0

    def run(self) -> None:
        while not self.ended.wait(0.05):
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                total = read_account(connection).total
            now = time.monotonic()
            if total != self.total:
                self.total, self._grew_at = total, now
            self._longest = max(self._longest, now - self._grew_at)

    def longest(self) -> float:
        """Return it, counted from the last time that it was asked for."""
        found, self._longest = self._longest, 0.0
        return found


@pytest.fixture
def store_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    from tests.support.postgres import Postgres  # noqa: PLC0415 -- only this fixture needs it

    binaries = Postgres.binaries()
    if binaries is None:
        with fresh_url(tmp_path / "store.db") as url:
            yield url
        return
    with Postgres(binaries) as server:
        yield server.url


def test_workers_come_and_go_under_load(tmp_path, broker, store_url, prefix, capsys):
    topics = {name: f"{prefix}-{name}" for name in ("mentions", "readings", "dead", "incidents")}
    config: dict[str, Any] = {
        "kafka": {
            "bootstrap": broker.bootstrap,
            "mentions_partitions": PARTITIONS,
            "readings_partitions": PARTITIONS,
            "session_timeout_ms": 6000,
            "score_group": f"{prefix}-score",
            "watch_group": f"{prefix}-watch",
            "topics": topics,
        },
        "store": {"url": store_url},
        "model": {"stub": True},
        "brands": "brands.yaml",
        "watch": {"first_start": "beginning"},
        "log": {"format": "json"},
    }
    for name, content in (
        ("monitor.yaml", config),
        ("brands.yaml", {"brands": [{"id": slug(one), "name": one} for one in UMBRELLAS]}),
    ):
        with (tmp_path / name).open("w") as out:
            YAML().dump(content, out)
    crew: dict[str, Worker] = {}

    def start(*names: str) -> None:
        for name in names:
            crew[name] = Worker(name.split("-")[0], tmp_path / "monitor.yaml", free_port(), name=name)
            crew[name].start()
        for name in names:
            until(f"{name} is ready", crew[name].ready, 180)

    def end(name: str, number: int) -> None:
        crew[name].kill(number)

    store = Store(store_url)
    store.migrate()
    load, watching = Load(broker.bootstrap, topics["mentions"]), Watching(store)
    rows: list[tuple[str, float]] = []
    try:
        start("score-0", "watch-0")
        load.start()
        watching.start()
        until("it is counted", lambda: watching.total > RATE, 60)
        changes = (
            ("2 score", lambda: start("score-1")),
            ("4 score", lambda: start("score-2", "score-3")),
            ("2 watch", lambda: start("watch-1")),
            ("3 score, one was asked to end", lambda: end("score-0", signal.SIGTERM)),
            ("2 score, one was killed", lambda: end("score-1", signal.SIGKILL)),
            ("1 watch, one was asked to end", lambda: end("watch-0", signal.SIGTERM)),
            ("2 watch again", lambda: start("watch-0")),
            ("1 watch, one was killed", lambda: end("watch-1", signal.SIGKILL)),
        )
        watching.longest()
        for what, change in changes:
            change()
            caught_up = time.monotonic() + SETTLE_S
            before = watching.total
            until(f"it goes on with {what}", lambda before=before: watching.total > before, 60)
            time.sleep(max(0.0, caught_up - time.monotonic()))
            rows.append((what, watching.longest()))
        load.ended.set()
        load.join()
        until("all is counted", lambda: watching.total >= load.all, 180)
        time.sleep(2.0)  # what would count twice has time to do so
    finally:
        load.ended.set()
        watching.ended.set()
        watching.join()
        for worker in crew.values():
            worker.kill()
    with store.engine.connect() as connection:
        account = read_account(connection)
    store.close()
    shown = [f"{what:34} {pause:5.1f} s without a count" for what, pause in rows]
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *shown, f"{load.all} published: {account}", ""]))
    assert account.total == load.all
    assert account.stored == load.named
    assert account.repeated == account.orphan == account.dead == 0
    assert max(pause for _, pause in rows) < PAUSE_S
