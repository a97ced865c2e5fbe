"""Writing and looking up many rows at once: statements made once, and the driver's own way to run them.

SQLAlchemy's expressions take several times as long as the database itself to bind a row; the watching worker asks for a
row or two for each mention, and writes two.
"""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


MOST_KEYS = 512
"""Keys that one statement asks for."""


class Lookup:
    """Finds rows by a column that many values are asked for at once.

    Args:
        table: where.
        fields: the names of the columns that are wanted.
        key: the name of the column asked for.
        dialect: of the database; SQLite or PostgreSQL.

    >>> from sqlalchemy import Column, Integer, MetaData, Table, create_engine
    >>> engine, metadata = create_engine("sqlite://"), MetaData()
    >>> table = Table("t", metadata, Column("id", Integer, primary_key=True), Column("size", Integer))
    >>> metadata.create_all(engine)
    >>> lookup = Lookup(table, ("id", "size"), "id", engine.dialect)
    >>> with engine.begin() as connection:
    ...     _ = connection.execute(table.insert(), [{"id": n, "size": n * n} for n in range(1000)])
    ...     found = [list(lookup(connection, keys)) for keys in ([3, 7, 2000], range(900), [])]
    >>> sorted(found[0]), len(found[1]), found[2]
    ([(3, 9), (7, 49)], 900, [])
    """

    def __init__(self, table: Table, fields: tuple[str, ...], key: str, dialect: Dialect) -> None:
        quote = dialect.identifier_preparer.quote
        mark = "?" if dialect.name == "sqlite" else "%s"
        columns = ", ".join(quote(name) for name in fields)
        head = " ".join(
            ("SELECT", columns, "FROM", dialect.identifier_preparer.format_table(table), "WHERE", quote(key))
        )

        @cache
        def statement(wanted: int) -> str:
            return f"{head} IN ({', '.join([mark] * wanted)})"

        self._statement = statement

    def __call__(self, connection: Connection, keys: Sequence[Any]) -> Iterator[Any]:
        """Yield the rows of these keys, in any order."""
        for start in range(0, len(keys), MOST_KEYS):
            some = tuple(keys[start : start + MOST_KEYS])
            # Few lengths make few statements, which the driver keeps ready: the last key fills up.
            wanted = min(MOST_KEYS, max(8, 1 << (len(some) - 1).bit_length()))
            filled = (*some, *(some[-1:] * (wanted - len(some))))
            yield from connection.exec_driver_sql(self._statement(wanted), filled)
