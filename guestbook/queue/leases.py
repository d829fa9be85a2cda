"""The queue in a table: claim, finish, release. The lease is the due time itself.

    due_at <= now ──claim, lease──▶ due_at = end of the lease, claimed_by = token ──finish──▶ due_at = null
         ▲                                    │ reschedule, release, or the lease runs out
         └────────────────────────────────────┘

If a process dies, its rows come due again by themselves. A result counts only while the row has the token.
All functions work in the caller's write transaction.
"""

from collections.abc import Collection, Iterable, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, Update, bindparam, select, update

from guestbook.queue import statements
from guestbook.storage import new_work
from guestbook.storage.models import DELIVERIES, IS_NEXT

IDS_PER_QUERY = 500  # MariaDB treats a thousand in another way
CLOCK_SKEW = timedelta(seconds=60)  # the clocks of two hosts may differ so much


def claim(
    connection: Connection,
    table: Table,
    among: ColumnElement[bool],
    *,
    now: datetime,
    limit: int,
) -> Sequence[Row[Any]]:
    """Lock and return up to `limit` due rows; nobody else gets them before `lease` is called.

    Deliveries that wait behind earlier ones are left out. A pass, which claims most, has `OrderedClaims`.
    """
    query = (
        select(table)
        .where(among, table.c.due_at <= now)
        .order_by(table.c.due_at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)  # SQLite has no such clause and needs none: it has one writer
    )
    return connection.execute(query.where(IS_NEXT) if table is DELIVERIES else query).all()


def lease(
    connection: Connection,
    table: Table,
    rows: Sequence[Row[Any]],
    *,
    now: datetime,
    until: datetime,
    token: str,
    counted: bool = True,
) -> set[str]:
    """Lease claimed rows under the token until that time; return their ids. Call it in `claim`'s transaction.

    Left out are deliveries behind an earlier one about the same comment to the same webhook. This statement
    must look, whatever the claim has seen: a person may have requeued the earlier one while the claim looked,
    and only now are the rows locked. With `counted=False` it is not counted as a claim: the relay leases
    rows that a worker will take over.
    """
    if not rows:
        return set()
    row_ids = [row.id for row in rows]
    may_follow = table is DELIVERIES and any((row.sequence or 0) > 1 for row in rows)
    terms = {"now": now, "until": until, "token": token, "counted": int(counted)}
    parts = {"table": table.name, "order": statements.ONLY_NEXT if may_follow else ""}
    if statements.run(connection, statements.LEASE, terms, ids=row_ids, **parts).rowcount == len(rows):
        return set(row_ids)
    mine = statements.run(connection, statements.LEASED, {"token": token}, ids=row_ids, table=table.name)
    return set(mine.scalars())


def extend(connection: Connection, table: Table, ids: Sequence[str], *, until: datetime, token: str) -> None:
    """Extend the leases that are still under the token until that time."""
    terms = {"until": until, "token": token}
    statements.run(connection, statements.EXTEND, terms, ids=ids, table=table.name)


def in_flight(
    connection: Connection, table: Table, ids: Collection[str], *, now: datetime, soon: datetime
) -> tuple[set[str], set[str]]:
    """Return which of these rows are leased, and which others are due until then."""
    named, terms = list(ids), {"now": now, "soon": soon}
    leased: set[str] = set()
    due: set[str] = set()
    for start in range(0, len(named), IDS_PER_QUERY):
        some = named[start : start + IDS_PER_QUERY]
        for row in statements.run(connection, statements.IN_FLIGHT, terms, ids=some, table=table.name):
            (leased if row.is_leased else due).add(row.id)
    return leased, due


def handed_over(
    connection: Connection, table: Table, handed: Collection[tuple[str, str]], columns: Iterable[str]
) -> list[Row[Any]]:
    """Lock the rows, named as pairs of id and token, and return those that are still under their token.

    They have the id, the token and these columns as text and numbers, just as they are stored.
    """
    rows = _in_hand(connection, table, handed, dict.fromkeys(("id", "claimed_by", *columns)))
    return [row for row in rows if (row.id, row.claimed_by) in handed]


def take_over(
    connection: Connection, table: Table, ids: Sequence[str], *, until: datetime, token: str
) -> None:
    """Lease rows that were handed over under a token of our own, so that the old token is void."""
    terms = {"until": until, "token": token}
    statements.run(connection, statements.TAKE_OVER, terms, ids=ids, table=table.name)


def owned(connection: Connection, table: Table, leased: Set[tuple[str, str]]) -> Set[tuple[str, str]]:
    """Lock these rows, named as pairs of id and token, and return the pairs that still hold.

    One pass may name a row twice, if it has claimed it again after its lease had ended.
    """
    return leased & {tuple(row) for row in _in_hand(connection, table, leased, ("id", "claimed_by"))}


def _in_hand(
    connection: Connection, table: Table, named: Collection[tuple[str, str]], columns: Iterable[str]
) -> Iterable[Row[Any]]:
    """Lock the rows with these ids that somebody has in hand, under whatever token."""
    if not named:
        return ()
    parts = {"table": table.name, "columns": ", ".join(columns)}
    return statements.run(connection, statements.OWNED, {}, ids={row_id for row_id, _ in named}, **parts)


def finish(connection: Connection, table: Table, ids: Collection[str], status: str, **values: Any) -> None:
    """Make owned rows final after an attempt."""
    parts = {"table": table.name, "values": statements.assigned(values)}
    statements.run(connection, statements.FINISH, {"status": status, **values}, ids=ids, **parts)


def end(connection: Connection, table: Table, ids: Sequence[str], status: str, **values: Any) -> None:
    """Make waiting rows final without an attempt, even if they are leased."""
    change = by_id(table, ids).where(table.c.status == "new")
    connection.execute(change.values(status=status, due_at=None, claimed_by=None, **values))


def reschedule(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Give owned rows their next due time after an attempt.

    Each dict has `row_id`, `due_at`, and the same further columns, such as `last_error`.
    """
    values = statements.assigned(name for name in rows[0] if name != "row_id")
    statements.run_each(connection, statements.RESCHEDULE, rows, table=table.name, values=values)


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
    each = [{**row, "uncounted": int(not was_begun)} for row in rows]
    statements.run_each(connection, statements.RELEASE, each, table=table.name)


def make_due(connection: Connection, table: Table, waiting: ColumnElement[bool], now: datetime) -> int:
    """Make those waiting rows due now, leased or not; return how many."""
    new_work.note(connection)
    return connection.execute(update(table).where(waiting).values(due_at=now, claimed_by=None)).rowcount


def by_id(table: Table, ids: Sequence[str]) -> Update:
    """Return an UPDATE of those rows, whatever their status."""
    change = update(table).where(table.c.id.in_(ids))
    return change.with_hint(statements.BY_ID, dialect_name="mysql").with_hint(
        statements.BY_ID, dialect_name="mariadb"
    )


def use_index(query: Select[Any], table: Any, hint: str) -> Select[Any]:
    """Give a query a hint that MySQL and MariaDB obey and other databases never see."""
    return query.with_hint(table, hint, "mysql").with_hint(table, hint, "mariadb")
