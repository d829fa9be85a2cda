"""Damaged pages of the book's file: commands and pages say that the book is damaged."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage.database import db
from guestbook.storage.database_errors import FILE_DAMAGED
from tests.conftest import running, settings_for
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import GREETING, Visitor, fields, parse

PAGE = 4096  # bytes
DAMAGED = "The database is damaged, or the file is no database: "
TABLE, INDEX, IDS, QUEUE = "comments", "comments_by_status", "sqlite_autoindex_comments_1", "deliveries"

Spoil = Callable[[str], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a book that has some pages of comments, a whole backup of it, and an export."""
    folder = tmp_path_factory.mktemp("whole")
    with running(settings_for(folder, f"sqlite:///{folder}/guestbook.db")) as app:
        with app.app_context():
            factories.webhook()
            for number in range(30):
                factories.sign(f"{number} " + "x" * 2000)
            db.session.remove()
        for words in (("backup", "whole.db"), ("comments", "export", "whole.jsonl")):
            assert says(app, folder, *words)[0] == 0
    return folder


@pytest.fixture
def app(whole: Path, tmp_path: Path) -> Iterator[Flask]:
    """The book in a copy of that folder."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    with running(settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")) as app:
        yield app


@pytest.fixture
def spoil(app: Flask, tmp_path: Path) -> Spoil:
    """Overwrite the first page of a table or an index, while the server has the file open."""

    def overwrite(name: str) -> None:
        with closing(sqlite3.connect(tmp_path / "guestbook.db")) as book:
            query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
            (number,) = book.execute(query, (name,)).fetchone()
            assert book.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        with (tmp_path / "guestbook.db").open("r+b") as file:
            file.seek((number - 1) * PAGE)
            file.write(b"\xff" * PAGE)
        with app.app_context():
            db.engine.dispose()  # what it has read of the page would hide the damage for a while

    return overwrite


def says(app: Flask, home: Path, *words: str) -> tuple[int, str]:
    """Run a command on files of that folder; return its exit code and what it says of errors."""
    paths = [str(home / word) if "." in word else word for word in words]
    done = app.test_cli_runner().invoke(args=paths)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done.exit_code, done.stderr


COMMANDS = [(TABLE, "backup new.db"), (INDEX, "backup new.db"), (QUEUE, "backup new.db")]
COMMANDS += [(TABLE, "comments export new.jsonl"), (IDS, "comments import whole.jsonl")]
COMMANDS += [(TABLE, "comments list"), (INDEX, "status"), (QUEUE, "cron"), (QUEUE, "deliveries list")]


@pytest.mark.parametrize(("damaged", "words"), COMMANDS)
def test_a_command_says_so_in_one_line(
    app: Flask, tmp_path: Path, spoil: Spoil, damaged: str, words: str
) -> None:
    spoil(damaged)
    code, said = says(app, tmp_path, *words.split())
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith(DAMAGED)
    assert said.endswith(f". {FILE_DAMAGED}\n")
    assert "written" not in said
    assert [path for path in tmp_path.iterdir() if path.name.startswith("new")] == []


def test_upgrade_says_so_and_changes_nothing(app: Flask, tmp_path: Path, spoil: Spoil) -> None:
    with closing(sqlite3.connect(tmp_path / "guestbook.db")) as book, book:
        book.execute("UPDATE alembic_version SET version_num = '0024'")
    spoil(INDEX)
    code, said = says(app, tmp_path, "upgrade")
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith(DAMAGED)
    assert said.endswith(f". {FILE_DAMAGED}\n")
    with closing(sqlite3.connect(tmp_path / "guestbook.db")) as book:
        assert book.execute("SELECT version_num FROM alembic_version").fetchall() == [("0024",)]
    assert list((tmp_path / "backups").iterdir()) == []


@pytest.mark.parametrize("damaged", [TABLE, INDEX, QUEUE, "sqlite_autoindex_webhooks_1"])
def test_restore_says_what_to_move_away_and_works_after_that(
    app: Flask, tmp_path: Path, spoil: Spoil, damaged: str
) -> None:
    spoil(damaged)
    code, said = says(app, tmp_path, "restore", "whole.db", "--yes")
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith("Error: The present book is damaged. Stop the web server and cron, move ")
    with app.app_context():
        db.engine.dispose()
    for path in tmp_path.glob("guestbook.db*"):
        path.rename(path.with_name(f"moved-{path.name}"))
    assert says(app, tmp_path, "restore", "whole.db", "--yes") == (0, "")
    assert Visitor(app).get("/").status_code == 200
    code, said = says(app, tmp_path, "backup", "new.db")
    assert (code, said) == (0, "")


def test_visitors_keep_their_text_and_only_the_owner_reads_what_to_do(app: Flask, spoil: Spoil) -> None:
    owner, visitor = Owner(app), Visitor(app)
    assert owner.log_in().status_code == 303
    form = visitor.form() | GREETING
    spoil(TABLE)
    read = visitor.get("/")
    assert read.status_code == 500
    assert "The book&#39;s database is damaged: its owner must repair it." in read.text
    sent = visitor.send(form)
    assert (sent.status_code, fields(parse(sent))["message"]) == (500, GREETING["message"])
    answer = owner.get("/admin/comments/")
    assert answer.status_code == 500
    assert DAMAGED in answer.text
    assert "Then restore your last backup" in answer.text
    assert '<a href="/admin/doctor/">ask doctor</a>' in answer.text
    assert "restore your last backup" in owner.get("/admin/doctor/").text
    for text in (read.text, sent.text):
        assert "malformed" not in text


def test_the_login_names_doctor_and_does_not_lead_back_to_itself(app: Flask, spoil: Spoil) -> None:
    browser = Owner(app)
    key = browser.key("/admin/login")
    spoil("book_state")
    answer = browser.open("POST", "/admin/login", data={"csrf_token": key, "password": "wrong"})
    assert answer.status_code == 500
    assert "run this on the server: flask --app guestbook doctor" in answer.text
    assert "malformed" not in answer.text
    assert "/admin/doctor/" not in answer.text


@pytest.mark.parametrize("damaged", ["settings", "passes_by_start", "deliveries_by_due"])
def test_healthz_names_the_damage(app: Flask, spoil: Spoil, damaged: str) -> None:
    spoil(damaged)
    answer = Visitor(app).get("/healthz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "database is damaged")
