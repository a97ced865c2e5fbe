"""Fresh stores for tests: a SQLite file, or a database of its own on a PostgreSQL server."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, make_url, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def fresh_url(folder: Path, server: str | None = None) -> Iterator[str]:
    """Yield the URL of an empty store, in `folder` or on `server`; it is gone afterwards."""
    if not server:
        yield f"sqlite:///{folder / 'store.db'}"
        return
    url = make_url(server).set(drivername="postgresql+psycopg")
    name = f"monitor_{uuid.uuid4().hex}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
