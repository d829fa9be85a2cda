"""The plans of our statements: which index a database would use."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import event

from guestbook.storage.database import db

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
        return re.search(rf"SEARCH {table} USING (COVERING )?INDEX ({index}) ", plan) is not None and (
            f"SCAN {table}" not in plan
        )
    if db.engine.dialect.name == "postgresql":
        return re.search(rf"using ({index})\b|on ({index})\b", plan) is not None and (
            f"Seq Scan on {table}" not in plan
        )
    mine = [line for line in plan.splitlines() if f"table={table} " in line]
    return (
        all(re.search(rf" key=({index}) ", line) and " type=ALL " not in line for line in mine) and mine != []
    )
