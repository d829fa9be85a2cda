"""A database file that is replaced under a running book: what is answered as stored is in the new file."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import SessionTransaction

from guestbook.lib import files
from guestbook.queue.poller import Poller
from guestbook.storage import database, sqlite_file
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.storage.sqlite_file import FileReplaced, OpenFile
from tests.conftest import running, settings_for
from tests.support.visitor import Visitor, fields, messages, parse
from tests.web.test_database_faults import form_of


@pytest.fixture(params=["wal", "delete"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    url = f"sqlite:///{tmp_path}/book.db?journal_mode={request.param}"
    with running(settings_for(tmp_path, url)) as app:
        yield app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "book.db"


def backup(file: Path) -> Path:
    """Copy the book as docs/howto/back-up-and-restore.md says."""
    copy = file.with_name("copy.db")
    with closing(sqlite3.connect(file)) as book, closing(sqlite3.connect(copy)) as other:
        book.backup(other)
    return copy


def in_file(file: Path) -> list[str]:
    """The messages that are in the file, as somebody sees them who opens it later."""
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [message for (message,) in other.execute("SELECT message FROM comments ORDER BY id")]


def sign(app: Flask, message: str) -> int:
    return Visitor(app).send(form_of(app) | {"message": message}).status_code


def test_what_is_stored_after_a_restore_is_in_the_restored_file(app: Flask, file: Path) -> None:
    assert sign(app, "before") == 303
    copy = backup(file)
    assert [sign(app, f"lost {number}") for number in range(3)] == [303] * 3
    copy.replace(file)
    assert [sign(app, f"after {number}") for number in range(3)] == [303] * 3
    wanted = ["before", "after 0", "after 1", "after 2"]
    assert messages(Visitor(app).page()) == wanted[::-1]
    with app.app_context():
        db.engine.dispose()
    assert in_file(file) == wanted


def test_a_connection_that_has_begun_to_open_the_file_comes_before_its_exchange(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(app, "before")
    fresh, open_file, seen = backup(file), OpenFile(str(file)), list[tuple[bool, bool]]()

    def pause(_: float) -> None:
        """See what a connection sees that saw no lock file, and whether others may begin."""
        may_begin = True
        try:
            with open_file.staying():
                pass
        except FileReplaced:
            may_begin = False
        seen.append((file.samefile(fresh), may_begin))

    monkeypatch.setattr(sqlite_file.time, "sleep", pause)
    open_file.put_aside(fresh, file.with_name("aside.db"))
    assert seen == [(False, False)]
    assert not fresh.exists()


def test_a_comment_is_not_taken_for_stored_when_the_file_went_before_its_commit(
    app: Flask, file: Path
) -> None:
    copy = backup(file)

    def restore_meanwhile() -> None:
        with database.write(db.engine) as connection:
            connection.exec_driver_sql("INSERT INTO passes VALUES ('1', 'a', 'b', 'c', 0, 0, 0)")
            copy.replace(file)

    with app.app_context():
        with pytest.raises(OperationalError, match="was replaced"):
            restore_meanwhile()
        with db.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM passes").scalar() == 0


def test_a_comment_is_not_taken_for_stored_when_a_reader_opened_the_new_file(app: Flask, file: Path) -> None:
    """A session gives its connection back with the commit, and a reader may take it at once."""
    assert sign(app, "before") == 303
    copy = backup(file)

    def restore_and_read(_session: object, transaction: SessionTransaction) -> None:
        if copy.exists() and transaction.parent is None:  # a flush has one, too
            copy.replace(file)
            with ExitStack() as opened:
                for _ in range(5):  # all that the pool has, and more
                    opened.enter_context(db.engine.connect())

    def store() -> None:
        with database.writing() as session:
            session.add(Comment(name="Eve", message="Lost", status="published"))
            event.listen(session, "after_transaction_end", restore_and_read)

    with app.app_context(), pytest.raises(OperationalError, match="was replaced"):
        store()


@pytest.mark.parametrize("content", [None, b"", b"Dear all, " * 1000, "half"])
def test_while_the_new_file_is_not_whole_visitors_are_asked_to_come_again(
    app: Flask, file: Path, content: bytes | str | None
) -> None:
    assert sign(app, "before") == 303
    copy = backup(file)
    whole = copy.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    answer = Visitor(app).send(form_of(app) | {"message": "keep me"})
    assert (answer.status_code, fields(parse(answer))["message"]) == (503, "keep me")
    assert Visitor(app).get("/").status_code == 503
    assert file.exists() is (content is not None)
    copy.replace(file)
    assert sign(app, "after") == 303
    with app.app_context():
        db.engine.dispose()
    assert in_file(file) == ["before", "after"]


@pytest.mark.parametrize("app", ["wal"], indirect=True)
def test_a_wal_that_may_belong_to_a_file_elsewhere_is_left_alone(app: Flask, file: Path) -> None:
    assert sign(app, "before") == 303
    copy, wal = backup(file), file.with_name("book.db-wal")
    file.rename(file.with_name("old.db"))
    copy.rename(file)
    assert sign(app, "after") == 503
    assert wal.exists()


def test_a_pass_that_stays_ends_when_the_file_is_replaced(app: Flask, file: Path) -> None:
    copy = backup(file)
    with app.app_context():
        with Poller(db.engine) as watch:
            copy.replace(file)
            with pytest.raises(OperationalError, match="was replaced"):
                watch.version()
        with Poller(db.engine) as watch:
            assert watch.next_due() is None


def test_a_reader_on_a_disk_that_it_cannot_write_sees_what_others_write(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sign(app, "before") == 303
    with app.app_context():
        db.engine.dispose()
    monkeypatch.setattr(files, "is_read_only", lambda _: True)
    page = Visitor(app).get("/").text
    assert "before" in page
    with closing(sqlite3.connect(file)) as other:
        other.execute("UPDATE comments SET message = 'written elsewhere'")
        other.commit()
    assert "written elsewhere" in Visitor(app).get("/").text
