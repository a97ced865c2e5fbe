"""Writing many rows at once: one statement, made once, and the driver's own `executemany`.

SQLAlchemy's expressions take several times as long as the database itself to bind a row; the watching worker writes two
rows for each mention.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Dialect, Table


class Upsert:
    """Inserts rows of one kind of value, or changes those whose keys are there already.

    Args:
        table: where; its primary key says which row is meant.
        fields: the names of its columns that the values have as attributes, beside `partition`.
        dialect: of the database; SQLite or PostgreSQL.

    >>> from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
    >>> from types import SimpleNamespace
    >>> engine, metadata = create_engine("sqlite://"), MetaData()
    >>> table = Table("t", metadata, Column("id", String, primary_key=True), Column("partition", Integer),
    ...               Column("size", Integer))
    >>> metadata.create_all(engine)
    >>> upsert = Upsert(table, ("id", "size"), engine.dialect)
    >>> with engine.begin() as connection:
    ...     upsert(connection, 3, [SimpleNamespace(id="a", size=1), SimpleNamespace(id="b", size=1)])
    ...     upsert(connection, 4, [SimpleNamespace(id="a", size=2)])
    ...     connection.execute(table.select()).all()
    [('a', 4, 2), ('b', 3, 1)]
    """

    def __init__(self, table: Table, fields: tuple[str, ...], dialect: Dialect) -> None:
        quote = dialect.identifier_preparer.quote
        keys = [quote(column.name) for column in table.primary_key.columns]
        columns = [quote(name) for name in ("partition", *fields)]
        mark = "?" if dialect.name == "sqlite" else "%s"
        changed = [f"{name} = excluded.{name}" for name in columns if name not in keys]
        into = f"INSERT INTO {dialect.identifier_preparer.format_table(table)} ({', '.join(columns)})"
        conflict = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(changed)}"
        self._sql = f"{into} VALUES ({', '.join([mark] * len(columns))}) {conflict}"
        self._of = attrgetter(*fields)

    def __call__(self, connection: Connection, partition: int, rows: Iterable[Any]) -> None:
        """Write these; nothing happens without any."""
        of = self._of
        values = [(partition, *of(row)) for row in rows]
        if values:
            connection.exec_driver_sql(self._sql, values)
