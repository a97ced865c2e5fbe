"""Fixtures that more than one kind of test needs: brokers, topics of a test's own, the shared data."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from monitor.stream.embedded import EmbeddedBroker
from tests.support.kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# A busy machine is slow, not wrong; and what CI says of a change must depend on the change alone.
hypothesis_settings.register_profile("here", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "here")

REPOSITORY = Path(__file__).resolve().parent.parent


def _kafka_home() -> str:
    home = os.environ.get("KAFKA_HOME")
    if not home:
        pytest.skip("Apache Kafka is not here: set KAFKA_HOME to a Kafka distribution")
    return home


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker | ApacheKafka]:
    """The broker that the tests share; MONITOR_TEST_BROKER=kafka makes it Apache Kafka. Don't stop it."""
    kind = os.environ.get("MONITOR_TEST_BROKER", "embedded")
    if kind not in ("embedded", "kafka"):
        pytest.fail(f"MONITOR_TEST_BROKER is {kind!r}: set it to embedded or kafka")
    with EmbeddedBroker() if kind == "embedded" else ApacheKafka(_kafka_home()) as running:
        yield running


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[ApacheKafka]:
    """The Apache Kafka that the tests share; skips where there is none. Don't stop it."""
    with ApacheKafka(_kafka_home()) as running:
        yield running


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """An Apache Kafka of the test's own, to stop, kill and restart."""
    with ApacheKafka(_kafka_home(), tmp_path / "kafka") as running:
        yield running


@pytest.fixture
def own_embedded() -> Iterator[EmbeddedBroker]:
    """An embedded broker of the test's own, to stop, kill and restart."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A name for this test's topics and groups, new in every run."""
    return f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower()).strip('-')[:60]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def topic(broker: EmbeddedBroker | ApacheKafka, prefix: str) -> AsyncIterator[str]:
    """A topic of the test's own, with 4 partitions, on `broker`."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: PLC0415 -- only who asks for it pays for it

    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(prefix, num_partitions=4, replication_factor=1)])
    yield prefix
    await admin.delete_topics([prefix])
    await admin.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data; skips where there is none."""
    folder = Path(os.environ.get("MONITOR_SHARED") or REPOSITORY.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}: set MONITOR_SHARED")
    return folder
