"""`upgrade` brings every book since the baseline to the schema of a new one, and loses no row."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, make_url, text
from sqlalchemy.exc import DBAPIError
from standardwebhooks import Webhook as Verifier

import guestbook
from guestbook import settings
from guestbook.lib import clock, ids
from guestbook.lib.encryption import PREFIX_OF_ENCRYPTED, Keyring, of_row
from guestbook.lib.errors import Refused
from guestbook.storage import (
    SCHEMA,
    backup,
    database,
    database_errors,
    encrypted_columns,
    hosts_sharing_sqlite,
    schema_version,
    upgrade,
)
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.encrypted_columns import SECRET_COLUMNS_OF_BOOK
from guestbook.storage.models import Setting
from guestbook.storage.models.delivery import FIRST_VERSION
from guestbook.storage.upgrade import UpgradeReport
from tests.conftest import running, settings_for
from tests.repo.test_schema import VERSION, Description, described, engine_on
from tests.storage import earlier_books
from tests.storage.earlier_books import ROWS, WHEN, rows
from tests.support import databases, factories
from tests.support.receiver import Receiver
from tests.support.secret_keys import KEY
from tests.support.visitor import Visitor


def upgraded(folder: Path, url: str) -> UpgradeReport:
    read = settings.load(settings_for(folder, url))
    return upgrade.run(read, progress=lambda *_: nullcontext(lambda _: None), waiting=lambda: None)


@cache
def fresh(kind: str) -> Any:
    """What a new book of that kind looks like."""
    with TemporaryDirectory() as folder, databases.fresh(kind, Path(folder)) as url, engine_on(url) as engine:
        database.create_tables(engine)
        return by_name(engine)


def by_name(engine: Engine) -> Description:
    """As `described`, but a column that was added stands last and may; what MariaDB and PostgreSQL add."""
    tables = described(engine, without="")
    for table in tables.values():
        table["columns"] = sorted(table["columns"])
    with engine.connect() as connection:
        if engine.dialect.name == "mysql":
            for name, table in tables.items():
                found = connection.exec_driver_sql(f"SHOW INDEX FROM {name}").mappings()
                table["order of indexes"] = list(dict.fromkeys(one["Key_name"] for one in found))
                columns = connection.exec_driver_sql(f"SHOW FULL COLUMNS FROM {name}").mappings()
                table["collations"] = {one["Collation"] for one in columns}
        if engine.dialect.name == "postgresql":
            options = "SELECT relname, reloptions FROM pg_class WHERE relkind = 'r'"
            for name, value in connection.exec_driver_sql(options):
                if name in tables:
                    tables[name]["options"] = value
    return tables


def test_a_book_of_the_baseline_becomes_as_a_new_one_and_keeps_its_rows(kind: str, tmp_path: Path) -> None:
    with earlier_books.earlier(kind, tmp_path) as url, engine_on(url) as engine:
        before = rows(engine)
        report = upgraded(tmp_path, url)
        assert by_name(engine) == fresh(kind)
        assert_kept(before, rows(engine))
        assert report.backup
        assert report.backup.rows == dict.fromkeys([*before, VERSION], 1)
        with engine_on(f"sqlite:///{report.backup.path}") as copy:
            assert rows(copy) == before
        assert report.before == schema_version.known()[0]
        assert tuple(one.version for one in report.migrations) == schema_version.known()[1:]
        again = upgraded(tmp_path, url)
        assert (again.before, again.backup, again.migrations) == (schema_version.head(), None, [])


def test_state_leaves_the_settings_and_an_older_web_server_keeps_its_copy(kind: str, tmp_path: Path) -> None:
    state = {"password": "scrypt:…", "last_number": "7", "hits": "12", "undo:1": "{}"}
    with earlier_books.earlier(kind, tmp_path) as url, engine_on(url) as engine:
        with engine.begin() as connection:
            connection.execute(
                insert(Setting), [{"name": name, "value": value} for name, value in state.items()]
            )
        upgraded(tmp_path, url)
        with engine.connect() as connection:
            query = "SELECT name, value FROM {}"
            assert dict(connection.exec_driver_sql(query.format("book_state")).all()) == state
            kept = dict(connection.exec_driver_sql(query.format("settings")).all())
            assert kept == {**state, "title": "Our book"}


def assert_kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Each row has its values, and new columns are empty or have what the recipe gives them."""
    for table, (row,) in before.items():
        (now,) = (decrypted(table, one) for one in after[table])
        assert {name: now[name] for name in row} == row, table
        for name in now.keys() - row.keys():
            known = {("origins", "source_id"): "o" * 32}.get((table, name))
            assert now[name] == (FIRST_VERSION if name == "version" else known), (table, name)


