"""The store, opened for a command that reads it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from monitor.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.config import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Give the store, which must be there: a command that reads makes none.

    Raises:
        StoreError: there is none.
    """
    url = make_url(settings.store.url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise StoreError(
            f"there is no store at {url.database}: correct store.url, or start `monitor watch`, which makes it"
        )
    store = Store(settings.store.url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()
