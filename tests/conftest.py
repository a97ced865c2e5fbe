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
from tests.support import stores
from tests.support.kafka import ApacheKafka, a_broker, kafka_home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# A busy machine is slow, not wrong; and what CI says of a change must depend on the change alone.
hypothesis_settings.register_profile("here", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "here")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker | ApacheKafka]:
    """The broker that the tests share, of the kind under test: see MONITOR_TEST_BROKER. Don't stop it."""
    with a_broker() as running:
        yield running


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[ApacheKafka]:
    """The Apache Kafka that the tests share; skips where there is none. Don't stop it."""
    with ApacheKafka(kafka_home()) as running:
        yield running


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """An Apache Kafka of the test's own, to stop, kill and restart."""
    with ApacheKafka(kafka_home(), tmp_path / "kafka") as running:
        yield running


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker | ApacheKafka]:
    """A broker of the test's own, of the kind under test."""
    with a_broker(tmp_path / "kafka") as running:
        yield running


@pytest.fixture
def own_embedded() -> Iterator[EmbeddedBroker]:
    """An embedded broker of the test's own, to stop, kill and restart."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that uses a store bears the mark `store`: those run on every pair of store and broker."""
    before = stores.asked
    yield
    if stores.asked > before and request.node.get_closest_marker("store") is None:
        pytest.fail("uses a store: mark it with pytest.mark.store")


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
