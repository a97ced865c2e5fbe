"""Several small transactions as one: what is asked for while the store is busy is done together, with one commit.

A commit waits for the disk, and that is most of what a small transaction costs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from monitor.store.database import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from monitor.store.database import Store

Asked = TypeVar("Asked")
Got = TypeVar("Got")

MOST = 64
"""Done in one transaction."""


class Gather(Generic[Asked, Got]):
    """Does what is asked for, as much at once as has come; for one event loop.

    Where one of them fails, each is tried by itself, so that none fails for another.

    Args:
        store: where it is done.
        work: does all that it is given, and returns a result for each, in order; it must be safe to run again.
        patience_s: how long a store that is locked or away is waited for.
    """

    def __init__(
        self, store: Store, work: Callable[[Connection, Sequence[Asked]], list[Got]], *, patience_s: float
    ) -> None:
        self._store = store
        self._work = work
        self._patience_s = patience_s
        self._waiting: list[tuple[Asked, asyncio.Future[Got]]] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, asked: Asked) -> Got:
        """Return the result, after it was committed."""
        future: asyncio.Future[Got] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if len(batch) > 1 and await self._together(batch):
                continue
            for asked, future in batch:
                await self._alone(asked, future)

    async def _together(self, batch: list[tuple[Asked, asyncio.Future[Got]]]) -> bool:
        """Do all in one transaction; False if one of them failed, and then nothing was done."""
        asked = [one for one, _ in batch]
        try:
            results = await self._store.run_retrying(
                lambda connection: self._work(connection, asked), patience_s=self._patience_s
            )
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

    async def _alone(self, asked: Asked, future: asyncio.Future[Got]) -> None:
        try:
            (result,) = await self._store.run_retrying(
                lambda connection: self._work(connection, [asked]), patience_s=self._patience_s
            )
        except Exception as error:  # noqa: BLE001 -- it belongs to who asked
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)
