"""Opening the store, its schema, and what happens while it cannot be used."""

import sqlite3
import threading

import pytest
from sqlalchemy import MetaData, inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from monitor.store import Store, StoreError, StoreUnavailableError
from monitor.store.database import BUSY_TIMEOUT_S
from monitor.store.migrate import current, downgrade, head, upgrade
from monitor.store.tables import metadata, partition_state


@pytest.fixture
def lite(tmp_path):
    found = Store(f"sqlite:///{tmp_path / 'lite.db'}")
    yield found
    found.close()


# -- URLs


@pytest.mark.parametrize("url", ["", "nonsense", "://", "mysql://host/db", "redis://host", "sqlite+nothing:///x"])
def test_a_url_that_cannot_be_used_is_refused_with_the_mend(url):
    with pytest.raises(StoreError, match="write sqlite:///FILE or postgresql://"):
        Store(url)


def test_a_refused_url_does_not_show_its_password():
    with pytest.raises(StoreError) as refused:
        Store("mysql://me:secret@host/db")
    assert "secret" not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/folder for the store cannot be made"):
        Store(f"sqlite:///{tmp_path / 'file' / 'folder' / 'store.db'}")


def test_missing_folders_are_made(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'a' / 'b' / 'store.db'}")
    store.migrate()
    assert (tmp_path / "a" / "b" / "store.db").exists()
    store.close()


def test_postgresql_without_a_driver_named_takes_psycopg():
    store = Store("postgresql://me@localhost:1/db")
    assert store.engine.url.drivername == "postgresql+psycopg"
    assert not store.is_sqlite
    store.close()


# -- the schema


def test_migrations_go_up_and_down_and_up(store_url):
    store = Store(store_url)
    assert current(store) is None
    store.migrate()
    assert current(store) == head()
    store.migrate()
    downgrade(store, "base")
    assert set(inspect(store.engine).get_table_names()) == {"alembic_version"}
    store.migrate()
    assert current(store) == head()
    store.close()


def test_the_migrated_schema_is_the_one_of_the_tables(store):
    found = MetaData()
    found.reflect(store.engine)
    tables = {name: table for name, table in found.tables.items() if name != "alembic_version"}
    assert tables.keys() == metadata.tables.keys()
    for name, table in metadata.tables.items():
        theirs = tables[name]
        assert {(c.name, c.nullable, c.primary_key) for c in theirs.columns} == {
            (c.name, c.nullable, c.primary_key) for c in table.columns
        }, name
        assert {index.name for index in theirs.indexes} >= {index.name for index in table.indexes}, name


def test_a_newer_schema_is_refused_with_the_mend(store):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="A newer monitor may have written it"):
        upgrade(store)


def test_two_workers_may_migrate_at_once(store_url):
    stores = [Store(store_url) for _ in range(2)]
    errors = []

    def work(store):
        for _ in range(50):
            try:
                store.migrate()
            except OperationalError:
                continue  # SQLite was busy with the other: as a worker does, try again
            except Exception as error:  # noqa: BLE001 -- shown by the test
                errors.append(error)
            return

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert current(stores[0]) == head()
    for store in stores:
        store.close()


# -- transactions


def test_sqlite_keeps_a_log_and_does_not_lose_a_page_to_a_power_cut(lite):
    with lite.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_what_fails_leaves_nothing(store):
    def work(connection):
        connection.execute(text("DELETE FROM alembic_version"))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        store.transact(work)
    assert current(store) == head()


async def test_a_locked_store_is_waited_for(lite, tmp_path):
    lite.migrate()
    other = sqlite3.connect(tmp_path / "lite.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: other.execute("ROLLBACK")).start()
    rows = await lite.run_retrying(lambda connection: connection.execute(select(partition_state)).all())
    assert rows == []
    other.close()


async def test_a_store_that_stays_locked_is_an_error_that_says_what_to_look_for(tmp_path, monkeypatch):
    monkeypatch.setattr("monitor.store.database.BUSY_TIMEOUT_S", 0.05)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    store.migrate()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    retries = []
    with pytest.raises(StoreUnavailableError, match=r"did not answer for 1 s.*locked.*nothing is lost"):
        await store.run_retrying(
            lambda connection: connection.execute(select(partition_state)).all(),
            patience_s=1.0,
            on_retry=lambda: retries.append(1),
        )
    assert len(retries) >= 2
    other.close()
    store.close()
    assert BUSY_TIMEOUT_S == 5.0


async def test_a_full_store_is_waited_for_and_takes_up_where_it_was(lite):
    lite.migrate()
    with lite.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def fill(connection):
        connection.execute(text("CREATE TABLE IF NOT EXISTS big (x BLOB)"))
        connection.execute(text("INSERT INTO big VALUES (zeroblob(500000))"))

    limits = iter([pages, pages, 1_000_000])

    def work(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count={next(limits)}")
        fill(connection)

    tried = []
    await lite.run_retrying(work, on_retry=lambda: tried.append(1))
    assert len(tried) == 2
    with lite.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM big")).scalar() == 1


async def test_what_breaks_a_rule_of_the_schema_is_not_tried_again(store):
    tried = []

    def work(connection):
        tried.append(1)
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (NULL)"))

    with pytest.raises(IntegrityError):
        await store.run_retrying(work)
    assert len(tried) == 1
