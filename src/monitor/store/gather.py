"""Several small transactions as one: what is asked for while the store is busy is done together, with one commit.

A commit waits for the disk, and that is most of what a small transaction costs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from monitor.store.database import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from monitor.store.database import Store

T = TypeVar("T")

MOST = 64
"""Pieces of work in one transaction."""


class Gather:
    """Runs pieces of work that do not touch each other's rows, as many at once as have come; for one event loop.

    Where one of them fails, each is tried by itself, so that none fails for another. As with `Store.run_retrying` a
    piece must be safe to run again.
    """

    def __init__(self, store: Store, *, patience_s: float) -> None:
        self._store = store
        self._patience_s = patience_s
        self._waiting: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what the work returns, after it was committed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        result: T = await future
        return result

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if len(batch) > 1 and await self._together(batch):
                continue
            for work, future in batch:
                await self._alone(work, future)

    async def _together(self, batch: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]]) -> bool:
        """Do all in one transaction; False if one of them failed, and then nothing was done."""

        def all_of_it(connection: Connection) -> list[Any]:
            return [work(connection) for work, _ in batch]

        try:
            results = await self._store.run_retrying(all_of_it, patience_s=self._patience_s)
        except StoreUnavailableError as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return True
        except Exception:  # noqa: BLE001 -- whose it is shows when each is tried alone
            return False
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
        return True

    async def _alone(self, work: Callable[[Connection], Any], future: asyncio.Future[Any]) -> None:
        try:
            result = await self._store.run_retrying(work, patience_s=self._patience_s)
        except Exception as error:  # noqa: BLE001 -- it belongs to who asked
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)
