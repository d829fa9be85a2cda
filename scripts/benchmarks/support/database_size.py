"""The size of a database, and its tidying after a bulk insert."""

from pathlib import Path

from sqlalchemy import Engine, text

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


def tidy(engine: Engine) -> None:
    """Do the work that the database does by itself when so many rows come over weeks."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(TIDY[_kind(engine)]))


def megabytes(engine: Engine) -> float:
    """Return the size of tables and indexes; of SQLite the size of its files."""
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e6
    with engine.connect() as connection:
        return int(connection.scalar(text(SIZE[_kind(engine)])) or 0) / 1e6


def _kind(engine: Engine) -> str:
    return {"mariadb": "mysql"}.get(engine.dialect.name, engine.dialect.name)
