"""Opening the store, and running short transactions in it."""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0
"""How long SQLite itself waits for another writer before it says that the store is locked."""


class StoreError(Exception):
    """The store cannot be used; the message says what to do."""


class StoreUnavailableError(StoreError):
    """The store stayed locked, full or away for longer than was waited for."""


class Store:
    """An open store. Calls block: from an event loop go through `run`, which uses one thread of its own.

    SQLite runs in WAL mode with `BEGIN IMMEDIATE`, so that a transaction that has begun can also write; it is for one
    host and a local disk.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        StoreError: the URL is none that can be used, or the folder of the file cannot be made.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            if parsed.database and parsed.database != ":memory:":
                _make_folder(Path(parsed.database).parent)
            self.engine = create_engine(
                parsed, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
            )
            _listen_sqlite(self.engine)
        else:
            try:
                self.engine = create_engine(
                    parsed, hide_parameters=True, pool_size=4, max_overflow=4, pool_pre_ping=True, pool_recycle=1800
                )
            except ModuleNotFoundError as error:
                raise StoreError(
                    f"PostgreSQL's driver is missing ({error.name}): pip install 'mention-monitor[postgres]'."
                ) from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and commit it. No retry: see `run_retrying`."""
        with self.engine.begin() as connection:
            return work(connection)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def run_retrying(
        self, work: Callable[[Connection], T], *, patience_s: float = 30.0, on_retry: Callable[[], None] | None = None
    ) -> T:
        """Run `work` as a transaction, again and again while the store is locked, full or away.

        `work` must be safe to run again after an unknown COMMIT (it compares before it sets).

        Raises:
            StoreUnavailableError: not within `patience_s` seconds.
        """
        return await self.retry(lambda: self.transact(work), patience_s=patience_s, on_retry=on_retry)

    async def retry(
        self, work: Callable[[], T], *, patience_s: float = 30.0, on_retry: Callable[[], None] | None = None
    ) -> T:
        """Run `work` on the store's thread, again and again while the store is locked, full or away.

        Raises:
            StoreUnavailableError: not within `patience_s` seconds.
        """
        deadline = time.monotonic() + patience_s
        pause = 0.05
        while True:
            try:
                return await self.run(work)
            except IntegrityError:
                raise
            except (DBAPIError, PoolTimeoutError) as error:
                if time.monotonic() + pause > deadline:
                    raise StoreUnavailableError(
                        f"The store did not answer for {patience_s:.0f} s: {getattr(error, 'orig', error)}. "
                        "Look for a full disk, a long-running writer or a stopped server; nothing is lost, the worker "
                        "goes on from the stored offset when it starts again."
                    ) from error
                if on_retry is not None:
                    on_retry()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 -- spreads retries, keeps no secret
                pause = min(pause * 2, 2.0)

    def ping(self) -> None:
        """Ask the store for nothing, to know whether it answers."""
        with self.engine.connect().execution_options(read_only=True) as connection:
            connection.execute(select(1))

    def migrate(self) -> None:
        """Bring the schema to this version.

        Raises:
            StoreError: the schema is newer than this version knows, or cannot be changed.
        """
        from monitor.store.migrate import upgrade  # noqa: PLC0415 -- alembic is slow to import and rarely needed

        upgrade(self)

    def close(self) -> None:
        """Let go of the connections."""
        self._thread.shutdown(wait=True)
        self.engine.dispose()


def _parse(url: str) -> URL:
    """Read a store's URL; psycopg 3 is PostgreSQL's driver unless the URL names another."""
    mend = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"The store's URL cannot be read: {mend}.") from error
    name = parsed.get_backend_name()
    if name not in {"sqlite", "postgresql"}:
        raise StoreError(f"The store cannot be kept in {name!r}: {mend}.")
    return parsed


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} for the store cannot be made ({error.strerror}): name another file in store.url."
        ) from error


def _listen_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; see on_begin
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a page that was promised survives a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-16000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")
