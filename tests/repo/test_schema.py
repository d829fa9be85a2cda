"""schema.sql loads everywhere unchanged, and the models state the same tables."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from guestbook import settings
from guestbook.storage import SCHEMA, database, engines, models
from guestbook.storage.database import Base
from tests.conftest import need, need_server, settings_for
from tests.support import databases

SQL = SCHEMA.read_text()
TABLES = set(Base.metadata.tables)
VERSION = "alembic_version"  # the table that is no model's
COLLATION = "utf8mb4_nopad_bin"  # Zoe is not zoë, and a token with a blank behind it is another token

KINDS = databases.KINDS

Description = dict[str, dict[str, Any]]


@contextmanager
def engine_on(url: str) -> Iterator[Engine]:
    read = settings.load(settings_for(Path("/nowhere"), url))
    with engines.opened(read) as engine:
        yield engine


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    need_server(request.param)
    return str(request.param)


@pytest.fixture
def empty(kind: str, tmp_path: Path) -> Iterator[str]:
    with databases.fresh(kind, tmp_path) as url:
        yield url


# --- schema.sql through the programs that the file itself names


@pytest.mark.parametrize("program", ["sqlite3", "psql", "mariadb"])
def test_schema_sql_loads_twice_through_the_database_s_own_program(program: str, tmp_path: Path) -> None:
    need({"mariadb": "mariadb-client"}.get(program, program))
    kind = {"sqlite3": "sqlite-wal", "psql": "postgresql", "mariadb": "mariadb"}[program]
    with databases.fresh(kind, tmp_path) as url:
        for _ in range(2):
            load(program, url)
        with engine_on(url) as engine:
            by_program = described(engine)
        assert set(by_program) == TABLES
    assert made(kind, tmp_path / "by_us", database.create_tables) == by_program


def load(program: str, url: str) -> None:
    """Feed the file to the program, which must not complain and must stop at the first error."""
    to = make_url(url)
    port = str(to.port or databases.PORTS.get({"psql": "postgresql"}.get(program, program)))
    where = ["-h", str(to.host), "-U" if program == "psql" else "-u", str(to.username)]
    command = {
        "sqlite3": ["sqlite3", "-bail", str(to.database)],
        "psql": ["psql", "-q", "-w", "-v", "ON_ERROR_STOP=1", *where, "-p", port, str(to.database)],
        "mariadb": ["mariadb", "--skip-ssl", *where, "-P", port, str(to.database)],
    }[program]
    password = {"PGPASSWORD": to.password or "", "MYSQL_PWD": to.password or ""}
    quiet = {"PGOPTIONS": "-c client_min_messages=warning"}  # without notices of tables that are there
    with SCHEMA.open() as file:
        done = subprocess.run(
            command, stdin=file, capture_output=True, text=True, timeout=60, env=os.environ | password | quiet
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_create_tables_may_be_run_again_and_touches_nothing(empty: str) -> None:
    with engine_on(empty) as engine:
        database.create_tables(engine)
        first = described(engine)
        insert(engine, COMMENT)
        database.create_tables(engine)
        assert described(engine) == first
        assert set(first) == TABLES
        assert asked(engine, "SELECT name FROM comments") == [("Zoë 🦋",)]


def test_deliveries_begins_with_the_simplest_possible_queue_as_early_as_the_databases_allow() -> None:
    order = re.findall(r"(?m)^CREATE TABLE IF NOT EXISTS (\w+)", SQL)
    deliveries = SQL.partition("CREATE TABLE IF NOT EXISTS deliveries (\n")[2].partition("\n)")[0]
    assert re.findall(r"(?m)^    ([a-z_]+) ", deliveries)[:3] == ["id", "payload", "status"]
    assert set(order[: order.index("deliveries")]) == set(re.findall(r"REFERENCES (\w+)", deliveries))


def test_the_package_carries_the_file_at_the_root() -> None:
    assert SCHEMA.resolve() == Path(__file__).parents[2].resolve() / "schema.sql"


# --- the models agree with it


def test_schema_and_models_agree(kind: str, tmp_path: Path, stated: Description) -> None:
    """Make the tables once by schema.sql and once by the models, and let the database describe both."""
    assert made(kind, tmp_path, database.create_tables) == stated


@pytest.fixture(scope="module")
def stated(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Description:
    """What the models say on that kind of database."""
    assert models.Comment.metadata is Base.metadata
    return made(kind, tmp_path_factory.mktemp("stated"), Base.metadata.create_all)


def made(kind: str, folder: Path, make: Callable[[Engine], None]) -> Description:
    folder.mkdir(parents=True, exist_ok=True)
    with databases.fresh(kind, folder) as url, engine_on(url) as engine:
        make(engine)
        return described(engine)


def described(on: Engine | Connection, without: str = VERSION) -> Description:
    """What the database says of its tables, as plain data; of all but that of the version."""
    seen = inspect(on)  # of all tables at a time, which PostgreSQL answers sooner than one after the other
    columns, keys = seen.get_multi_columns(), seen.get_multi_pk_constraint()
    unique, foreign = seen.get_multi_unique_constraints(), seen.get_multi_foreign_keys()
    indexes, checks = seen.get_multi_indexes(), seen.get_multi_check_constraints()
    return {
        at[1]: {
            "columns": [(one["name"], type_of(one), one["nullable"], one["default"]) for one in columns[at]],
            "primary key": keys[at]["constrained_columns"],
            "unique": {one["name"]: one["column_names"] for one in unique[at]},
            "foreign keys": {one["name"]: [one[part] for part in OF_KEY] for one in foreign[at]},
            "indexes": {
                one["name"]: (one["column_names"], bool(one["unique"]), partial(one)) for one in indexes[at]
            },
            "checks": {one["name"]: one["sqltext"] for one in checks[at]},
        }
        for at in columns
        if at[1] != without
    }


OF_KEY = ("constrained_columns", "referred_table", "referred_columns", "options")


def type_of(column: Mapping[str, Any]) -> str:
    """`VARCHAR(80)`. MariaDB's collation is left out: the models do not state it, and it has its own test."""
    return str(column["type"]).partition(" COLLATE ")[0]


