"""Databases of PostgreSQL that are empty, and go from one test to the next.

To make one and take it off again costs the server four times as much as to drop the tables of a test.
"""

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

END_OTHERS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
EMPTY = """DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC"""
# What a database may have outside the schema of its tables.
REST = """SELECT 'setting', setconfig::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'extension', extname FROM pg_extension
    UNION ALL SELECT 'large object', oid::text FROM pg_largeobject_metadata
    ORDER BY 1, 2"""


def lasting_engine(url: str) -> Engine:
    """Return an engine with one connection for all tests, and another one when a test has ended it."""
    return create_engine(url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0, pool_pre_ping=True)


class Emptied:
    """An empty database."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self._engine = lasting_engine(url)
        with self._engine.connect() as connection:
            self._rest = _rest(connection)

    def is_as_new(self) -> bool:
        """Drop what is in it; say whether nothing is left, also none of its settings."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(END_OTHERS)
                if _rest(connection) != self._rest:
                    return False
                connection.exec_driver_sql(EMPTY)
                return True
        except DBAPIError:  # it takes no connections, or is gone
            return False

    def close(self) -> None:
        """End its connection."""
        self._engine.dispose()


def _rest(connection: Connection) -> list[object]:
    return list(connection.exec_driver_sql(REST).all())
