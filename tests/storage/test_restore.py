"""`restore` puts a backup in the place of the book, whatever databases the two are on, also after a kill."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
from flask import Flask
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from guestbook import settings
from guestbook.lib import clock, locks
from guestbook.lib.current_process import in_silence
from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage import backup, database, engines, restore, schema_version
from guestbook.storage.backup import BackupReport
from guestbook.storage.models import ReplyAddress, Webhook
from guestbook.storage.restore import Comparison, RestoreReport, compare
from tests.conftest import running, settings_for
from tests.repo.test_schema import engine_on
from tests.storage import earlier_books
from tests.storage.conftest import on_sqlite as at
from tests.storage.earlier_books import rows
from tests.storage.hostile_rows import dump
from tests.storage.test_upgrade import assert_kept, by_name, fresh
from tests.support import databases
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import wait_for


@pytest.fixture
def there(kind: str, tmp_path: Path) -> Iterator[Settings]:
    """A data folder, and an empty database of each kind."""
    folder = tmp_path / "there"
    folder.mkdir()
    with databases.fresh(kind, folder) as url:
        yield settings.load(settings_for(folder, url))


def restored(read: Settings, file: Path, *, hold: bool = False) -> RestoreReport:
    with restore.staged(read, file) as staged:
        if hold:
            restore.hold(staged)
        return restore.run(read, staged, progress=in_silence, waiting=lambda: None)


def compared(read: Settings, file: Path) -> Comparison:
    with restore.staged(read, file) as staged, engine_on(read.database_url) as engine:
        return compare(engine, staged)


def test_a_backup_goes_to_every_database_and_back(home: Path, there: Settings, tmp_path: Path) -> None:
    file = backup.write(settings.load(at(home)), tmp_path / "b.db").path
    with engine_on(there.database_url) as engine:
        database.create_tables(engine)
    report = restored(there, file)
    assert report.before is None  # there were no rows
    assert report.rows["comments"] == 7
    back = backup.write(there, tmp_path / "back.db").path
    assert dump(back) == dump(home / "guestbook.db")
    again = restored(settings.load(at(home)), back)  # over a book that has rows
    assert dump(home / "guestbook.db") == dump(back)
    assert again.before
    assert dump(again.before.path) == dump(back)
    with engine_on(there.database_url) as engine, engine_on(at(home)["GUESTBOOK_DATABASE_URL"]) as other:
        assert database.stored_version(engine) == database.stored_version(other) == [schema_version.head()]


def test_the_file_and_the_data_folder_may_have_names_that_mean_something_in_urls(
    home: Path, there: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "what? 100%25 #1"
    folder.mkdir()
    file = backup.write(settings.load(at(home)), folder / "b?c=%41#.db").path
    restored(replace(there, data_dir=folder), file)
    assert dump(backup.write(there, tmp_path / "back.db").path) == dump(home / "guestbook.db")
    kept = {file.name, locks.PASS, locks.PASS_TO_END, locks.RESTORE}
    assert {path.name for path in folder.iterdir()} <= kept


def test_a_restore_that_begins_again_keeps_one_backup_of_the_book(
    home: Path, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = backup.write(settings.load(at(home)), tmp_path / "b.db").path
    restored(there, file)
    conflicts = [OperationalError("SELECT", None, pymysql.OperationalError(1020, "changed"))]

    def meet(*arguments: Any, then: Any = restore.continue_sequences) -> None:
        if conflicts:
            raise conflicts.pop()
        then(*arguments)

    monkeypatch.setattr(restore, "continue_sequences", meet)
    report = restored(there, file)
    assert not conflicts
    assert report.before
    assert list(report.before.path.parent.iterdir()) == [report.before.path]


def test_no_address_comes_back_that_was_deleted_or_mailed_since(
    home: Path, there: Settings, tmp_path: Path
) -> None:
    file = backup.write(settings.load(at(home)), tmp_path / "b.db").path
    kept = select(ReplyAddress.id).order_by(ReplyAddress.id)
    restored(there, file)
    with engine_on(there.database_url) as engine, engine.begin() as connection:
        assert connection.scalars(kept).all() == ["c1", "c2", "c3"]
        connection.execute(delete(ReplyAddress).where(ReplyAddress.id == "c1"))
        connection.execute(update(ReplyAddress).where(ReplyAddress.id == "c2").values(mailed_at=clock.now()))
    restored(there, file)
    with engine_on(there.database_url) as engine, engine.connect() as connection:
        assert connection.scalars(kept).all() == ["c3"]


def test_a_backup_of_an_earlier_book_is_upgraded_on_the_way(kind: str, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    with earlier_books.earlier(kind, old) as url, engine_on(url) as engine:
        before = rows(engine)
        file = backup.write(settings.load(settings_for(old, url)), tmp_path / "b.db").path
    restored(settings.load(at(tmp_path)), file)
    with engine_on(f"sqlite:///{tmp_path}/guestbook.db") as engine:
        assert by_name(engine) == fresh("sqlite-wal")
        assert_kept(before, rows(engine))


def test_a_column_that_the_backup_lacks_gets_its_default(home: Path, tmp_path: Path) -> None:
    read = settings.load(at(home))
    with closing(sqlite3.connect(home / "guestbook.db")) as book, book:
        book.execute("ALTER TABLE comments DROP COLUMN note")
        file = backup.write(read, tmp_path / "b.db").path
        book.execute("DROP TABLE inbound_events")
    without_table = backup.write(read, tmp_path / "c.db").path
    restored(read, file)
    with closing(sqlite3.connect(home / "guestbook.db")) as book:
        assert book.execute("SELECT DISTINCT note FROM comments").fetchall() == [(None,)]
    with pytest.raises(Refused, match=r"no such table: inbound_events\. Nothing was changed"):
        compared(read, without_table)


def test_it_says_what_changes_and_holds_the_webhooks(
    each_book: Book, each_app: Flask, tmp_path: Path
) -> None:
    webhook = each_book.webhook("https://example.org/")
    each_book.sign("before")
    each_book.publish(2)
    file = backup.write(each_book.settings, tmp_path / "b.db").path
    each_book.sign("after")
    with each_book.engine.begin() as connection:
        finish = "UPDATE deliveries SET status = 'processed', due_at = NULL WHERE comment_id IS NULL"
        connection.exec_driver_sql(finish)
    found = compared(each_book.settings, file)
    assert (found.comments, found.comments_gone, found.comments_back) == (2, 1, 0)
    assert (found.waiting, found.finished_since, found.unknown) == (3, 2, 0)
    report = restored(each_book.settings, file, hold=True)
    assert each_book.statuses() == {"new": 3}
    assert each_book.webhook_row(webhook).disabled_reason == "by_hand"
    assert report.before
    each_book.check()
    each_book.sign("the web goes on")
    undone = restored(each_book.settings, report.before.path)
    assert undone.rows["comments"] == 2
    assert each_book.statuses() == {"new": 2, "processed": 2}
    assert each_app.test_client().get("/healthz").status_code in (200, 503)


def test_the_numbers_of_events_go_on_from_those_that_were_sent(each_book: Book, tmp_path: Path) -> None:
    each_book.webhook("https://example.org/", events="comment.created comment.published")
    signed = [each_book.sign(), each_book.sign()]
    file = backup.write(each_book.settings, tmp_path / "b.db").path
    with each_book.engine.begin() as connection:
        last = f"CASE WHEN id = '{signed[0]}' THEN 7 ELSE 1 END"
        connection.exec_driver_sql(f"UPDATE comments SET last_sequence = {last}")
    restored(each_book.settings, file)
    with each_book.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id, last_sequence FROM comments ORDER BY id").all()
    assert [tuple(row) for row in found] == [(signed[0], 7), (signed[1], 2)]


def test_what_is_written_before_the_book_is_replaced_is_in_its_backup(
    each_book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor signs until the very moment in which nobody can write any more."""
    file = backup.write(each_book.settings, tmp_path / "b.db").path
    with restore.staged(each_book.settings, file) as staged:
        each_book.sign("late")
        kept = backup.write

        def keep(*values: Any, **options: Any) -> BackupReport:
            report = kept(*values, **options)
            with engine_on(each_book.settings.database_url) as other:
                assert rows(other)["comments"][0]["message"] == "late"  # readers see the old book
            return report

        monkeypatch.setattr(backup, "write", keep)
        report = restore.run(each_book.settings, staged, progress=in_silence, waiting=lambda: None)
    assert report.rows["comments"] == 0
    assert report.before
    assert report.before.rows["comments"] == 1


