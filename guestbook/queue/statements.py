"""The statements that every row of the queue passes through, as text in the words of each database.

SQLAlchemy would take longer to make them than the databases to run them. Times go through as text, and any
number of ids as one parameter. SQLAlchemy makes the statements that run less often.

    :name    a parameter         {lock}     lock the rows, and wait for others that have locked them
    {ids}    is one of :ids      {skip}     lock the rows, and leave out those that others have locked
    {limit}  :limit

The statistics of PostgreSQL are old when many rows have come at once. So no statement leaves it a choice that
would be bad then. With `status = 'new'` it could read all that waits by an index on the status. That a due
time is set says the same. Statements that name one row may say either.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult

from guestbook.lib import clock
from guestbook.storage.comment_order_sql import IS_NEXT_SQL

ONLY_NEXT = f" AND {IS_NEXT_SQL}"  # for `order`, which may be empty
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
EXTEND = "UPDATE {table} {by_id} SET due_at = :until WHERE id {ids} AND claimed_by = :token"
IN_FLIGHT = (  # by a worker, or given back by one so that they are due soon
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

INSERTED = {  # the columns of a table, with PostgreSQL's types
    "attempts": {
        "delivery_id": "text",
        "number": "int",
        "triggered_by": "text",
        "started_at": "text",
        "milliseconds": "int",
        "status_code": "int",
        "error": "text",
        "request_headers": "text",
        "response_headers": "text",
        "response_body": "text",
    },
    "attempt_counts": {
        "webhook_id": "text",
        "outcome": "text",
        "bound": "int",
        "number": "bigint",
        "milliseconds": "bigint",
    },
}

NAMED_PARAMETER = re.compile(r":([a-z_]+)")


class Words(NamedTuple):
    """What the databases write differently."""

    ids: str
    lock: str = " FOR UPDATE"
    skip: str = " FOR UPDATE SKIP LOCKED"
    limit: str = ":limit"
    by_id: str = ""
    added: str = (  # to the count that is there
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
    "sqlite": Words("IN (SELECT value FROM json_each(:ids))", lock="", skip=""),  # it has one writer
    "postgresql": Words(
        "= ANY(ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))))",  # psycopg is slow with arrays
        limit="(SELECT CAST(:limit AS int))",  # one that it does not know: so it reads no more, to sort it
    ),
    "mysql": MARIADB,
    "mariadb": MARIADB,
}


def run(
    connection: Connection,
    statement: str,
    parameters: Mapping[str, Any],
    *,
    ids: Collection[str] | None = None,
    **parts: str,
) -> CursorResult[Any]:
    """Run a statement, completed by these parts. A datetime among the parameters becomes text."""
    name = connection.dialect.name
    values = _stored(parameters)
    if ids is not None:
        values["ids"] = list(ids) if DIALECTS[name] is MARIADB else json.dumps(list(ids))
    return connection.exec_driver_sql(_worded(name, statement, **parts), values)


def run_each(connection: Connection, statement: str, rows: Iterable[Mapping[str, Any]], **parts: str) -> None:
    """Run a statement for each of these rows of parameters; there must be one."""
    text = _worded(connection.dialect.name, statement, **parts)
    connection.exec_driver_sql(text, [_stored(row) for row in rows])


def insert(connection: Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Store rows, each in the order of `INSERTED`, with its times and JSON as text. Counts are added up."""
    name = connection.dialect.name
    text = _insertion(name, table)
    if name == "postgresql":  # it would take longer for one statement each, and psycopg to write arrays
        connection.exec_driver_sql(text, {"rows": json.dumps(rows, ensure_ascii=False)})
    else:
        connection.exec_driver_sql(text, rows)


def assigned(names: Iterable[str]) -> str:
    """Return the part of an UPDATE that gives these columns the values of parameters of their names."""
    return "".join(f", {name} = :{name}" for name in names)


def _stored(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: clock.to_text(value) if isinstance(value, datetime) else value for name, value in row.items()
    }


@cache
def _worded(dialect: str, statement: str, **parts: str) -> str:
    """Return a statement in the words of a database and of its driver."""
    text = statement.format(**parts, **DIALECTS[dialect]._asdict())
    return text if dialect == "sqlite" else NAMED_PARAMETER.sub(r"%(\1)s", text)


@cache
def _insertion(dialect: str, table: str) -> str:
    columns = INSERTED[table]
    if dialect == "postgresql":
        casts = (f"CAST(row ->> {place} AS {kind})" for place, kind in enumerate(columns.values()))
        rows = f"SELECT {', '.join(casts)} FROM jsonb_array_elements(CAST(%(rows)s AS jsonb)) AS row"
    else:
        rows = f"VALUES ({', '.join(['?' if dialect == 'sqlite' else '%s'] * len(columns))})"
    added = DIALECTS[dialect].added if table == "attempt_counts" else ""
    return f"INSERT INTO {table} ({', '.join(columns)}) {rows}{added}"
