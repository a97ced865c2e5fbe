"""The topics of the pipeline: made at the first start, verified at every start.

The number of partitions is fixed when a topic is made: an umbrella lives in one partition of `readings`, and its
stories in the memory of whoever owns that partition, so a changed number would tear stories apart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code
from aiokafka.helpers import create_ssl_context
from msgspec import Struct

from monitor.stream.identity import TopicIdentity, connected, topic_identities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.config.settings import KafkaSettings

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""The largest record that our topics take: a mention with too long a text must reach us to be counted and kept."""

FETCH_WAIT_MS = 200
"""Milliseconds that a broker may keep a fetch which finds nothing. Apache Kafka answers as soon as something comes; the
embedded broker sleeps half of it before it looks again."""

_ALREADY_EXISTS = 36
_TRIES = 120
_PAUSE_S = 0.25


class TopicError(RuntimeError):
    """A topic is missing or is not what the configuration says; the text says what to do."""


class TopicPlan(Struct, frozen=True, kw_only=True):
    """A topic as it should be. `setting` names the partitions' key in the configuration; None: any number will do."""

    name: str
    partitions: int
    setting: str | None = None
    replication: int = 1
    config: dict[str, str] = {}


def topic_plans(kafka: KafkaSettings) -> tuple[TopicPlan, ...]:
    """Return the four topics as the configuration wants them: mentions, readings, dead, incidents."""
    kept = {"retention.ms": str(int(kafka.retention_hours * 3_600_000)), "cleanup.policy": "delete"}
    large = {**kept, "max.message.bytes": str(MAX_RECORD_BYTES)}
    if kafka.replication > 2:  # noqa: PLR2004 -- a majority of three
        kept, large = ({**config, "min.insync.replicas": "2"} for config in (kept, large))
    names, copies = kafka.topics, kafka.replication
    return (
        TopicPlan(
            name=names.mentions,
            partitions=kafka.mentions_partitions,
            setting="kafka.mentions_partitions",
            replication=copies,
            config=large,
        ),
        TopicPlan(
            name=names.readings,
            partitions=kafka.readings_partitions,
            setting="kafka.readings_partitions",
            replication=copies,
            config=kept,
        ),
        TopicPlan(name=names.dead, partitions=1, replication=copies, config=large),
        TopicPlan(name=names.incidents, partitions=1, replication=copies, config=kept),
    )


def client_options(kafka: KafkaSettings, *, name: str = "monitor") -> dict[str, Any]:
    """Return what every aiokafka client takes to find and be let in to the brokers. `name` shows in their logs."""
    security = kafka.security
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap.split(",")],
        "client_id": name,
        "security_protocol": security.protocol,
    }
    if security.protocol.startswith("SASL"):
        options["sasl_mechanism"] = security.mechanism
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password.get_secret_value() if security.password else None
    if security.protocol.endswith("SSL"):
        options["ssl_context"] = create_ssl_context(
            cafile=_text(security.ca_file), certfile=_text(security.cert_file), keyfile=_text(security.key_file)
        )
    return options


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


async def ensure_topics(
    client: str | Mapping[str, Any], plans: Sequence[TopicPlan], *, create: bool = True
) -> dict[str, TopicIdentity]:
    """Make what is missing of `plans`, verify the rest, and return the identity of each.

    Several workers may do this at once. Raises `TopicError` with the mend, `BrokerError` where nobody answers.
    """
    options = {"bootstrap_servers": client} if isinstance(client, str) else dict(client)
    names = [plan.name for plan in plans]
    async with connected(options) as ready:
        found = await topic_identities(ready, names)
        missing = [plan for plan in plans if plan.name not in found]
        if missing and create:
            await _make(options, missing)
            for _ in range(_TRIES):
                found = await topic_identities(ready, names)
                if len(found) == len(names):
                    break
                await asyncio.sleep(_PAUSE_S)
    for plan in plans:
        verify(plan, found.get(plan.name))
    return found


def verify(plan: TopicPlan, found: TopicIdentity | None) -> None:
    """Raise `TopicError` where the topic is missing, or has another number of partitions than the configuration says.

    >>> verify(TopicPlan(name="r", partitions=8, setting="kafka.readings_partitions"), TopicIdentity("r", "c", "", 4))
    Traceback (most recent call last):
    ...
    monitor.stream.topics.TopicError: topic 'r' has 4 partitions, but kafka.readings_partitions says 8: ...
    """
    if found is None:
        raise TopicError(
            f"topic {plan.name!r} does not exist: make it with {plan.partitions} partitions, "
            "or let the workers do it (kafka.create_topics: true)"
        )
    if plan.setting is not None and found.partitions != plan.partitions:
        raise TopicError(
            f"topic {plan.name!r} has {found.partitions} partitions, but {plan.setting} says {plan.partitions}: "
            f"the number is fixed when the topic is made. Set {plan.setting}: {found.partitions}; "
            "or choose a new topic name and start anew with it"
        )


async def _make(options: Mapping[str, Any], plans: Sequence[TopicPlan]) -> None:
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        answer = await admin.create_topics(
            [NewTopic(plan.name, plan.partitions, plan.replication, topic_configs=dict(plan.config)) for plan in plans]
        )
    finally:
        await admin.close()
    for name, code, *detail in answer.topic_errors:
        if code not in (0, _ALREADY_EXISTS):  # another worker may have been quicker
            why = next((text for text in detail if text), for_code(code).__name__)
            raise TopicError(f"topic {name!r} cannot be made ({why}): make it by hand, or correct the kafka section")
