"""The queue in a table: claim, finish, release. The lease is the due time itself.

    due_at <= now ──claim, lease──▶ due_at = end of the lease, claimed_by = token ──finish──▶ due_at = null
         ▲                                    │ reschedule, release, or the lease runs out
         └────────────────────────────────────┘

If a process dies, its rows come due again by themselves. A result counts only while the row has the token.
All functions work in the caller's write transaction.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, Update, bindparam, select, update

from guestbook.storage.models import DELIVERIES, IS_BEHIND, IS_NEXT

CLOCK_SKEW = timedelta(seconds=60)  # the clocks of two hosts may differ so much
# Without the hint MariaDB may read a small table as a whole. It would wait for rows that visitors are adding,
# and their transactions may wait for ours. Other databases never see the hint.
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
    """Lock and return up to `limit` due rows; nobody else gets them before `lease` is called.

    A delivery is left out while an earlier one about the same comment is on its way to the same webhook.
    """
    is_outbox = table is DELIVERIES
    columns = [table] if not ids_only else [table.c.id, table.c.sequence] if is_outbox else [table.c.id]
    query = (
        select(*columns)
        .where(among, table.c.due_at <= now)
        .order_by(table.c.due_at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)  # SQLite has no such clause and needs none: it has one writer
    )
    if not is_outbox:
        return connection.execute(query).all()
    rows = connection.execute(query.where(IS_NEXT)).all()
    return rows if connection.dialect.name == "sqlite" else _still_next(connection, rows)


def _still_next(connection: Connection, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Leave out those that overtake one which a person has requeued since the statement began.

    A server looks at a row that has changed meanwhile, but at the earlier ones as they were before.
    """
    later = [row.id for row in rows if row.sequence and row.sequence > 1]
    if not later:
        return rows
    query = select(DELIVERIES.c.id).where(DELIVERIES.c.id.in_(later), IS_BEHIND)
    behind = set(connection.scalars(query))
    return [row for row in rows if row.id not in behind]


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
    """Lease the rows under the token until that time; return how many. Call it in the transaction of `claim`.

    With `counted=False` it is not counted as a claim: the relay leases rows that a worker will take over.
    """
    change = _update_by_id(table, ids).where(table.c.due_at <= now)
    change = change.values(due_at=until, claimed_by=token, claims=table.c.claims + int(counted))
    return connection.execute(change).rowcount if ids else 0


def extend(connection: Connection, table: Table, ids: Sequence[str], *, until: datetime, token: str) -> None:
    """Extend the leases that are still under the token until that time."""
    change = _update_by_id(table, ids).where(table.c.claimed_by == token)
    connection.execute(change.values(due_at=until))


def handed_over(connection: Connection, table: Table, handed: Collection[tuple[str, str]]) -> list[Row[Any]]:
    """Lock and return the rows, named as pairs of id and token, that are still under their token."""
    return _still_leased(connection, table, select(table), handed)


def take_over(
    connection: Connection, table: Table, ids: Sequence[str], *, until: datetime, token: str
) -> None:
    """Lease rows that were handed over under a token of our own, so that the old token is void."""
    change = _update_by_id(table, ids)
    connection.execute(change.values(due_at=until, claimed_by=token, claims=table.c.claims + 1))


def owned(connection: Connection, table: Table, tokens: dict[str, str]) -> set[str]:
    """Lock the rows that are still leased under their tokens, and return their ids."""
    columns = select(table.c.id, table.c.claimed_by)
    return {row.id for row in _still_leased(connection, table, columns, tokens.items())}


def finish(connection: Connection, table: Table, ids: Sequence[str], status: str, **values: Any) -> None:
    """Make owned rows final after an attempt."""
    end(connection, table, ids, status, attempts=table.c.attempts + 1, **values)


def end(connection: Connection, table: Table, ids: Sequence[str], status: str, **values: Any) -> None:
    """Make waiting rows final without an attempt, even if they are leased."""
    connection.execute(
        _update_by_id(table, ids).values(status=status, due_at=None, claimed_by=None, **values)
    )


def reschedule(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Give owned rows their next due time after an attempt.

    Each dict has `row_id`, `due_at`, `last_status_code` and `last_error`.
    """
    change = update(table).where(table.c.id == bindparam("row_id"), table.c.status == "new")
    connection.execute(change.values(claimed_by=None, attempts=table.c.attempts + 1), rows)


def postpone(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Give waiting rows that nobody has in hand another due time; each dict has `row_id` and `due_at`."""
    change = update(table).where(table.c.id == bindparam("row_id"), table.c.status == "new")
    connection.execute(change.where(table.c.claimed_by.is_(None)), rows)


def release(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, was_begun: bool = True
) -> None:
    """Give back rows for which nothing was sent; each dict has `row_id`, `token` and the earlier `due_at`.

    With `was_begun=False` the claim does not count.
    """
    change = update(table).where(
        table.c.id == bindparam("row_id"), table.c.claimed_by == bindparam("token"), table.c.status == "new"
    )
    change = change.values(claimed_by=None, due_at=bindparam("due_at"))
    connection.execute(change if was_begun else change.values(claims=table.c.claims - 1), rows)


def make_due(connection: Connection, table: Table, waiting: ColumnElement[bool], now: datetime) -> int:
    """Make those waiting rows due now, leased or not; return how many."""
    return connection.execute(update(table).where(waiting).values(due_at=now, claimed_by=None)).rowcount


def by_id(table: Table, ids: Sequence[str]) -> Update:
    """Return an UPDATE of those rows, whatever their status."""
    change = update(table).where(table.c.id.in_(ids))
    return change.with_hint(BY_ID, dialect_name="mysql").with_hint(BY_ID, dialect_name="mariadb")


def use_index(query: Select[Any], table: Any, hint: str) -> Select[Any]:
    """Give a query a hint that MySQL and MariaDB obey and other databases never see."""
    return query.with_hint(table, hint, "mysql").with_hint(table, hint, "mariadb")


def _still_leased(
    connection: Connection, table: Table, query: Select[Any], leased: Collection[tuple[str, str]]
) -> list[Row[Any]]:
    query = query.where(table.c.id.in_([row_id for row_id, _ in leased]), table.c.status == "new")
    rows = connection.execute(use_index(query.order_by(table.c.id).with_for_update(), table, BY_ID))
    return [row for row in rows if (row.id, row.claimed_by) in leased]


def _update_by_id(table: Table, ids: Sequence[str]) -> Update:
    return by_id(table, ids).where(table.c.status == "new")