def partial(index: Mapping[str, Any]) -> str:
    options = index.get("dialect_options", {})
    return " ".join(str(value) for name, value in options.items() if name.endswith("_where"))


# --- the rules that the tables themselves keep

NOW = "2026-01-31T23:59:59.123Z"
COMMENT = {"id": "c" * 32, "name": "Zoë 🦋", "message": "Hello", "status": "published", "created_at": NOW}
WEBHOOK = {"id": "w" * 32, "name": "w", "url": "https://example.org/", "format": "json", "events": "ping"}
WEBHOOK |= {"headers": "{}", "secret": "s", "created_at": NOW}
WEBHOOK |= {"failures_in_a_row": 0, "unreachable_in_a_row": 0}
DELIVERY = {"id": "d" * 32, "event_id": "e" * 32, "webhook_id": "w" * 32, "comment_id": "c" * 32}
DELIVERY |= {"event": "ping", "payload": "{}", "status": "new", "attempts": 0, "claims": 0}
DELIVERY |= {"schedule_start": 0, "due_at": NOW, "created_at": NOW}
OF = {"comments": COMMENT, "webhooks": WEBHOOK, "deliveries": DELIVERY}


def insert(engine: Engine, row: Mapping[str, object], table: str = "comments") -> None:
    names = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    with database.write(engine) as connection:
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), dict(row))


@pytest.fixture
def filled(kind: str, tmp_path: Path) -> Iterator[Engine]:
    """Tables with one good row each."""
    with databases.with_tables(kind, tmp_path) as url, engine_on(url) as engine:
        databases.make_tables(engine, url)
        for table, row in OF.items():
            insert(engine, row, table)
        yield engine


@pytest.mark.parametrize(("table", "changes"), [
    ("comments", {"status": "deleted"}),
    ("webhooks", {"disabled_at": NOW}),
    ("webhooks", {"disabled_reason": "gone"}),
    ("webhooks", {"disabled_at": NOW, "disabled_reason": "tired"}),
    ("deliveries", {"status": "sending"}),
    ("deliveries", {"due_at": None}),
    ("deliveries", {"status": "processed"}),
    ("deliveries", {"status": "failed", "due_at": None, "claimed_by": "somebody"}),
    ("deliveries", {"attempts": 1}),
    ("deliveries", {"webhook_id": "x" * 32}),
    ("deliveries", {"comment_id": "x" * 32}),
    ("deliveries", {}),  # the id is taken
])  # fmt: skip
def test_a_row_that_breaks_a_rule_is_refused(filled: Engine, table: str, changes: dict[str, Any]) -> None:
    other = {} if not changes else {"id": "f" * 32}
    with pytest.raises(DBAPIError):
        insert(filled, {**OF[table], **other, **changes}, table)


def test_a_row_that_keeps_the_rules_is_taken(filled: Engine) -> None:
    gone = {"id": "1" * 32, "disabled_at": NOW, "disabled_reason": "gone"}
    insert(filled, {**WEBHOOK, **gone}, "webhooks")
    sent = {"id": "2" * 32, "status": "processed", "due_at": None, "attempts": 2, "claims": 3}
    insert(filled, {**DELIVERY, **sent}, "deliveries")
    assert count(filled, "deliveries") == 2


def test_a_webhook_takes_its_deliveries_along_and_a_comment_does_not(filled: Engine) -> None:
    with database.write(filled) as connection:
        connection.execute(text("DELETE FROM comments"))
    assert count(filled, "deliveries") == 1
    with database.write(filled) as connection:
        connection.execute(text("DELETE FROM webhooks"))
    assert count(filled, "deliveries") == 0


def count(engine: Engine, table: str) -> int:
    return int(asked(engine, f"SELECT count(*) FROM {table}")[0][0])


def asked(engine: Engine, query: str) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(text(query)).all()


@pytest.mark.needs("mariadb")
def test_on_mariadb_each_text_is_compared_letter_by_letter(tmp_path: Path) -> None:
    query = "SELECT table_name, column_name, collation_name FROM information_schema.columns"
    with databases.fresh("mariadb", tmp_path) as url, engine_on(url) as engine:
        database.create_tables(engine)
        columns = asked(engine, f"{query} WHERE table_schema = DATABASE() AND collation_name IS NOT NULL")
    assert {row.table_name for row in columns} == TABLES | {VERSION}
    assert {row.collation_name for row in columns} == {COLLATION}


def test_no_statement_is_lost_in_the_splitting() -> None:
    assert len(database.statements(SQL)) == len(re.findall(r"(?m)^CREATE |^INSERT ", SQL))
    assert all(re.match("CREATE |INSERT ", statement) for statement in database.statements(SQL))


def test_postgresql_tidies_the_queues_after_so_many_dead_rows_however_large_they_are(tmp_path: Path) -> None:
    need("postgresql")
    with databases.fresh("postgresql", tmp_path) as url, engine_on(url) as engine:
        for _ in range(2):
            database.create_tables(engine)
        query = "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relkind = 'r'"
        found = {row.relname: set(row.reloptions) for row in asked(engine, query)}
    wanted = set(database.AUTOVACUUM.replace(" = ", "=").split(", "))
    assert found == {"deliveries": wanted, "inbound_events": wanted}
