"""Which cluster and which topic this is: a topic made anew has the old one's name, but not its id.

Kafka gives every topic a UUID when it is made (KIP-516) and tells it in Metadata from version 10 on. aiokafka's own
classes stop at version 5, so version 10 is spelled out here, from the protocol guide
(https://kafka.apache.org/protocol#The_Messages_Metadata), out of aiokafka's types. Apache Kafka from 2.8 on and the
embedded broker answer it. An older broker has no topic ids: there the identity is the cluster and the partition count.

The request never makes a topic, unlike aiokafka's: the embedded broker makes whatever those name.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from msgspec import Struct

from monitor.stream.embedded import BrokerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from io import BytesIO

_NO_ID = bytes(16)
_UNKNOWN_TOPIC = 3
_INVALID_TOPIC = 17
_METADATA_WITH_IDS = 10
_PAUSE_S = 0.25
PATIENCE_S = 30.0
"""How long a broker may take to elect the leaders of topics just made, or to know its own brokers after its start."""


UNREACHABLE = (BrokerError, KafkaError)
"""What goes wrong where a broker is asked and does not answer as it should."""


class TopicIdentity(Struct, frozen=True):
    """What a stored offset belongs to. `topic_id` is the topic's UUID as text, or "" where the broker has none."""

    topic: str
    cluster: str
    topic_id: str
    partitions: int


class _Uuid(AbstractType):  # type: ignore[misc]  # aiokafka is untyped here
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = _METADATA_WITH_IDS
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = _METADATA_WITH_IDS
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[_MetadataStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[tuple[bytes, str, dict[int, bytes]]] = [(_NO_ID, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return request_struct_class(self._topics, False, False, False, {})  # noqa: FBT003 -- the protocol's order


@asynccontextmanager
async def connected(client: str | Mapping[str, Any] | AIOKafkaClient) -> AsyncIterator[AIOKafkaClient]:
    """Give a started client, and close it unless it was brought along. Raises `BrokerError` where nobody answers.

    `client` is one, or the options to make one (`bootstrap_servers` and, if need be, security), or a bootstrap text.
    """
    if isinstance(client, AIOKafkaClient):
        yield client
        return
    options = {"bootstrap_servers": client} if isinstance(client, str) else dict(client)
    own = AIOKafkaClient(**options)
    try:
        await own.bootstrap()
    except (KafkaConnectionError, OSError) as error:
        await own.close()
        servers = options.get("bootstrap_servers", "")
        where = servers if isinstance(servers, str) else ", ".join(servers)
        raise BrokerError(f"no Kafka broker answers at {where}: start it, or correct kafka.bootstrap") from error
    try:
        yield own
    finally:
        await own.close()


async def topic_identities(
    client: str | Mapping[str, Any] | AIOKafkaClient, topics: Iterable[str]
) -> dict[str, TopicIdentity]:
    """Return the identity of each of `topics` that exists; makes none. Raises `BrokerError`."""
    wanted = list(topics)
    async with connected(client) as ready:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = await _ask(ready, wanted)
            if found is not None:
                return found
            await asyncio.sleep(_PAUSE_S)
    raise BrokerError(f"the broker has no leader for some partition of {', '.join(wanted)}: see the broker's own log")


async def topic_identity(client: str | Mapping[str, Any] | AIOKafkaClient, topic: str) -> TopicIdentity:
    """Return the identity of `topic`; raises `BrokerError` where there is no such topic."""
    found = (await topic_identities(client, [topic])).get(topic)
    if found is None:
        raise BrokerError(f"there is no topic {topic!r}: start a worker with kafka.create_topics, or make it by hand")
    return found


async def _ask(client: AIOKafkaClient, topics: list[str]) -> dict[str, TopicIdentity] | None:
    """Ask once; None when the broker is not ready to say."""
    node = client.get_random_node()
    if node is None:
        return None
    try:
        try:
            answer = (await client.send(node, _Metadata(topics))).to_object()
        except NotImplementedError:  # aiokafka's word for a broker that is too old for this version
            answer = (await client.send(node, MetadataRequest(topics, allow_auto_topic_creation=False))).to_object()
    except KafkaError as error:
        if getattr(error, "retriable", False):
            return None
        raise BrokerError(
            f"the broker does not describe its topics ({error}): see its log, and its access rules"
        ) from error
    found = {}
    for topic in answer["topics"]:
        code = topic["error_code"]
        if code in (_UNKNOWN_TOPIC, _INVALID_TOPIC):
            continue
        if code and not for_code(code).retriable:
            raise BrokerError(f"the broker does not describe topic {topic['topic']!r} ({for_code(code).__name__})")
        if code or any(part["leader"] < 0 for part in topic["partitions"]):
            return None
        raw = topic.get("topic_id", _NO_ID)
        found[topic["topic"]] = TopicIdentity(
            topic=topic["topic"],
            cluster=answer.get("cluster_id") or "",
            topic_id=str(UUID(bytes=raw)) if raw != _NO_ID else "",
            partitions=len(topic["partitions"]),
        )
    return found
