"""A backup has the rows of one moment, while the book is in use, and nothing else is touched."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from guestbook import settings
from guestbook.lib import clock, encryption, locks
from guestbook.lib.errors import Refused
from guestbook.storage import backup, database, engines, schema_version
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.models import Setting
from tests.conftest import running, settings_for
from tests.repo.test_schema import engine_on
from tests.storage.hostile_rows import dump, hostile, write
from tests.storage.test_writable_check import full_disk
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.secret_keys import KEY

NOT_WRITTEN = "The backup cannot be written to HOME/{} ({}). Nothing was changed."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The data folder of an empty book."""
    with running(settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")):
        return tmp_path


def backed_up(home: Path, to: str = "b.db", **changes: object) -> Path:
    read = settings.load(settings_for(home, f"sqlite:///{home}/guestbook.db"))
    return backup.write(replace(read, **changes), home / to).path  # type: ignore[arg-type]


def refused(home: Path, to: str) -> str:
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    with pytest.raises(Refused) as caught:
        backed_up(home, to)
    after = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    assert all(before.get(path, when) == when for path, when in after.items())
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(home), "HOME")


def test_it_has_every_row_and_no_secret_key_and_only_its_owner_reads_it(home: Path) -> None:
    write(home / "guestbook.db", hostile())
    path = backed_up(home)
    assert dump(path) == dump(home / "guestbook.db")
    label = backup.verify(path, path)
    assert (label.schema, label.kind) == (schema_version.head(), "sqlite")
    assert label.key_id == encryption.key_id_of(KEY)
    assert KEY.encode() not in path.read_bytes()
    assert label.tables["comments"].rows == 7
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in home.iterdir()) == ["b.db", "backup.lock", "guestbook.db"]


@contextmanager
def writing_all_the_time(app: Flask) -> Iterator[list[str]]:
    """Sign fifty comments a second; the list has the ids of those that are committed."""
    signed: list[str] = []
    stop = threading.Event()

    def sign() -> None:
        with app.app_context():
            book = Book(app)
            while not stop.wait(0.02):
                signed.append(book.sign(f"Number {len(signed)}"))

    thread = threading.Thread(target=sign)
    thread.start()
    try:
        yield signed
    finally:
        stop.set()
        thread.join()


def test_under_fifty_comments_a_second_none_from_before_is_missing_and_each_has_its_delivery(
    each_book: Book, each_app: Flask, tmp_path: Path
) -> None:
    webhook = each_book.webhook("https://example.org/")
    each_book.stock(webhook, 2000)
    with writing_all_the_time(each_app) as signed:
        while len(signed) < 10:
            time.sleep(0.001)
        before = set(signed)
        path = backup.write(each_book.settings, tmp_path / "b.db").path
        during = len(signed)
        while len(signed) <= during:  # writers go on
            time.sleep(0.001)
    backup.verify(path, path)
    with closing(sqlite3.connect(path)) as copy:
        comments = {one for (one,) in copy.execute("SELECT id FROM comments")}
        rows = copy.execute("SELECT comment_id, count(*) FROM deliveries GROUP BY comment_id").fetchall()
    deliveries = dict(rows)
    assert deliveries.pop(None) == 2000
    assert before <= comments <= set(signed)
    assert deliveries == dict.fromkeys(comments, 1)


