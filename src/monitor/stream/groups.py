"""Who reads: the members of a consumer group, and how one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

LEAVE_S = 2.0
"""Real seconds that each step of leaving may take: ending what was begun, leaving the group, closing."""


async def in_time(leaving: Coroutine[Any, Any, None]) -> None:
    """Take a step of leaving, `LEAVE_S` at most, whether a broker is there or not.

    A group that is forming keeps its members waiting, also those that want to leave. And an aiokafka consumer that
    stops while its broker is away raises the cancellation of its own fetches.
    """
    task = asyncio.create_task(leaving)
    await asyncio.wait({task}, timeout=LEAVE_S)
    task.cancel()
    with contextlib.suppress(KafkaError, TimeoutError, asyncio.CancelledError):
        await task


def end_unsaid(consumer: Any) -> None:
    """Let an aiokafka consumer stop without telling its group: it is missed when its session is over, as if killed.

    The embedded broker (0.6.0) keeps a leader that leaves while its group is forming, for ever: whoever comes later is
    told to follow it, is refused as a follower whose leader has nothing to say, and reads nothing until the broker is
    started again. A group is forming also when nobody knows: a leave is what finds that a killed member's session is
    over. A leader whose own session ends is replaced. Apache Kafka has no such fault; there everybody leaves.
    """

    async def nothing() -> None:
        pass

    if consumer is not None and consumer._coordinator is not None:  # noqa: SLF001 -- aiokafka always leaves
        consumer._coordinator._maybe_leave_group = nothing  # noqa: SLF001


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
