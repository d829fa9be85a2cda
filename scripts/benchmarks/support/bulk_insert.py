"""Store very many rows quickly: without SQLAlchemy's types and without the database's checks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, text

QUICK = {
    "sqlite": (
        "PRAGMA synchronous = OFF",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA cache_size = -200000",  # kB
    ),
    "postgresql": ("SET session_replication_role = replica",),  # only superusers may; others wait longer
    "mysql": ("SET foreign_key_checks = 0", "SET unique_checks = 0"),
}
TIDY = {
    "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)",
    "postgresql": "VACUUM ANALYZE",
    "mysql": "ANALYZE TABLE comments, deliveries, attempts, inbound_events",
}
SIZE = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
}

Row = Mapping[str, Any]  # by column, as the table keeps it: texts and numbers


class Filler:
    """A connection that only stores rows."""

    def __init__(self, raw: Any, dialect: str) -> None:
        self._cursor = raw.cursor()
        self._dialect = dialect

    def run(self, statement: str) -> None:
        """Run one statement by itself."""
        self._cursor.execute(statement)

    def tidy(self) -> None:
        """Do what the database does by itself while so many rows come over weeks."""
        self.run(TIDY[self._dialect])

    def store(self, *batches: tuple[Table, Sequence[Row]]) -> None:
        """Store rows of tables in one transaction; those of one table have the same columns."""
        self.run("BEGIN")
        for table, rows in batches:
            if rows:
                self._put(table, list(rows[0]), (list(row.values()) for row in rows))
        self.run("COMMIT")

    def _put(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        where = f"{table.name} ({', '.join(columns)})"
        if self._dialect == "postgresql":
            with self._cursor.copy(f"COPY {where} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        places = ", ".join("?" if self._dialect == "sqlite" else "%s" for _ in columns)
        self._cursor.executemany(f"INSERT INTO {where} VALUES ({places})", list(rows))


@contextmanager
def filling(engine: Engine, *, quick: bool = True) -> Iterator[Filler]:
    """Give a filler; a quick one has no protection from a power cut or from wrong rows."""
    dialect = kind(engine)
    borrowed = engine.raw_connection()
    borrowed.detach()  # nobody else gets it
    raw: Any = borrowed.dbapi_connection
    if dialect == "postgresql":
        raw.autocommit = True
    elif dialect == "mysql":
        raw.autocommit(True)
    filler = Filler(raw, dialect)
    try:
        for statement in QUICK[dialect] if quick else ():
            with suppress(engine.dialect.loaded_dbapi.Error):
                filler.run(statement)
        yield filler
    finally:
        raw.close()


def size(engine: Engine) -> int:
    """Return the bytes that tables and indexes take; of SQLite all files."""
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*"))
    with engine.connect() as connection:
        return int(connection.scalar(text(SIZE[kind(engine)])) or 0)


def kind(engine: Engine) -> str:
    """Return sqlite, postgresql or mysql, which MariaDB is too."""
    return {"mariadb": "mysql"}.get(engine.dialect.name, engine.dialect.name)
