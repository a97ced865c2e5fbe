"""One run's surroundings: a folder, topics of its own on a broker, a configuration, a store, a receiver, the crew."""

from __future__ import annotations

import asyncio
import os
import uuid
import zlib
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from ruamel.yaml import YAML

from monitor.config import Settings, directory_of, load
from monitor.source.ticks import Ticker
from monitor.store import Account, IncidentStore, Store, read_account
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from tests.chaos.crew import ROLES, Member, Role
from tests.chaos.receiver import SECRET, Receiver
from tests.support.stores import url_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.stream.embedded import EmbeddedBroker
    from tests.chaos.script import Record, Script
    from tests.support.kafka import ApacheKafka

TICK_HEADER = "monitor-tick"
SETTLE_S = 600.0
PARTITIONS = 3
RULES = {"rules": [{"name": "umbrella-crisis", "off": True}]}
"""So that every story is paged for itself: what a crisis above spares people would depend on what died when."""
SECRET_NAME = "MONITOR_CHAOS_SECRET"  # noqa: S105 -- the variable's name


class Stage:
    """Build with `await Stage.build(...)`, end with `await stage.close()`."""

    def __init__(
        self, folder: Path, broker: EmbeddedBroker | ApacheKafka, settings: Settings, receiver: Receiver, file: Path
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.settings = settings
        self.receiver = receiver
        self.file = file
        self.client = client_options(settings.kafka, name="chaos")
        self.store = Store(settings.store.url)
        self.incidents = IncidentStore(self.store, directory_of(settings))
        self.members: list[Member] = []
        self.published = 0
        self.env = {**os.environ, SECRET_NAME: SECRET}

    @classmethod
    async def build(
        cls,
        folder: Path,
        broker: EmbeddedBroker | ApacheKafka,
        script: Script,
        *,
        stub: bool = True,
        session_timeout_ms: int = 6000,
        moods: tuple[float, float, float] = (0.04, 0.04, 0.04),
        **sections: dict[str, Any],
    ) -> Stage:
        receiver = Receiver(moods=moods)
        await receiver.start()
        configuration = _configuration(folder, broker.bootstrap, receiver.url, stub, session_timeout_ms, sections)
        file = _write(folder, configuration, script.brands)
        stage = cls(folder, broker, load(file, {SECRET_NAME: SECRET}), receiver, file)
        await ensure_topics(stage.client, topic_plans(stage.settings.kafka))
        await stage.store.retry(stage.store.migrate)
        return stage

    async def close(self) -> None:
        for member in self.members:
            member.kill()
        await self.receiver.stop()
        self.store.close()

    # -- the crew

    def start(self, **numbers: int) -> None:
        """Start workers: `start(score=1, watch=2)`; without arguments one of each."""
        for role in ROLES:
            for number in range(numbers.get(role, 0 if numbers else 1)):
                member = Member(role, number, self.file, self.folder, self.env)
                self.members.append(member)
                member.start()

    def crew(self, role: Role) -> list[Member]:
        return [member for member in self.members if member.role == role]

    async def stop(self) -> None:
        await asyncio.gather(*(member.stop() for member in self.members))

    # -- publishing

    async def publish(self, records: Sequence[Record], *, window: int = 1500, tail: bool = True) -> None:
        """Publish in order with the ticks of a replay, never more than `window` ahead of what is accounted for.

        The producer is idempotent where the broker can do it, so that a restart of the broker adds no records.
        """
        topic = self.settings.kafka.topics.mentions
        producer = AIOKafkaProducer(
            **self.client,
            acks="all",
            linger_ms=5,
            request_timeout_ms=120_000,
            enable_idempotence=self.broker.keeps_data,
        )
        await producer.start()
        ticker, clock = Ticker(), 0.0
        sent: list[asyncio.Future[Any]] = []

        async def tick(until: float) -> None:
            for at in ticker.until(until):
                for partition in range(PARTITIONS):
                    headers = [(TICK_HEADER, b"1")]
                    sent.append(await producer.send(topic, repr(at).encode(), partition=partition, headers=headers))

        try:
            for number, record in enumerate(records):
                if number % 64 == 0:
                    await asyncio.gather(*sent)
                    sent.clear()
                    while self.published - (await self.account()).total > window:  # noqa: ASYNC110 -- others move it
                        await asyncio.sleep(0.05)
                clock = max(clock, record.at)
                await tick(clock)
                partition = zlib.crc32(record.key.encode()) % PARTITIONS
                sent.append(await producer.send(topic, record.value, partition=partition))
                self.published += 1
            if tail:
                await tick(clock + SETTLE_S)
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    # -- what came of it

    async def account(self) -> Account:
        return await self.store.retry(self._account)

    def _account(self) -> Account:
        with self.store.engine.connect().execution_options(read_only=True) as connection:
            return read_account(connection)

    async def read_topic(self, topic: str) -> list[Any]:
        """Read a topic to its end: a quiet while, since the embedded broker does not know its end."""
        consumer = AIOKafkaConsumer(**self.client, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = PARTITIONS if topic != self.settings.kafka.topics.dead else 1
            consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
            await consumer.seek_to_beginning()
            found: list[Any] = []
            quiet = 0
            while quiet < 2:
                try:
                    batches = await consumer.getmany(timeout_ms=1000)
                except KafkaError:
                    continue
                quiet = 0 if batches else quiet + 1
                found += [record for records in batches.values() for record in records]
            return found
        finally:
            await consumer.stop()


def _write(folder: Path, configuration: dict[str, Any], brands: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "monitor.yaml"
    for path, content in ((file, configuration), (folder / "brands.yaml", brands), (folder / "rules.yaml", RULES)):
        with path.open("w") as out:
            YAML().dump(content, out)
    return file


def _configuration(
    folder: Path,
    bootstrap: str,
    webhook: str,
    stub: bool,  # noqa: FBT001 -- a private function of one caller
    session_timeout_ms: int,
    sections: dict[str, Any],
) -> dict[str, Any]:
    def person(name: str) -> dict[str, Any]:
        channel = {"name": f"{name}-hook", "type": "webhook", "url": webhook, "secret_env": SECRET_NAME, "timeout_s": 5}
        return {"name": name, "channels": [channel]}

    run = uuid.uuid4().hex[:8]
    base: dict[str, Any] = {
        "kafka": {
            "bootstrap": bootstrap,
            "mentions_partitions": PARTITIONS,
            "readings_partitions": PARTITIONS,
            "session_timeout_ms": session_timeout_ms,
            "score_group": f"score-{run}",
            "watch_group": f"watch-{run}",
            "topics": {name: f"{name}-{run}" for name in ("mentions", "readings", "dead", "incidents")},
        },
        "store": {"url": url_for(folder.resolve() / "monitor.sqlite")},
        "model": {"stub": True} if stub else {},
        "brands": str(folder.resolve() / "brands.yaml"),
        "rules": str(folder.resolve() / "rules.yaml"),
        "time": {"mode": "replay"},
        "watch": {"first_start": "beginning"},
        "recipients": [person("on-call"), person("manager")],
        "routes": [{"to": ["on-call"], "severity": "page"}, {"to": ["manager"], "severity": "page"}],
        "http": {"score_port": 0, "watch_port": 0, "dispatch_port": 0},
        "log": {"format": "json", "level": "info"},
    }
    for name, section in sections.items():
        base[name] = {**base.get(name, {}), **section}
    return base
