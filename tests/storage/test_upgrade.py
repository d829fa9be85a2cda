"""`upgrade` brings every earlier book to the schema of a new one, and loses no row."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect, text

from guestbook import settings
from guestbook.comments.comment_numbers import LAST_NUMBER
from guestbook.lib import clock
from guestbook.lib.encryption import PREFIX_OF_ENCRYPTED, Keyring, of_row
from guestbook.lib.errors import Refused
from guestbook.storage import database, schema_version, stored_secrets, upgrade, version_check
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.stored_secrets import SECRET_COLUMNS_OF_BOOK
from guestbook.storage.upgrade import UpgradeReport
from tests.conftest import need_server, settings_for
from tests.repo.test_schema import KINDS, Description, described, engine_on
from tests.storage import earlier_books
from tests.storage.earlier_books import ROWS, SCHEMAS, WHEN, rows
from tests.support import databases
from tests.support.secret_keys import KEY


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    need_server(request.param)
    return str(request.param)


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


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_book_of_an_earlier_schema_becomes_as_a_new_one_and_keeps_its_rows(
    schema: str, kind: str, tmp_path: Path
) -> None:
    with earlier_books.earlier(schema, kind, tmp_path) as url, engine_on(url) as engine:
        before = rows(engine)
        report = upgraded(tmp_path, url)
        assert by_name(engine) == fresh(kind)
        assert_kept(before, rows(engine))
        assert report.backup
        assert report.backup.rows == dict.fromkeys(before, 1)
        with engine_on(f"sqlite:///{report.backup.path}") as copy:
            assert rows(copy) == before
        known = report.before
        assert known == {"0004": "0003"}.get(schema, schema[:4])
        later = [version for version in schema_version.known() if version > known]
        assert [one.version for one in report.migrations] == later
        again = upgraded(tmp_path, url)
        assert (again.before, again.backup, again.migrations) == (schema_version.head(), None, [])


def assert_kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Each row has its values, and new columns are empty or have what the recipe gives them."""
    for table, (row,) in before.items():
        (now,) = (decrypted(table, one) for one in after[table] if one.get("name") != LAST_NUMBER)
        assert {name: now[name] for name in row} == row, table
        for name in now.keys() - row.keys():
            default = ROWS[table][name] if name in ("scope", "budget_mb", "unproven_bytes") else None
            default = 1 if name in ("number", "sequence", "last_sequence") else default
            default = "o" * 32 if (table, name) == ("origins", "source_id") else default
            assert now[name] == default, (table, name)