def test_without_the_key_the_secrets_stay_locked_until_it_is_there(home: Path, tmp_path: Path) -> None:
    read = settings.load(at(home))
    with engines.opened(read) as engine, Session(engine) as session:
        session.add(Webhook(name="A", url="https://a.example", events="ping", headers={"X-Key": "hidden"}))
        session.commit()
    file = backup.write(read, tmp_path / "b.db").path
    new = tmp_path / "new"
    new.mkdir()
    environ = {"GUESTBOOK_DATA_DIR": str(new)}
    report = restored(settings.load(environ), file)
    assert (report.has_key, report.unreadable) == (False, 1)
    (new / "secret_key_fallbacks").write_text("a secret key for tests alone\n")
    report = restored(settings.load(environ), file)
    assert (report.has_key, report.unreadable) == (True, 0)


def of_first_programs(file: Path) -> None:
    """Give a backup the label of a program from before the baseline, which had the secret key."""
    with closing(sqlite3.connect(file)) as copy, copy:
        [label] = copy.execute("SELECT label FROM backup").fetchone()
        found = json.loads(label) | {"format": 1, "schema": "0019", "secret_key": "a secret key"}
        del found["key_id"]
        text = json.dumps(found)
        checksum = hashlib.sha256(text.encode()).hexdigest()
        copy.execute("UPDATE backup SET label = ?, checksum = ?", (text, checksum))


