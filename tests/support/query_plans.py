"""The plans of our statements: which index a database would use with many final rows and a few due."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event

from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from tests.support import factories

PLACE = re.compile(r"%\((\w+)\)s(::\w+)?")
CUSTOM, GENERIC = "force_custom_plan", "force_generic_plan"  # PostgreSQL's modes


@contextmanager
def statements(pattern: str = "") -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that match, with their parameters, as the database gets them."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if re.match(pattern, statement):
            seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def seen_about(table: str, kind: str) -> AbstractContextManager[list[tuple[str, Any]]]:
    """Collect the statements of a kind about a table."""
    return statements(rf"\s*(?={kind})(?s:.*)(FROM|UPDATE) {table}\b")


def explain(statement: str, parameters: Any) -> str:
    how = "EXPLAIN QUERY PLAN" if db.engine.dialect.name == "sqlite" else "EXPLAIN"
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{how} {statement}", parameters).mappings().all()
    return "\n".join(" ".join(f"{key}={value}" for key, value in row.items()) for row in rows)


def explain_prepared(statement: str, parameters: dict[str, Any], mode: str = GENERIC) -> str:
    """Explain as PostgreSQL runs a statement that it has prepared. A generic plan looks at no value."""
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        names.append(match[1])
        return f"${len(names)}{match[2] or ''}"

    numbered_statement = PLACE.sub(numbered, statement)
    values = ", ".join(_literal(parameters[name]) for name in names)
    with db.engine.connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
        connection.exec_driver_sql(f"PREPARE asked AS {numbered_statement}")
        rows = connection.exec_driver_sql(f"EXPLAIN EXECUTE asked ({values})").scalars().all()
        connection.exec_driver_sql("DEALLOCATE asked")
    return "\n".join(rows)


def _literal(value: object) -> str:
    """Return a parameter in PostgreSQL's words: a list is an array."""
    return f"'{{{','.join(map(str, value))}}}'" if isinstance(value, list) else f"'{value}'"


def goes_by_index(plan: str, table: str, index: str) -> bool:
    if db.engine.dialect.name == "sqlite":
        uses = re.search(rf"SEARCH {table} USING (COVERING )?INDEX ({index}) ", plan)
        return bool(uses) and f"SCAN {table}" not in plan
    if db.engine.dialect.name == "postgresql":
        uses = re.search(rf"(using|on) ({index})\b", plan)
        return bool(uses) and f"Seq Scan on {table}" not in plan
    mine = [line for line in plan.splitlines() if f"table={table} " in line]
    uses_all = all(re.search(rf" key=({index}) ", line) and " type=ALL " not in line for line in mine)
    return bool(mine) and uses_all


# --- the rows

FINAL, FAILED, COMMENTS = 40_000, 800, 20_000
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {} FROM n",
    "postgresql": "SELECT {1} FROM generate_series(1, {0}) AS n(i)",
    "mysql": "SELECT {1} FROM (SELECT seq AS i FROM seq_1_to_{0}) AS n",
}
ID = {"sqlite": "printf('%032d', i)", "postgresql": "lpad(i::text, 32, '0')", "mysql": "lpad(i, 32, '0')"}
# Of each comment there are as many deliveries.
COMMENT_ID = {
    "sqlite": f"printf('%032d', (i - 1) % {COMMENTS} + 1)",
    "postgresql": f"lpad((mod(i - 1, {COMMENTS}) + 1)::text, 32, '0')",
    "mysql": f"lpad(mod(i - 1, {COMMENTS}) + 1, 32, '0')",
}
SEQUENCE = {
    "sqlite": f"(i - 1) / {COMMENTS} + 1",
    "postgresql": f"(i - 1) / {COMMENTS} + 1",
    "mysql": f"(i - 1) DIV {COMMENTS} + 1",
}
LONG_AGO = "2026-01-01T00:00:00.000Z"
PAGE = "https://a.example/"  # a page of a website about which there are 200 comments
WITH_DELIVERIES = f"{10:032d}"  # a comment of which there are deliveries


def fill() -> str:
    webhook_id = factories.webhook()
    for _ in range(10):
        factories.webhook(name="others")
    dialect = db.engine.dialect.name
    page = f"CASE WHEN i > {COMMENTS // 2} AND i <= {COMMENTS // 2 + 200} THEN '{PAGE}' END"
    comment = f"{ID[dialect]}, 'Ada', 'Hello', 'published', '{LONG_AGO}', {page}"
    final = (
        f"{ID[dialect]}, 'e', '{webhook_id}', 'comment.created', '{{}}', "
        f"CASE WHEN i <= {FAILED} THEN 'failed' ELSE 'processed' END, 1, 1, 0, '{LONG_AGO}', "
        f"CASE WHEN i <= {2 * FAILED} THEN '{LONG_AGO}' ELSE '{clock.to_text(clock.now())}' END, "
        f"{COMMENT_ID[dialect]}, {SEQUENCE[dialect]}"
    )
    _insert("comments (id, name, message, status, created_at, page)", COMMENTS, comment)
    columns = (
        "deliveries (id, event_id, webhook_id, event, payload, status, attempts, claims, schedule_start, "
        "created_at, finished_at, comment_id, sequence)"
    )
    _insert(columns, FINAL, final)
    _fill_inbox(dialect)
    for _ in range(3):
        factories.delivery(webhook_id, comment_id=WITH_DELIVERIES, status="processed")
    for seconds in range(20):
        factories.delivery(webhook_id, due_at=clock.now() - timedelta(seconds=seconds))
        about = {"comment_id": f"{seconds + 20:032d}", "sequence": 9}
        factories.delivery(webhook_id, due_at=clock.now() - timedelta(seconds=seconds), **about)
    if dialect != "sqlite":  # which is asked without statistics, as it is in life
        with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for table in ("comments", "webhooks", "deliveries", "sources", "inbound_events"):
                connection.exec_driver_sql(f"ANALYZE {'TABLE ' if dialect == 'mysql' else ''}{table}")
    return webhook_id


def _insert(columns: str, count: int, values: str) -> None:
    with database.write(db.engine) as connection:
        numbered = NUMBERS[db.engine.dialect.name].format(count, values)
        connection.exec_driver_sql(f"INSERT INTO {columns} {numbered}")


def _fill_inbox(dialect: str) -> None:
    """As many inbound events of one source, some with its own number for each, and a few that wait."""
    source_id = factories.source(name="ours")
    for _ in range(10):
        factories.source(name="others")
    final = (
        f"{ID[dialect]}, '{source_id}', CASE WHEN i <= {2 * FAILED} THEN {ID[dialect]} END, 'push', '{{}}', "
        f"'{{}}', 'text', CASE WHEN i <= {FAILED} THEN 'failed' ELSE 'processed' END, 1, 1, "
        f"'{LONG_AGO}', '{LONG_AGO}'"
    )
    columns = (
        "inbound_events (id, source_id, external_id, event, headers, payload, encoding, status, attempts, "
        "claims, received_at, processed_at)"
    )
    _insert(columns, FINAL, final)
    for _ in range(20):
        factories.inbound(source_id)
