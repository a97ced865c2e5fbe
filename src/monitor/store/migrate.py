"""The schema's migrations, through Alembic."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import func, select

from monitor.store.database import StoreError

if TYPE_CHECKING:
    from monitor.store.database import Store


MIGRATION_LOCK = 7_225_002
"""PostgreSQL's advisory lock for whoever changes the schema: workers start side by side."""

_alone = threading.Lock()  # Alembic keeps what it works on in a module


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def current(store: Store) -> str | None:
    """Return the revision of the store's schema; None for an empty database."""
    with store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """Return the newest revision that this version knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def upgrade(store: Store, revision: str = "head") -> None:
    """Bring the schema up to `revision`.

    Raises:
        StoreError: the schema is newer than this version, or a migration failed.
    """
    if revision == "head" and current(store) == head():
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    try:
        with _alone, store.engine.begin() as connection:
            if not store.is_sqlite:  # SQLite has one writer anyway
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except CommandError as error:
        raise StoreError(
            f"The store's schema cannot be brought to this version ({error}). A newer monitor may have written it: "
            "run that version, or restore a backup made before the upgrade."
        ) from error


def downgrade(store: Store, revision: str) -> None:
    """Take the schema back to `revision` ("base": nothing is left)."""
    config = _config()
    with _alone, store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
