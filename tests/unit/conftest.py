"""Fixtures of the unit tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from monitor.store import Store
from tests.support.postgres import Postgres
from tests.support.stores import fresh_url

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server: that of MONITOR_TEST_POSTGRES, else one of the tests' own; skips without any."""
    given = os.environ.get("MONITOR_TEST_POSTGRES")
    if given:
        yield given
        return
    binaries = Postgres.binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install Debian's package postgresql, or set MONITOR_TEST_POSTGRES")
    pytest.importorskip("psycopg", reason="no driver: pip install 'mention-monitor[postgres]'")
    with Postgres(binaries) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(tmp_path, request):
    """The URL of an empty store, on either of the two databases."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with fresh_url(tmp_path, server) as url:
        yield url


@pytest.fixture
def store(store_url):
    """A fresh store with its schema."""
    opened = Store(store_url)
    opened.migrate()
    yield opened
    opened.close()
