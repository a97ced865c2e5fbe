"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from monitor.store import Store
from tests.support.stores import KINDS, fresh_url, server


@pytest.fixture(params=KINDS)
def store_url(tmp_path, request):
    """The URL of an empty store, on either of the two databases."""
    with fresh_url(tmp_path / "store.db", server() if request.param == "postgresql" else None) as url:
        yield url


@pytest.fixture
def store(store_url):
    """A fresh store with its schema."""
    opened = Store(store_url)
    opened.migrate()
    yield opened
    opened.close()
