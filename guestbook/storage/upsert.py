"""An INSERT that lets a row be that is there; two that failed would deadlock on MariaDB."""

from typing import Any

from sqlalchemy import Connection, Insert

from guestbook.storage.database import Base


def insert_missing(connection: Connection, model: type[Base], **values: Any) -> None:
    """Insert a row, unless there is one with its primary key."""
    connection.execute(_statement(connection.dialect.name, model, values))


def _statement(dialect: str, model: type[Base], values: dict[str, Any]) -> Insert:
    # Imported here: the modules of the two databases that are not in use would take longer than the row.
    if dialect in ("mysql", "mariadb"):
        from sqlalchemy.dialects import mysql

        [key] = model.__table__.primary_key.columns
        same = {key.name: values[key.name]}
        return mysql.insert(model).values(**values).on_duplicate_key_update(**same)
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(model).values(**values).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(model).values(**values).on_conflict_do_nothing()