def test_what_is_no_whole_backup_of_this_program_changes_nothing(home: Path, tmp_path: Path) -> None:
    read, before = settings.load(at(home)), dump(home / "guestbook.db")
    file = backup.write(read, tmp_path / "b.db").path
    cases = {
        "missing": "There is no file",
        "notes.txt": r"is not a backup of a guestbook\.$",
        "book.db": r"is not a backup of a guestbook\. If it is a copy of a book's database, ",
        "cut.db": "is a damaged backup",
        "edited.db": "was changed or damaged",
        "older.db": "is of version 0019, and this program restores backups of version 0024 and later only",
        "newer.db": "is from a newer version of the program",
    }
    (tmp_path / "notes.txt").write_text("x" * 5000)
    shutil.copyfile(home / "guestbook.db", tmp_path / "book.db")
    (tmp_path / "cut.db").write_bytes(file.read_bytes()[:-5000])
    shutil.copyfile(file, tmp_path / "edited.db")
    shutil.copyfile(file, tmp_path / "older.db")
    of_first_programs(tmp_path / "older.db")
    with closing(sqlite3.connect(tmp_path / "edited.db")) as copy, copy:
        copy.execute("DELETE FROM attempts")
    with closing(sqlite3.connect(home / "guestbook.db")) as book, book:
        book.execute("UPDATE alembic_version SET version_num = '9999'")
    backup.write(read, tmp_path / "newer.db")
    for name, why in cases.items():
        with pytest.raises(Refused, match=why) as caught:
            restored(read, tmp_path / name)
        assert "\n" not in str(caught.value)
        assert not (home / restore.STAGING_FOLDER).exists()
    assert dump(home / "guestbook.db") == before
    folder = home / restore.STAGING_FOLDER
    (folder / "mine").mkdir(parents=True)
    with pytest.raises(Refused, match="Directory not empty"):
        restored(read, file)
    (folder / "mine").rename(home / "mine")
    (folder / "book.db").touch()  # an earlier program was killed
    assert compared(read, file).comments == 7
    assert not folder.exists()
    folder.symlink_to(home / "mine")
    (home / "mine" / "backup.db").touch()
    with pytest.raises(Refused, match="Nothing was changed"):
        restored(read, file)
    assert (home / "mine" / "backup.db").exists()
    folder.unlink()
    restored(read, file)  # over a book that is newer than the program
    assert dump(home / "guestbook.db") == before
    (home / "guestbook.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Refused, match="The present book is damaged"):
        restored(read, file)


def test_it_asks_and_waits_for_a_pass(home: Path, tmp_path: Path, forks: Forks) -> None:
    file = str(backup.write(settings.load(at(home)), tmp_path / "b.db").path)
    asked = forks.start(at(home), "restore", file)
    assert asked.wait() == 1
    assert "7 comments, 2 webhooks, 4 deliveries, " in asked.printed
    assert "The backup has 2 deliveries to send." in asked.printed
    assert "Add --yes to restore without a question." in asked.printed
    with locks.taken(home / locks.PASS):
        waiting = forks.start(at(home), "restore", file, "--yes", "--hold", "--json")
        said = waiting.folder / "stderr"
        wait_for(lambda: said.exists() and "waiting for its end" in said.read_text())
    assert waiting.wait() == 0
    told = json.loads((waiting.folder / "stdout").read_text())
    assert (told["deliveries_to_send"], told["webhooks_disabled"], told["secret_key"]) == (2, 1, "same")
    assert told["rows"]["comments"] == 7


# --- a kill at any point


# After how many statements that write to the book; 0 is right before the commit.
MOMENTS = {"sqlite": (1, 10, 25, 50, 70, 0), "server": (1, 15, 28, 0)}


def test_a_restore_that_is_killed_anywhere_leaves_the_old_book_or_the_new_one(
    each_environ: dict[str, str], forks: Forks, tmp_path: Path
) -> None:
    with (
        running(each_environ) as app,
        app.app_context(),
        engine_on(each_environ["GUESTBOOK_DATABASE_URL"]) as engine,
    ):
        book = Book(app)
        book.webhook("https://example.org/")
        signed = [book.sign(f"Number {number}") for number in range(3)]
        file = backup.write(book.settings, tmp_path / "b.db").path
        new = snapshot(engine)
        for one in signed:
            book.sign(f"After {one}")
        old = snapshot(engine)
        for moment in MOMENTS["sqlite" if book.settings.on_sqlite else "server"]:
            once = each_environ | {"GUESTBOOK_TEST_CHANGES": str(moment)}
            forks.run(once, "restore", str(file), "--yes", point="inside_restore")
            assert snapshot(engine) == old, moment
            book.check()
        forks.run(each_environ, "restore", str(file), "--yes")
        assert snapshot(engine) == new
        book.sign("and on")
    assert not list(tmp_path.rglob("*.unfinished*"))


def snapshot(engine: Engine) -> dict[str, list[Any]]:
    return {table: sorted(some, key=repr) for table, some in rows(engine).items()}


def test_a_backup_that_is_killed_leaves_the_earlier_one_and_no_file_that_looks_like_one(
    each_environ: dict[str, str], forks: Forks, tmp_path: Path
) -> None:
    with running(each_environ) as app, app.app_context():
        book = Book(app)
        book.stock(book.webhook("https://example.org/"), 3000)
        file = backup.write(book.settings, tmp_path / "b.db").path
        before = file.stat().st_ino
        unfinished = tmp_path / f"b.db{backup.UNFINISHED}"
        forks.run(each_environ, "backup", str(file), point="inside_backup")
        assert unfinished.exists()
        unfinished.unlink()
        once = forks.start(each_environ, "backup", str(file))
        wait_for(unfinished.exists)
        once.kill()
        assert file.stat().st_ino == before
        forks.run(each_environ, "backup", str(file))
        assert file.stat().st_ino != before
        assert backup.verify(file, file).tables["deliveries"].rows == 3000
        book.check()
    assert not list(tmp_path.glob("*.unfinished*"))
