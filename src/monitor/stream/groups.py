"""Who reads: the members of a consumer group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient

if TYPE_CHECKING:
    from collections.abc import Mapping


async def member_hosts(client: Mapping[str, Any], group: str) -> set[str]:
    """Return the addresses that the members of a consumer group connect from.

    Raises:
        KafkaError: the broker does not answer (one of `identity.UNREACHABLE`).
        ValueError: the broker does not know the request.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        answers = await admin.describe_consumer_groups([group])
        found = [described for answer in answers for described in answer.to_object()["groups"]]
        return {member["client_host"] for described in found for member in described["members"]}
    finally:
        await admin.close()