def decrypted(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its secrets as they were before they were encrypted, which all must be."""
    columns = [one for one in SECRET_COLUMNS_OF_BOOK if one.table == table and one.form == "text"]
    opened = {}
    for one in columns:
        if stored := row.get(one.column) if one.only is None else None:
            assert stored.startswith(PREFIX_OF_ENCRYPTED), one
            opened[one.column] = Keyring((KEY,)).decrypt(stored, of_row(one.purpose, str(row[one.key])))
    return row | opened


def test_secrets_are_encrypted_for_their_rows_also_after_a_kill_and_unreadable_ones_later(
    kind: str, tmp_path: Path
) -> None:
    before = schema_version.known()[schema_version.known().index(version_of("secrets_of_rows")) - 1]
    here, elsewhere = Keyring((KEY,)), Keyring(("another key",))
    with databases.fresh(kind, tmp_path) as url, engine_on(url) as engine:
        database.create_tables(engine)
        with database.write(engine) as connection:
            for name, keyring in {"a": here, "b": elsewhere}.items():
                sealed = keyring.encrypt(f"whsec_{name}", "webhook secret")
                store(connection, "webhooks", ROWS["webhooks"] | {"id": name, "secret": sealed})
        for _ in range(2):
            with database.write(engine) as connection:
                connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{before}'")
            upgraded(tmp_path, url)
        found = {row["id"]: row["secret"] for row in rows(engine)["webhooks"]}
        assert here.decrypt(found["a"], of_row("webhook secret", "a")) == "whsec_a"
        assert elsewhere.decrypt(found["b"], "webhook secret") == "whsec_b"
        with database.write(engine) as connection:
            encrypted_columns.encrypt_all(connection, Keyring((KEY, "another key")))
        [later] = [row["secret"] for row in rows(engine)["webhooks"] if row["id"] == "b"]
        assert here.decrypt(later, of_row("webhook secret", "b")) == "whsec_b"


def version_of(name: str) -> str:
    """Return the version of the migration with that word in its name."""
    return next(path.name[:4] for path in schema_version.VERSIONS.glob(f"*{name}*.py"))


def test_comments_from_elsewhere_know_their_source_where_that_is_certain(kind: str, tmp_path: Path) -> None:
    known = schema_version.known()
    before = known[known.index(version_of("sources_of_comments")) - 1]
    later, made = "2026-02-01T00:00:00.000Z", "It became a comment, held."
    # Of each source: its name, and since when it is there. An event tells who brought "event".
    sources = {
        "a": ("Twins", WHEN),
        "b": ("Twins", WHEN),
        "c": ("Only", WHEN),
        "d": ("New", later),
        "e": ("Was", WHEN),
    }
    origins = {"event": "Twins", "twins": "Twins", "only": "Only", "new": "New", "was": "Was", "gone": "Gone"}
    with databases.fresh(kind, tmp_path) as url, engine_on(url) as engine:
        database.create_tables(engine)
        with database.write(engine) as connection:
            for key, (name, since) in sources.items():
                row = {"id": key, "token": key, "name": name, "created_at": since}
                store(connection, "sources", ROWS["sources"] | row)
            for key, name in origins.items():
                store(connection, "comments", ROWS["comments"] | {"id": key, "form_key": key})
                store(connection, "origins", ROWS["origins"] | {"comment_id": key, "name": name, "url": key})
            of = {"source_id": "b", "comment_id": "event", "note": made}
            store(connection, "inbound_events", ROWS["inbound_events"] | of)
            entry = {"id": "1", "at": WHEN, "actor": "admin", "action": "changed", "number": 1}
            other = {"object": "source", "object_id": "f", "object_name": "Was"}
            store(connection, "audit_log", entry | other)
            connection.exec_driver_sql("ALTER TABLE origins DROP COLUMN source_id")
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{before}'")
        upgraded(tmp_path, url)
        assert by_name(engine) == fresh(kind)
        found = {row["comment_id"]: row["source_id"] for row in rows(engine)["origins"]}
        assert found == dict.fromkeys(origins) | {"event": "b", "only": "c"}


def store(connection: Connection, table: str, row: dict[str, object]) -> None:
    places = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"), row)


def test_a_program_of_the_baseline_that_still_runs_can_write_and_this_one_goes_on_with_it(
    kind: str, tmp_path: Path, receiver: Receiver
) -> None:
    secret, key, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "2" * 32, "2026-02-01T00:00:00.000Z"
    sealed = Keyring((KEY,)).encrypt(secret, "webhook secret")  # as it was before version 0029
    active = {"paused_until": None, "failures_in_a_row": 0, "unreachable_in_a_row": 0, "failing_since": None}
    written = {
        "webhooks": active
        | {"id": key, "url": receiver.url("/new"), "secret": sealed, "previous_secret": None},
        "comments": {"id": key, "form_key": key, "message": "Of the older program", "status": "published"},
        "origins": {"comment_id": key, "url": "https://a.example/2"},
        "deliveries": {"id": key, "webhook_id": key, "comment_id": key, "due_at": at},
        "attempts": {"delivery_id": key},
    }
    with earlier_books.earlier(kind, tmp_path) as url:
        upgraded(tmp_path, url)
        with engine_on(url) as engine, database.write(engine) as connection:
            connection.exec_driver_sql("DELETE FROM deliveries")  # to a receiver that is not here
            for table, row in written.items():
                store(connection, table, ROWS[table] | row)
        with running(settings_for(tmp_path, url)) as app, app.app_context():
            factories.run_pass()
            page = Visitor(app).get("/").get_data(as_text=True)
            assert factories.deliveries()[0].status == "new"  # it waits, as with another secret key
            with database.write(db.engine) as connection:  # as encrypt-secrets does
                encrypted_columns.encrypt_all(connection, Keyring((KEY,)))
            factories.all_due()
            factories.run_pass()
    [request] = receiver.at("/new")
    Verifier(secret).verify(request.body, request.headers)
    assert "Of the older program" in page


def test_the_versions_begin_with_the_baseline_and_each_follows_the_one_before() -> None:
    known = schema_version.known()
    assert list(known) == [f"{number:04d}" for number in range(24, 24 + len(known))]
    assert f"before version {known[0]}," in Fault.TOO_OLD.value


@pytest.fixture
def book(kind: str, tmp_path: Path) -> Iterator[tuple[str, Engine]]:
    with earlier_books.earlier(kind, tmp_path) as url, engine_on(url) as engine:
        yield url, engine


TOO_OLD = {
    "an older version": ["UPDATE alembic_version SET version_num = '0023'"],
    "no version": ["DROP TABLE alembic_version"],
    "a version that was lost": ["DELETE FROM alembic_version"],
    "no version and no rows": [
        "DROP TABLE alembic_version",
        *(f"DELETE FROM {name}" for name in reversed(ROWS)),
    ],
}


@pytest.mark.parametrize("changes", TOO_OLD.values(), ids=TOO_OLD)
def test_a_book_from_before_the_baseline_is_refused_and_left_alone(
    changes: list[str], book: tuple[str, Engine], tmp_path: Path
) -> None:
    url, engine = book
    with database.write(engine) as connection:
        for change in changes:
            connection.exec_driver_sql(change)
    before = described(engine, without=""), rows(engine)
    read = settings.load(settings_for(tmp_path, url))
    for use in (
        lambda: database.require_version(engine),
        lambda: database.create_tables(engine),
        lambda: upgraded(tmp_path, url),
        lambda: backup.write(read, tmp_path / "b.db"),
    ):
        with pytest.raises(WrongVersion) as caught:
            use()
        assert caught.value.fault is Fault.TOO_OLD
    assert (described(engine, without=""), rows(engine)) == before
    assert not (tmp_path / "b.db").exists()
    assert not (tmp_path / "backups").exists()


def test_tables_of_another_program_are_refused_too(tmp_path: Path) -> None:
    with engine_on(f"sqlite:///{tmp_path}/guestbook.db") as engine:
        with database.write(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE comments (id INTEGER, slug TEXT)")
        for use in (database.require_version, database.create_tables):
            with pytest.raises(WrongVersion, match="or another program's"):
                use(engine)


def test_tables_whose_making_was_interrupted_are_missing_and_not_too_old(kind: str, tmp_path: Path) -> None:
    with databases.fresh(kind, tmp_path) as url, engine_on(url) as engine:
        with database.write(engine) as connection:
            for statement in database.statements(SCHEMA.read_text())[:9]:
                connection.exec_driver_sql(statement)
        with pytest.raises(DBAPIError) as caught:
            database.require_version(engine)
        assert database_errors.fault_of(caught.value) is Fault.NO_TABLES
        database.create_tables(engine)
        assert by_name(engine) == fresh(kind)


def test_init_db_changes_nothing_of_an_older_book(book: tuple[str, Engine]) -> None:
    _, engine = book
    before = described(engine), rows(engine)
    with pytest.raises(WrongVersion, match=r"^The tables are older than the program$"):
        database.create_tables(engine)
    assert (described(engine), rows(engine)) == before


def test_a_newer_book_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/guestbook.db"
    with engine_on(url) as engine:
        database.create_tables(engine)
        with database.write(engine) as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        for change in (lambda: upgraded(tmp_path, url), lambda: database.create_tables(engine)):
            with pytest.raises(WrongVersion) as caught:
                change()
            assert caught.value.fault is Fault.NEW_TABLES
        assert database.stored_version(engine) == ["9999"]
    assert not (tmp_path / "backups").exists()


def test_a_file_that_a_killed_backup_left_goes(tmp_path: Path) -> None:
    with earlier_books.earlier("sqlite-wal", tmp_path) as url:
        (tmp_path / "backups").mkdir()
        left = tmp_path / "backups" / "guestbook-0024-20260101T000000.000Z.db.unfinished"
        left.write_text("half")
        upgraded(tmp_path, url)
        (backup,) = (tmp_path / "backups").iterdir()
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_book_that_moved_to_a_newer_program_is_taken_over_and_then_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with earlier_books.earlier("sqlite-wal", tmp_path) as url:
        with monkeypatch.context() as there:
            there.setattr(ids, "host_name", lambda: "old")
            there.setattr(ids, "boot_id", lambda: "another-kernel")
            hosts_sharing_sqlite._write(
                Path(str(make_url(url).database)), hosts_sharing_sqlite.WEB, clock.now()
            )
        with pytest.raises(Refused, match="old came first"):
            upgraded(tmp_path, url)
        assert not (tmp_path / "backups").exists()
        shell = guestbook.create_app(settings_for(tmp_path, url)).test_cli_runner()
        assert "in place of old." in shell.invoke(args=["take-over"]).output
        assert upgraded(tmp_path, url).backup


def test_without_a_backup_nothing_is_changed(tmp_path: Path) -> None:
    with earlier_books.earlier("sqlite-wal", tmp_path) as url, engine_on(url) as engine:
        before = described(engine, without=""), rows(engine)
        (tmp_path / "backups").write_text("A file stands where the folder should be.")
        with pytest.raises(Refused, match=r"^The backup cannot be written to .+ Nothing was changed\.$"):
            upgraded(tmp_path, url)
        assert (described(engine, without=""), rows(engine)) == before
