"""Incidents' timers: looked at each second, and let run out when they are due.

They run by the wall clock, so that the next level is paged though the broker is away; in a replay they run by the
stream's own time, as far as it has been watched.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from monitor.store.database import StoreUnavailableError
from monitor.store.tables import partition_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.store.database import Store
    from monitor.store.incidents import IncidentStore

LOOK_S = 1.0
"""Real seconds between two looks."""

_log = structlog.get_logger("monitor.timers")


async def run_timers(
    incidents: IncidentStore,
    stop: asyncio.Event,
    *,
    now: Callable[[], float] | None = None,
    replay: Store | None = None,
    ran_out: Callable[[int], None] | None = None,
) -> None:
    """Let timers run out until `stop`. Several workers may do so side by side: each timer runs out once.

    Args:
        incidents: whose.
        stop: ends it.
        now: the wall clock; None with `replay`.
        replay: the store whose stream gives the time.
        ran_out: told how many did.
    """
    while not stop.is_set():
        try:
            at = now() if now is not None else await _stream_time(replay)
            if at:
                n = await incidents.run_out(at)
                if n and ran_out is not None:
                    ran_out(n)
        except (StoreUnavailableError, DBAPIError):
            _log.warning("timers_wait", reason="the store does not answer")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_S)


async def _stream_time(store: Store | None) -> float:
    """Return how far the stream has been watched, in event time: as far as the partition that is furthest behind."""
    if store is None:
        return 0.0
    query = select(func.min(partition_state.c.clock)).where(partition_state.c.clock > 0)

    def look() -> float:
        with store.engine.connect().execution_options(read_only=True) as connection:
            return float(connection.scalar(query) or 0.0)

    return await store.retry(look)
