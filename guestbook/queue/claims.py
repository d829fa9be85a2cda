"""The queue in a table: claim, lease, finish, release. The lease is the due time itself.

    due_at <= now ──claim, lease──▶ due_at = end of the lease, claimed_by = token ──finish──▶ due_at = null
         ▲                                    │ reschedule, release, or the lease runs out
         └────────────────────────────────────┘

If a process dies, its rows come due again by themselves. A result counts only while the row has the token.
All functions work in the caller's write transaction.

Every row of the queue passes through the statements at the end of this file. They are text in the words of
each database: SQLAlchemy would take longer to make them than the databases to run them. Times go through as
text, and any number of ids as one parameter. SQLAlchemy makes the statements that run less often.

    :name    a parameter         {lock}     lock the rows, and wait for others that have locked them
    {ids}    is one of :ids      {skip}     lock the rows, and leave out those that others have locked
    {limit}  :limit

The statistics of PostgreSQL are old when many rows have come at once. So no statement leaves it a choice that
would be bad then. With `status = 'new'` it could read all that waits by an index on the status. That a due
time is set says the same. Statements that name one row may say either.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    select,
    update,
)

from guestbook.storage import database, plain_sql
from guestbook.storage.models import DELIVERIES
from guestbook.storage.plain_sql import IS_NEXT_SQL

IDS_PER_QUERY = 500  # MariaDB treats a thousand in another way.
OWNERS = {"deliveries": "webhook_id", "inbound_events": "source_id"}  # This column says whose a row is.
CLOCK_SKEW = timedelta(seconds=60)  # The clocks of two hosts may differ so much.

Rows = Sequence[Row[Any]]
Changes = Sequence[dict[str, Any]]  # one of a row each


def take(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    limits: Mapping[str, int],
    *,
    most: int,
    now: datetime,
    until: datetime,
    token: str,
    counted: bool = True,
) -> dict[str, Rows]:
    """Claim and lease up to so many due rows of each webhook or source, `most` in all; return them by owner.

    The first in `limits` is served first. The rest is as in `claim` and `lease`.
    """
    found: dict[str, Rows] = {}
    for owner_id, limit in limits.items():
        if limit and most:
            found[owner_id] = claim(connection, table, columns, owner_id, now=now, limit=min(limit, most))
            most -= len(found[owner_id])
    rows = [row for some in found.values() for row in some]
    leased = lease(connection, table, rows, now=now, until=until, token=token, counted=counted)
    return {owner_id: [row for row in some if row.id in leased] for owner_id, some in found.items()}


def claim(
    connection: Connection, table: Table, columns: Sequence[str], owner_id: str, *, now: datetime, limit: int
) -> Rows:
    """Lock and return up to `limit` due rows of a webhook or source; nobody else gets them before `lease`.

    Deliveries that wait behind earlier ones are left out. The rows have these columns as text and numbers,
    just as they are stored. To lease deliveries takes their sequence.
    """
    terms = {"owner": owner_id, "now": now, "limit": limit}
    parts = {"columns": ", ".join(columns), "table": table.name, "owner": OWNERS[table.name]}
    order = ONLY_NEXT if table is DELIVERIES else ""
    return run_sql(connection, CLAIM, terms, **parts, order=order).all()


def lease(
    connection: Connection,
    table: Table,
    rows: Rows,
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
    parts = {"table": table.name, "order": ONLY_NEXT if may_follow else ""}
    if run_sql(connection, LEASE, terms, ids=row_ids, **parts).rowcount == len(rows):
        return set(row_ids)
    mine = run_sql(connection, LEASED, {"token": token}, ids=row_ids, table=table.name)
    return set(mine.scalars())


def locked(connection: Connection, table: Table, ids: Sequence[str]) -> Rows:
    """Lock these rows and return all their columns."""
    query = select(table).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update()
    return connection.execute(use_index(query, table, BY_ID)).all() if ids else ()


def in_flight(
    connection: Connection, table: Table, ids: Collection[str], *, now: datetime, soon: datetime
) -> tuple[set[str], set[str]]:
    """Return which of these rows are leased, and which others are due until then."""
    named, terms = list(ids), {"now": now, "soon": soon}
    leased: set[str] = set()
    due: set[str] = set()
    for start in range(0, len(named), IDS_PER_QUERY):
        some = named[start : start + IDS_PER_QUERY]
        for row in run_sql(connection, IN_FLIGHT, terms, ids=some, table=table.name):
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
    run_sql(connection, TAKE_OVER, terms, ids=ids, table=table.name)


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
    return run_sql(connection, OWNED, {}, ids={row_id for row_id, _ in named}, **parts)


def finish(connection: Connection, table: Table, ids: Collection[str], status: str, **values: Any) -> None:
    """Make owned rows final after an attempt."""
    parts = {"table": table.name, "values": assigned(values)}
    run_sql(connection, FINISH, {"status": status, **values}, ids=ids, **parts)


def end(connection: Connection, table: Table, ids: Sequence[str], status: str, **values: Any) -> None:
    """Make waiting rows final without an attempt, even if they are leased."""
    change = by_id(table, ids).where(table.c.status == "new")
    connection.execute(change.values(status=status, due_at=None, claimed_by=None, **values))


def reschedule(connection: Connection, table: Table, rows: Changes) -> None:
    """Give owned rows their next due time after an attempt.

    Each dict has `row_id`, `due_at`, and the same further columns, such as `last_error`.
    """
    values = assigned(name for name in rows[0] if name != "row_id")
    run_sql_each(connection, RESCHEDULE, rows, table=table.name, values=values)


def postpone(connection: Connection, table: Table, rows: Changes) -> None:
    """Give waiting rows that nobody has in hand another due time; each dict has `row_id` and `due_at`."""
    change = update(table).where(table.c.id == bindparam("row_id"), table.c.status == "new")
    connection.execute(change.where(table.c.claimed_by.is_(None)), rows)


def release(connection: Connection, table: Table, rows: Changes, *, was_begun: bool = True) -> None:
    """Give back rows for which nothing was sent; each dict has `row_id`, `token` and the earlier `due_at`.

    With `was_begun=False` the claim does not count.
    """
    each = [{**row, "uncounted": int(not was_begun)} for row in rows]
    run_sql_each(connection, RELEASE, each, table=table.name)


def make_due(connection: Connection, table: Table, waiting: ColumnElement[bool], now: datetime) -> int:
    """Make those waiting rows due now, leased or not; return how many."""
    database.note_new_work(connection)
    return connection.execute(update(table).where(waiting).values(due_at=now, claimed_by=None)).rowcount


def by_id(table: Table, ids: Sequence[str]) -> Update:
    """Return an UPDATE of those rows, whatever their status."""
    change = update(table).where(table.c.id.in_(ids))
    return change.with_hint(BY_ID, dialect_name="mysql").with_hint(BY_ID, dialect_name="mariadb")


def use_index(query: Select[Any], table: Any, hint: str) -> Select[Any]:
    """Give a query a hint that MySQL and MariaDB obey and other databases never see."""
    return query.with_hint(table, hint, "mysql").with_hint(table, hint, "mariadb")


ONLY_NEXT = f" AND {IS_NEXT_SQL}"  # This is for `order`, which may be empty.
CLAIM = (
    "SELECT {columns} FROM {table} WHERE {owner} = :owner AND due_at <= :now{order}"
    " ORDER BY due_at, id LIMIT {limit}{skip}"
)
LEASE = (
    "UPDATE {table} {by_id} SET due_at = :until, claimed_by = :token, claims = claims + :counted"
    " WHERE id {ids} AND due_at <= :now{order}"
)
LEASED = "SELECT id FROM {table} {by_id} WHERE id {ids} AND claimed_by = :token"
OWNED = "SELECT {columns} FROM {table} {by_id} WHERE id {ids} AND claimed_by IS NOT NULL ORDER BY id{lock}"
TAKE_OVER = (
    "UPDATE {table} {by_id} SET due_at = :until, claimed_by = :token, claims = claims + 1"
    " WHERE id {ids} AND due_at IS NOT NULL"
)
IN_FLIGHT = (  # A worker has them, or gave them back so that they are due soon.
    "SELECT id, claimed_by IS NOT NULL AND due_at > :now AS is_leased FROM {table} {by_id}"
    " WHERE id {ids} AND (claimed_by IS NOT NULL AND due_at > :now OR due_at <= :soon)"
)
FINISH = (
    "UPDATE {table} {by_id} SET status = :status, due_at = NULL, claimed_by = NULL, attempts = attempts + 1"
    "{values} WHERE id {ids} AND due_at IS NOT NULL"
)
RESCHEDULE = (
    "UPDATE {table} SET claimed_by = NULL, attempts = attempts + 1{values}"
    " WHERE id = :row_id AND status = 'new'"
)
RELEASE = (
    "UPDATE {table} SET claimed_by = NULL, due_at = :due_at, claims = claims - :uncounted"
    " WHERE id = :row_id AND claimed_by = :token AND status = 'new'"
)
FAILING = "SELECT id FROM webhooks WHERE id {ids} AND failures_in_a_row > 0"

INSERTED = {  # These are the columns of a table, with PostgreSQL's types.
    "attempts": (
        "delivery_id text, number int, triggered_by text, started_at text, milliseconds int, status_code int,"
        " error text, request_headers text, response_headers text, response_body text"
    ),
    "attempt_counts": "webhook_id text, outcome text, bound int, number bigint, milliseconds bigint",
}

NAMED_PARAMETER = re.compile(r":([a-z_]+)")


class Words(NamedTuple):
    """What the databases write differently."""

    ids: str
    lock: str = " FOR UPDATE"
    skip: str = " FOR UPDATE SKIP LOCKED"
    limit: str = ":limit"
    by_id: str = ""
    added: str = (
        " ON CONFLICT (webhook_id, outcome, bound) DO UPDATE SET"
        " number = attempt_counts.number + excluded.number,"
        " milliseconds = attempt_counts.milliseconds + excluded.milliseconds"
    )


# Without the hint MariaDB may read a small table as a whole. It would wait for rows that visitors are adding,
# and their transactions may wait for ours. Other databases never see the hint.
BY_ID = "FORCE INDEX (PRIMARY)"
MARIADB = Words(
    "IN :ids",  # PyMySQL writes a list as (…, …)
    by_id=BY_ID,
    added=" ON DUPLICATE KEY UPDATE number = number + VALUES(number),"
    " milliseconds = milliseconds + VALUES(milliseconds)",
)
DIALECTS = {
    "sqlite": Words("IN (SELECT value FROM json_each(:ids))", lock="", skip=""),  # It has one writer.
    "postgresql": Words(
        "= ANY(ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))))",  # psycopg is slow with arrays
        limit="(SELECT CAST(:limit AS int))",  # It does not know this limit, so it does not sort.
    ),
    "mysql": MARIADB,
    "mariadb": MARIADB,
}


def run_sql(
    connection: Connection,
    statement: str,
    parameters: Mapping[str, Any],
    *,
    ids: Collection[str] | None = None,
    **parts: str,
) -> CursorResult[Any]:
    """Run a statement, completed by these parts. A datetime among the parameters becomes text."""
    name = connection.dialect.name
    values = plain_sql.stored(parameters)
    if ids is not None:
        values["ids"] = list(ids) if DIALECTS[name] is MARIADB else json.dumps(list(ids))
    return connection.exec_driver_sql(_worded(name, statement, **parts), values)


def run_sql_each(
    connection: Connection, statement: str, rows: Iterable[Mapping[str, Any]], **parts: str
) -> None:
    """Run a statement for each of these rows of parameters; there must be one."""
    text = _worded(connection.dialect.name, statement, **parts)
    connection.exec_driver_sql(text, [plain_sql.stored(row) for row in rows])


def insert_rows(connection: Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Store rows, each in the order of `INSERTED`, with its times and JSON as text. Counts are added up."""
    name = connection.dialect.name
    text = _insertion(name, table)
    if name == "postgresql":  # One statement for each row would take longer.
        connection.exec_driver_sql(text, {"rows": json.dumps(rows, ensure_ascii=False)})
    else:
        connection.exec_driver_sql(text, rows)


def assigned(names: Iterable[str]) -> str:
    """Return the part of an UPDATE that gives these columns the values of parameters of their names."""
    return "".join(f", {name} = :{name}" for name in names)


@cache
def _worded(dialect: str, statement: str, **parts: str) -> str:
    """Return a statement in the words of a database and of its driver."""
    text = statement.format(**parts, **DIALECTS[dialect]._asdict())
    return text if dialect == "sqlite" else NAMED_PARAMETER.sub(r"%(\1)s", text)


@cache
def _insertion(dialect: str, table: str) -> str:
    columns = dict(column.split() for column in INSERTED[table].split(", "))
    if dialect == "postgresql":
        casts = (f"CAST(row ->> {place} AS {kind})" for place, kind in enumerate(columns.values()))
        rows = f"SELECT {', '.join(casts)} FROM jsonb_array_elements(CAST(%(rows)s AS jsonb)) AS row"
    else:
        rows = f"VALUES ({', '.join(['?' if dialect == 'sqlite' else '%s'] * len(columns))})"
    added = DIALECTS[dialect].added if table == "attempt_counts" else ""
    return f"INSERT INTO {table} ({', '.join(columns)}) {rows}{added}"
