"""What a restore would change: comments that come back or go, deliveries that would be sent again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, column, func, inspect, select, table

from guestbook.storage.restore.staging import StagedBook

IDS_AT_ONCE = 500
COMMENTS = table("comments", column("id"))
QUEUE = table("deliveries", column("id"), column("status"))


@dataclass(slots=True)
class Comparison:
    """The present book beside a backup; numbers of rows."""

    comments: int = 0  # in the present book
    comments_gone: int = 0  # of these, not in the backup
    comments_back: int = 0  # in the backup, and no more in the present book
    waiting: int = 0  # deliveries that the backup has to send
    finished_since: int = 0  # of these, processed or given up in the present book
    unknown: int = 0  # of these, not in the present book
    inbound: int = 0  # inbound events that the backup has to process


def compare(engine: Engine, staged_book: StagedBook) -> Comparison:
    """Compare the book with the backup; a database without tables is an empty book."""
    found = Comparison()
    with closing(sqlite3.connect(staged_book.path)) as copy, engine.connect() as connection:
        has_book = {"comments", "deliveries"} <= set(inspect(connection).get_table_names())
        waiting = "SELECT count(*) FROM inbound_events WHERE status = 'new'"
        (found.inbound,) = copy.execute(waiting).fetchone()
        for ids in _ids(copy, "SELECT id FROM deliveries WHERE status = 'new'"):
            found.waiting += len(ids)
            statuses = _statuses(connection, ids) if has_book else []
            found.unknown += len(ids) - len(statuses)
            found.finished_since += len([one for one in statuses if one != "new"])
        _compare_comments(copy, connection if has_book else None, found)
    return found


def _compare_comments(copy: sqlite3.Connection, connection: Connection | None, found: Comparison) -> None:
    in_both = 0
    for ids in _ids(copy, "SELECT id FROM comments"):
        both = _count(connection, ids) if connection else 0
        in_both += both
        found.comments_back += len(ids) - both
    if connection:
        found.comments = connection.scalar(select(func.count()).select_from(COMMENTS)) or 0
        found.comments_gone = found.comments - in_both


def _ids(copy: sqlite3.Connection, query: str) -> Iterator[list[str]]:
    rows = copy.execute(query)
    while ids := [one for (one,) in rows.fetchmany(IDS_AT_ONCE)]:
        yield ids


def _statuses(connection: Connection, ids: list[str]) -> list[str]:
    return list(connection.scalars(select(QUEUE.c.status).where(QUEUE.c.id.in_(ids))))


def _count(connection: Connection, ids: list[str]) -> int:
    there = select(func.count()).select_from(COMMENTS).where(COMMENTS.c.id.in_(ids))
    return connection.scalar(there) or 0