def test_a_lock_that_nobody_gives_back_ends_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/guestbook.db?journal_mode=delete"
    with running(settings_for(tmp_path, url)), closing(sqlite3.connect(tmp_path / "guestbook.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        read = settings.load(settings_for(tmp_path, url))
        with (
            engines.waiting(replace(engines.FOR_LONG_WORK, read=0.05)),
            pytest.raises(OperationalError, match="database is locked") as caught,
        ):
            backup.write(read, tmp_path / "b.db")
        assert database.is_away(caught.value)
    assert not list(tmp_path.glob("b.db*"))


def test_an_earlier_backup_is_replaced_and_nothing_else_ever_is(home: Path) -> None:
    path = backed_up(home)
    before = path.stat().st_ino
    assert backed_up(home).stat().st_ino != before
    sentence = "{} is there already, and is not a backup of a guestbook. Name another file."
    (home / "notes.txt").write_text("mine")
    (home / "empty").touch()
    (home / "folder").mkdir()
    for name in ("guestbook.db", "notes.txt", "empty", "folder"):
        assert refused(home, name) == sentence.format(f"HOME/{name}")
    (home / "folder" / "new").symlink_to(home / "made")
    (home / "folder" / "old").symlink_to(path)
    for name in ("new", "old"):
        assert refused(home, f"folder/{name}").startswith(f"HOME/folder/{name} is a link.")
    assert not (home / "made").exists()
    path.rename(home / "guestbook.db")  # a backup that was put in place by hand is a book
    assert refused(home, "guestbook.db") == sentence.format("HOME/guestbook.db")
    label = backup.verify(backed_up(home), home)
    assert backup.LABEL_TABLE not in label.tables


def test_what_cannot_be_written_is_said_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = refused(home, "missing/b.db")
    assert why == NOT_WRITTEN.format("missing/b.db", "No such file or directory")

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(backup, "copy_pages", full)
    assert refused(home, "b.db") == NOT_WRITTEN.format("b.db", "database or disk is full")


def test_a_disk_that_is_full_in_the_middle_is_the_reason(each_book: Book, tmp_path: Path) -> None:
    long = [{"name": str(number), "value": "x" * 4000} for number in range(1000)]
    with engine_on(each_book.settings.database_url) as engine, database.write(engine) as connection:
        connection.execute(insert(Setting), long)
    with full_disk(1_000_000), pytest.raises(Refused, match=r"\(disk I/O error\)\. Nothing was changed\.$"):
        backup.write(each_book.settings, tmp_path / "made.db")
    assert not list(tmp_path.glob("made*"))


def test_one_backup_at_a_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "BACKUP_WAIT", 0.0)
    with locks.taken(home / locks.BACKUP):
        assert refused(home, "b.db").startswith("Another backup of this book is at work.")


def test_a_newer_book_on_a_server_is_refused_for_it_may_have_more_tables(
    each_book: Book, tmp_path: Path
) -> None:
    with database.write(each_book.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        if each_book.settings.on_sqlite:
            backup.write(each_book.settings, tmp_path / "b.db")
        else:
            with pytest.raises(WrongVersion):
                backup.write(each_book.settings, tmp_path / "b.db")
    finally:
        with database.write(each_book.engine) as connection:
            change = f"UPDATE alembic_version SET version_num = '{schema_version.head()}'"
            connection.exec_driver_sql(change)


@pytest.mark.parametrize("harm", ["row", "label", "byte", "cut", "table"])
def test_a_file_that_was_changed_is_found_out(home: Path, harm: str) -> None:
    write(home / "guestbook.db", hostile())
    path = backed_up(home)
    whole = path.read_bytes()
    statements = {
        "row": "UPDATE deliveries SET status = 'processed', due_at = NULL WHERE id = 'd0'",
        "label": "UPDATE backup SET label = replace(label, '2', '3')",
        "table": "DROP TABLE attempts",
    }
    if harm in statements:
        with closing(sqlite3.connect(path)) as copy, copy:
            copy.execute(statements[harm])
    elif harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        place = whole.index("🦋🦋".encode())
        path.write_bytes(whole[:place] + b"x" + whole[place + 1 :])
    with pytest.raises(
        Refused, match=r"^b\.db (is a damaged backup: |was changed or damaged after it was made)"
    ):
        backup.verify(path, Path("b.db"))


def test_only_our_older_backups_of_that_name_are_removed(home: Path) -> None:
    read = settings.load(settings_for(home, f"sqlite:///{home}/guestbook.db"))
    names = [f"b-2026010{day}T000000Z.db" for day in range(1, 6)]
    for name in names:
        backed_up(home, name)
    (home / "b-20250101T000000Z.db").write_text("somebody else's")
    (home / "b-20250102T000000Z.db.unfinished").write_text("of a killed backup")
    (home / "b-20250103T000000Z.db").symlink_to(home / names[0])
    others = {backed_up(home, name) for name in ("b.db", "c-20250101T000000Z.db", "b-x.db")}
    newest = home / names[-1]
    assert backup.remove_older(read, newest, 2) == [home / name for name in names[:3]]
    assert set(home.glob("*-*")) | others == others | {
        home / "b-20250101T000000Z.db",
        home / "b-20250103T000000Z.db",
        *(home / name for name in names[3:]),
    }
    assert backup.dated(home / "b.db", clock.from_text("2026-01-05T00:00:00.000Z")) == newest
    folder = backup.dated(home, clock.from_text("2026-01-05T00:00:00.000Z"))
    assert folder == home / "guestbook-20260105T000000Z.db"


def test_the_command_says_what_it_did(home: Path, forks: Forks) -> None:
    write(home / "guestbook.db", hostile())
    environ = settings_for(home, f"sqlite:///{home}/guestbook.db")
    first = forks.run(environ, "backup", str(home / "b.db"))
    assert first.printed.startswith(f"The backup is in {home}/b.db: 7 comments, 2 webhooks, 4 deliveries, ")
    done = forks.run(environ, "backup", str(home), "--keep", "1", "--json")
    told = json.loads((done.folder / "stdout").read_text())
    assert told["rows"]["comments"] == 7
    assert told["removed"] == []
    assert Path(told["file"]).is_relative_to(home)
    for path in (home / "guestbook.db", home / ("x" * 300)):
        wrong = forks.start(environ, "backup", str(path))
        assert wrong.wait() == 1
        assert wrong.printed.startswith("Error: ")
    with engine_on(f"sqlite:///{told['file']}") as engine:
        assert engine.dialect.name == "sqlite"
