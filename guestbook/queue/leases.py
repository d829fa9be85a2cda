"""The queue in a table: claim, acknowledge, release, repair. The lease is the due time itself.

A claim moves `due_at` to the end of its lease and signs it with a token; a process that dies
leaves rows that come due again by themselves, and an acknowledgement counts only under its token.
All functions work in the caller's write transaction.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, Update, bindparam, select, update

CLOCK_SKEW = timedelta(seconds=60)  # by which the clocks of two hosts may differ
# On a small table MariaDB would rather read all rows than look up the ids, and so lock, and wait for, those
# that visitors are adding, who in turn wait for us. Other databases never see the hint.
BY_ID = "FORCE INDEX (PRIMARY)"


def claim(
    connection: Connection,
    table: Table,
    among: ColumnElement[bool],
    *,
    now: datetime,
    limit: int,
    ids_only: bool = False,
) -> Sequence[Row[Any]]:
    """Lock and return up to `limit` due rows among those; nobody else gets them before `lease` is called."""
    query = (
        select(table.c.id if ids_only else table)
        .where(among, table.c.due_at <= now)
        .order_by(table.c.due_at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)  # SQLite has no such words: there the writer is alone
    )
    return connection.execute(query).all()


def lease(
    connection: Connection,
    table: Table,
    ids: Sequence[str],
    *,
    now: datetime,
    until: datetime,
    token: str,
    counted: bool = True,
) -> int:
    """Sign the rows with the token until that time; return how many, all of `ids` in the same transaction.

    Who only passes them on does not count it as a claim: that does who takes them over.
    """
    change = _update_by_id(table, ids).where(table.c.due_at <= now)
    change = change.values(due_at=until, claimed_by=token, claims=table.c.claims + int(counted))
    return connection.execute(change).rowcount if ids else 0


def extend(connection: Connection, table: Table, ids: Sequence[str], *, until: datetime, token: str) -> None:
    """Let the lease of those that are still under the token last until that time."""
    change = _update_by_id(table, ids).where(table.c.claimed_by == token)
    connection.execute(change.values(due_at=until))


def handed_over(connection: Connection, table: Table, handed: Collection[tuple[str, str]]) -> list[Row[Any]]:
    """Lock and return those rows, of pairs of an id and a token, that are still under that token."""
    query = (
        select(table)
        .where(table.c.id.in_({row_id for row_id, _ in handed}), table.c.status == "new")
        .order_by(table.c.id)
        .with_for_update()
    )
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(table, BY_ID, dialect)
    return [row for row in connection.execute(query) if (row.id, row.claimed_by) in handed]


def take_over(
    connection: Connection, table: Table, ids: Sequence[str], *, until: datetime, token: str
) -> None:
    """Sign rows that were handed over with a token of our own, so that the old one opens nothing any more."""
    change = _update_by_id(table, ids)
    connection.execute(change.values(due_at=until, claimed_by=token, claims=table.c.claims + 1))


def owned(connection: Connection, table: Table, tokens: dict[str, str]) -> set[str]:
    """Return the ids, out of a dict of ids and tokens, whose lease is still ours, and lock these rows."""
    query = (
        select(table.c.id, table.c.claimed_by)
        .where(table.c.id.in_(list(tokens)), table.c.status == "new")
        .order_by(table.c.id)
        .with_for_update()
        .with_hint(table, BY_ID, "mysql")
        .with_hint(table, BY_ID, "mariadb")
    )
    return {row.id for row in connection.execute(query) if row.claimed_by == tokens[row.id]}


def finish(connection: Connection, table: Table, ids: Sequence[str], status: str, **values: Any) -> None:
    """Make rows that are owned final after an attempt."""
    change = _update_by_id(table, ids)
    connection.execute(
        change.values(status=status, due_at=None, claimed_by=None, attempts=table.c.attempts + 1, **values)
    )


def end(connection: Connection, table: Table, ids: Sequence[str], status: str, **values: Any) -> None:
    """Make those rows final that wait, whoever holds them: there is nothing left to do."""
    connection.execute(
        _update_by_id(table, ids).values(status=status, due_at=None, claimed_by=None, **values)
    )


def reschedule(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Give rows that are owned their next due time after an attempt.

    Each dict has `row_id`, `due_at`, `last_status_code` and `last_error`.
    """
    change = update(table).where(table.c.id == bindparam("row_id"), table.c.status == "new")
    connection.execute(change.values(claimed_by=None, attempts=table.c.attempts + 1), rows)


def release(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, was_begun: bool = True
) -> None:
    """Give back rows that nothing was sent for; each dict has `row_id`, `token` and the `due_at` it had.

    A claim of rows that nobody has begun does not count.
    """
    change = update(table).where(
        table.c.id == bindparam("row_id"),
        table.c.claimed_by == bindparam("token"),
        table.c.status == "new",
    )
    change = change.values(claimed_by=None, due_at=bindparam("due_at"))
    connection.execute(change if was_begun else change.values(claims=table.c.claims - 1), rows)


def repair(
    connection: Connection, table: Table, among: ColumnElement[bool], *, now: datetime, farthest: datetime
) -> int:
    """Make rows due now whose due time lies beyond what any wait or lease can explain; return how many.

    A clock that ran ahead and was put right leaves such rows.
    """
    change = update(table).where(among, table.c.due_at > farthest + CLOCK_SKEW)
    return connection.execute(change.values(due_at=now, claimed_by=None)).rowcount


def take_back(
    connection: Connection, table: Table, among: ColumnElement[bool], *, now: datetime, tokens: str
) -> int:
    """Make due now what is leased under tokens that begin so; return how many rows."""
    change = update(table).where(among, table.c.due_at > now, table.c.claimed_by.startswith(tokens))
    return connection.execute(change.values(due_at=now, claimed_by=None)).rowcount


def by_id(table: Table, ids: Sequence[str]) -> Update:
    """Return an UPDATE of those rows, whatever their status."""
    change = update(table).where(table.c.id.in_(ids))
    return change.with_hint(BY_ID, dialect_name="mysql").with_hint(BY_ID, dialect_name="mariadb")


def _update_by_id(table: Table, ids: Sequence[str]) -> Update:
    return by_id(table, ids).where(table.c.status == "new")