def decrypted(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its secrets as they were before they were encrypted, which all must be."""
    columns = [one for one in SECRET_COLUMNS_OF_BOOK if one.table == table and one.form == "text"]
    opened = {}
    for one in columns:
        if stored := row.get(one.column) if one.only is None else None:
            assert stored.startswith(PREFIX_OF_ENCRYPTED), one
            opened[one.column] = Keyring((KEY,)).decrypt(stored, of_row(one.purpose, str(row[one.key])))
    return row | opened


def test_all_secrets_of_an_older_book_are_encrypted_also_after_a_kill(kind: str, tmp_path: Path) -> None:
    factor = '{"secret": "JBSWY3DP", "last_step": 7, "recovery": ["hash"], "since": "2026"}'
    with earlier_books.earlier("0007", kind, tmp_path) as url, engine_on(url) as engine:
        with database.write(engine) as connection:
            connection.exec_driver_sql('UPDATE webhooks SET headers = \'{"X-Key": "hidden"}\'')
            insert(connection, "settings", name="second_factor", value=factor)
            insert(connection, "settings", name="cron_token", value="the token of cron")
        upgraded(tmp_path, url)
        for _ in range(2):
            found = str(rows(engine))
            secrets = "hidden", "JBSWY3DP", "the token of cron", "whsec_1", "whsec_0", "shh"
            assert [one for one in secrets if f"'{one}'" in found or f'"{one}"' in found] == []
            assert '"X-Key"' in found
            read = settings.load(settings_for(tmp_path, url))
            with engine.connect() as connection:
                whole = stored_secrets.look(connection, read.keyring)
            assert (whole.total, whole.encrypted, whole.unreadable) == (6, 0, set())
            before = schema_version.known()[schema_version.known().index(version_of("encrypted")) - 1]
            with database.write(engine) as connection:  # as if it had been killed before the end
                connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{before}'")
            upgraded(tmp_path, url)


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
            stored_secrets.encrypt_all(connection, Keyring((KEY, "another key")))
        [later] = [row["secret"] for row in rows(engine)["webhooks"] if row["id"] == "b"]
        assert here.decrypt(later, of_row("webhook secret", "b")) == "whsec_b"


def version_of(name: str) -> str:
    """Return the version of the migration with that word in its name."""
    return next(path.name[:4] for path in schema_version.VERSIONS.glob(f"*{name}*.py"))


def test_of_comments_that_are_held_already_the_owner_is_reminded_a_day_after_the_upgrade(
    kind: str, tmp_path: Path
) -> None:
    with earlier_books.earlier("0007", kind, tmp_path) as url, engine_on(url) as engine:
        before = clock.now()
        upgraded(tmp_path, url)
        [hold] = rows(engine)["holds"]
        assert (hold["comment_id"], hold["held_at"]) == ("c" * 32, WHEN)
        assert (hold["decided_at"], hold["action"]) == (None, None)
        day = timedelta(days=1)
        assert clock.to_text(before + day) <= hold["remind_at"] <= clock.to_text(clock.now() + day)
        assert rows(engine)["webhooks"][0]["moderation_links_since"] is None


def test_the_deliveries_of_each_comment_are_numbered_by_time_and_the_comment_knows_the_last(
    kind: str, tmp_path: Path
) -> None:
    with earlier_books.earlier("0007", kind, tmp_path) as url, engine_on(url) as engine:
        with database.write(engine) as connection:
            for place, (comment, count) in enumerate({"a" * 32: 3, "b" * 32: 1, "e" * 32: 0}.items()):
                insert(connection, "comments", id=comment, form_key=str(place))
                for number in range(count):
                    insert(connection, "deliveries", id=f"{9 - number}{comment[1:]}", comment_id=comment)
            insert(connection, "deliveries", id="0" * 32, comment_id=None)
        upgraded(tmp_path, url)
        found = [(row["comment_id"], row["id"][0], row["sequence"]) for row in rows(engine)["deliveries"]]
        a, b, c = "a" * 32, "b" * 32, "c" * 32
        assert sorted(found, key=str) == sorted(
            [(a, "7", 1), (a, "8", 2), (a, "9", 3), (b, "9", 1), (c, "d", 1), (None, "0", None)], key=str
        )
        last = {row["id"][0]: row["last_sequence"] for row in rows(engine)["comments"]}
        assert last == {"a": 3, "b": 1, "c": 1, "e": 0}


def test_a_webhook_knows_from_the_audit_log_when_its_url_or_format_changed(kind: str, tmp_path: Path) -> None:
    known = schema_version.known()
    before = known[known.index(version_of("moves_of_webhooks")) - 1]
    changes = {"moved": ["url (now at a.example), name", "format"], "renamed": ["events, name", None]}
    entry = {"actor": "command", "action": "changed", "object": "webhook", "number": 1}
    with databases.fresh(kind, tmp_path) as url, engine_on(url) as engine:
        database.create_tables(engine)
        with database.write(engine) as connection:
            for name, details in changes.items():
                store(connection, "webhooks", ROWS["webhooks"] | {"id": name})
                for day, detail in enumerate(details, 1):
                    given = {"id": f"{name}{day}", "at": f"2026-01-0{day}T00:00:00.000Z", "detail": detail}
                    store(connection, "audit_log", entry | given | {"object_id": name})
            for table, column in (("webhooks", "moved_at"), ("receiver_links", "last_used_at")):
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{before}'")
        upgraded(tmp_path, url)
        assert by_name(engine) == fresh(kind)
        moved = {row["id"]: row["moved_at"] for row in rows(engine)["webhooks"]}
        assert moved == {"moved": "2026-01-02T00:00:00.000Z", "renamed": None}


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
                store(
                    connection,
                    "sources",
                    ROWS["sources"] | {"id": key, "token": key, "name": name, "created_at": since},
                )
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


def insert(connection: Connection, table: str, **values: object) -> None:
    """Store a row like the one that the table has."""
    names = [one["name"] for one in inspect(connection).get_columns(table)]
    store(connection, table, {name: (ROWS[table] | values)[name] for name in names})


def store(connection: Connection, table: str, row: dict[str, object]) -> None:
    places = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"), row)


def test_the_versions_begin_with_the_first_schema_and_each_follows_the_one_before(tmp_path: Path) -> None:
    """An empty database takes all migrations, too: they make what schema.sql makes."""
    known = schema_version.known()
    assert list(known) == [f"{number:04d}" for number in range(1, len(known) + 1)]
    url = f"sqlite:///{tmp_path}/guestbook.db"
    with engine_on(url) as engine:
        report = UpgradeReport("", schema_version.head())
        upgrade._migrate(engine, report, lambda *_: nullcontext(lambda _: None))
        assert by_name(engine) == fresh("sqlite-wal")


@pytest.fixture
def book(kind: str, tmp_path: Path) -> Iterator[tuple[str, Engine]]:
    with earlier_books.earlier("0005", kind, tmp_path) as url, engine_on(url) as engine:
        yield url, engine


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
        assert version_check.read(engine) == ["9999"]
    assert not (tmp_path / "backups").exists()


def test_tables_of_another_program_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/guestbook.db"
    with engine_on(url) as engine:
        earlier_books.fill(engine, "0001")
        with database.write(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE comments RENAME COLUMN form_key TO slug")
        with pytest.raises(Refused, match="its comments are no guestbook's"):
            upgraded(tmp_path, url)
        assert "slug" in rows(engine)["comments"][0]
        assert version_check.read(engine) == ()


def test_a_file_that_a_killed_backup_left_goes(tmp_path: Path) -> None:
    with earlier_books.earlier("0007", "sqlite-wal", tmp_path) as url:
        (tmp_path / "backups").mkdir()
        left = tmp_path / "backups" / "guestbook-0007-20260101T000000.000Z.db.unfinished"
        left.write_text("half")
        upgraded(tmp_path, url)
        (backup,) = (tmp_path / "backups").iterdir()
    assert backup.stat().st_mode & 0o777 == 0o600


def test_without_a_backup_nothing_is_changed(tmp_path: Path) -> None:
    with earlier_books.earlier("0006", "sqlite-wal", tmp_path) as url, engine_on(url) as engine:
        before = described(engine, without=""), rows(engine)
        (tmp_path / "backups").write_text("A file stands where the folder should be.")
        with pytest.raises(Refused, match=r"^The backup cannot be written to .+ Nothing was changed\.$"):
            upgraded(tmp_path, url)
        assert (described(engine, without=""), rows(engine)) == before
