"""Empty stores for tests, in the database that MONITOR_TEST_STORE names: SQLite (files), or PostgreSQL.

PostgreSQL is the server of MONITOR_TEST_POSTGRES, else one of the tests' own, started when it is first asked for.
"""

from __future__ import annotations

import atexit
import os
import uuid
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from tests.support.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ("sqlite", "postgresql")
asked = 0
"""How often a test asked for a store of the kind under test: it has to bear the mark `store` then."""

_made: dict[Path, str] = {}
_ended = ExitStack()
atexit.register(_ended.close)


def kind() -> str:
    """Return the kind of store under test."""
    found = os.environ.get("MONITOR_TEST_STORE", "sqlite")
    if found not in KINDS:
        pytest.fail(f"MONITOR_TEST_STORE is {found!r}: set it to one of {', '.join(KINDS)}")
    return found


def url_for(file: Path) -> str:
    """Return the URL of the store under this name, of the kind under test; the same again for the same name."""
    global asked  # noqa: PLW0603 -- a count that a fixture reads
    asked += 1
    if kind() == "sqlite":
        return f"sqlite:///{file}"
    if file not in _made:
        _made[file] = _lasting_url()
    return _made[file]


def passing_url() -> str:
    """Return the URL of a store for one test alone, of the kind under test: SQLite keeps it in memory."""
    global asked  # noqa: PLW0603 -- a count that a fixture reads
    asked += 1
    return "sqlite://" if kind() == "sqlite" else _lasting_url()


def _lasting_url() -> str:
    """Return the URL of an empty database; it is dropped at the end unless its server ends then anyway."""
    url = _create(server())
    if os.environ.get("MONITOR_TEST_POSTGRES"):
        _ended.callback(_drop, url)
    return url


@cache
def server() -> str:
    """Return the URL of the PostgreSQL server; skips the test without any."""
    given = os.environ.get("MONITOR_TEST_POSTGRES")
    if given:
        return given
    binaries = Postgres.binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install Debian's package postgresql, or set MONITOR_TEST_POSTGRES")
    pytest.importorskip("psycopg", reason="no driver: pip install 'mention-monitor[postgres]'")
    return _ended.enter_context(Postgres(binaries)).url


@contextmanager
def fresh_url(file: Path | None, server: str | None = None) -> Iterator[str]:
    """Yield the URL of an empty store, in `file` or on `server`; it is gone afterwards from the latter."""
    if not server:
        yield f"sqlite:///{file}"
        return
    url = _create(server)
    try:
        yield url
    finally:
        _drop(url)


def _create(server: str) -> str:
    """Make a database; returns its URL."""
    url = make_url(server).set(drivername="postgresql+psycopg", database=f"monitor_{uuid.uuid4().hex}")
    _say(url, f"CREATE DATABASE {url.database}")
    return url.render_as_string(hide_password=False)


def _drop(database: str) -> None:
    url = make_url(database)
    _say(url, f"DROP DATABASE {url.database} WITH (FORCE)")


def _say(url: URL, words: str) -> None:
    admin = create_engine(url.set(database=make_url(server()).database), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(words))
    admin.dispose()
