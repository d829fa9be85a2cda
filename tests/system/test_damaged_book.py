"""Damaged pages of the book's file: commands and pages say that the book is damaged."""

import fcntl
import itertools
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import html5lib
import pytest
import requests
from flask import Flask
from sqlalchemy.exc import OperationalError

from guestbook.lib import locks
from guestbook.lib.current_process import in_silence
from guestbook.storage import database_errors, restore, sqlite_file
from guestbook.storage.database import db
from guestbook.storage.database_errors import FILE_DAMAGED, Fault
from guestbook.storage.sqlite_file import OpenFile
from tests.conftest import running, settings_for
from tests.support import factories
from tests.support.forks import Forks
from tests.support.owner import Owner
from tests.support.processes import wait_for
from tests.support.visitor import GREETING, Visitor, attributes, fields, hrefs, parse, plain

PAGE = 4096  # bytes
DOOR = "/admin/setup/"
DAMAGED = "The database is damaged, or the file is no database: "
TABLE, INDEX, IDS, QUEUE = "comments", "comments_by_status", "sqlite_autoindex_comments_1", "deliveries"

Spoil = Callable[[str], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a book that has some pages of comments, a whole backup of it, and an export."""
    folder = tmp_path_factory.mktemp("whole")
    with running(settings_for(folder, f"sqlite:///{folder}/guestbook.db")) as app:
        Owner(app)
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
    assert "The database is damaged." in plain(Visitor(app).page(DOOR))


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
    assert "restore a backup there" in answer.text
    assert '<a href="/admin/doctor/">ask doctor</a>' in answer.text
    assert "restore a backup there" in owner.get("/admin/doctor/").text
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


# --- a backup takes its place, in the browser


SEEN_AT = {TABLE: "/admin/comments/", QUEUE: "/admin/deliveries/", "book_state": "/admin/login"}


def break_file(folder: Path, how: str) -> None:
    """Overwrite the beginning of the book's file, or cut it."""
    with (folder / "guestbook.db").open("r+b") as file:
        if how == "head":
            file.write(bytes(PAGE))
        else:
            file.truncate(file.seek(0, 2) // 2)


def code_of(folder: Path) -> str:
    return (folder / "setup-code.txt").read_text().split()[0]


def kept_of(folder: Path) -> list[Path]:
    return list(folder.glob("guestbook-damaged-*.db"))


def messages_in(file: Path) -> set[str]:
    """Return what the comments of a file say, with its log."""
    with closing(sqlite3.connect(file)) as book:
        return {message for (message,) in book.execute("SELECT message FROM comments")}


@pytest.mark.parametrize("damaged", [TABLE, QUEUE, "book_state", "head", "half"])
def test_the_page_leads_to_a_door_and_a_code_restores_a_backup(
    app: Flask, tmp_path: Path, spoil: Spoil, damaged: str
) -> None:
    owner, visitor = Owner(app), Visitor(app)
    owner.log_in()
    assert owner.get(DOOR).headers["Location"] == "/admin/"  # Nothing is wrong yet.
    with app.app_context():
        factories.sign("after the backup")
    if damaged in ("head", "half"):
        with closing(sqlite3.connect(tmp_path / "guestbook.db")) as book:
            book.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        break_file(tmp_path, damaged)
        with app.app_context():
            db.engine.dispose()
    else:
        spoil(damaged)
    broken = (tmp_path / "guestbook.db").read_bytes()
    found = (visitor if damaged == "book_state" else owner).get(SEEN_AT.get(damaged, "/admin/comments/"))
    assert found.status_code == 500
    assert DOOR in hrefs(parse(found))
    door = plain(visitor.page(DOOR))
    assert "The database is damaged." in door
    assert "whole.db" not in door

    page = f"{DOOR}{code_of(tmp_path)}"
    answer = visitor.open("POST", DOOR, data={"code": code_of(tmp_path)})
    assert answer.headers["Location"] == page
    shown = plain(visitor.page(page))
    assert "whole.db Made" in shown
    assert "30 comments, 1 webhook, 30 deliveries, " in shown
    assert "To be sent: 30." in shown
    answer = visitor.open("POST", f"{page}/restore", data={"backup": "whole.db"})
    assert answer.headers["Location"] == "/admin/login"

    [kept] = kept_of(tmp_path)
    assert kept.read_bytes() == broken
    said = visitor.get("/admin/login").text
    assert f"The damaged file is kept as {kept.name}" in said
    assert "30 comments, 1 webhook, 30 deliveries" in said
    assert not (tmp_path / "setup-code.txt").exists()
    assert visitor.get(DOOR).headers["Location"] == "/admin/"
    assert visitor.get(page).status_code == 410
    assert visitor.sign().status_code == 303
    assert says(app, tmp_path, "backup", "new.db") == (0, "")
    assert len(messages_in(tmp_path / "guestbook.db")) == 31
    assert not list(tmp_path.glob("*unfinished*")) + list(tmp_path.glob("*exchange*"))


def test_another_damaged_file_is_one_to_replace_when_nobody_copies_it_any_more(
    app: Flask, tmp_path: Path
) -> None:
    visitor, junk = Visitor(app), tmp_path / "junk"
    visitor.page()
    junk.write_bytes(b"x" * PAGE)
    junk.replace(tmp_path / "guestbook.db")
    assert visitor.get("/").status_code == 503
    os.utime(tmp_path / "guestbook.db", (0, 0))
    assert visitor.get("/").status_code == 500
    assert "The database is damaged." in plain(visitor.page(DOOR))
    restore = f"{DOOR}{code_of(tmp_path)}/restore"
    assert visitor.open("POST", restore, data={"backup": "whole.db"}).status_code == 303
    [kept] = kept_of(tmp_path)
    assert kept.read_bytes() == b"x" * PAGE
    assert visitor.sign().status_code == 303


@pytest.mark.parametrize("hold", [True, False])
def test_the_owner_chooses_whether_what_waits_is_sent_again(
    app: Flask, tmp_path: Path, spoil: Spoil, hold: bool
) -> None:
    spoil(QUEUE)
    visitor, page = broken_book(app, tmp_path)
    assert "checked" not in attributes(visitor.page(page), ".//input[@name='hold']")  # As the command does.
    visitor.open("POST", f"{page}/restore", data={"backup": "whole.db"} | ({"hold": "yes"} if hold else {}))
    with closing(sqlite3.connect(tmp_path / "guestbook.db")) as book:
        assert book.execute("SELECT disabled_reason FROM webhooks").fetchall() == [
            ("by_hand" if hold else None,)
        ]
        assert book.execute("SELECT count(*) FROM deliveries WHERE status = 'new'").fetchone() == (30,)


def broken_book(app: Flask, folder: Path) -> tuple[Visitor, str]:
    """Let a request find the damage of the queue; return a visitor and the page behind the code."""
    owner = Owner(app)
    owner.log_in()
    assert owner.get("/admin/deliveries/").status_code == 500
    visitor = Visitor(app)
    visitor.page(DOOR)
    return visitor, f"{DOOR}{code_of(folder)}"


def test_nobody_sees_or_does_anything_without_the_code(app: Flask, tmp_path: Path, spoil: Spoil) -> None:
    spoil(QUEUE)
    visitor, page = broken_book(app, tmp_path)
    before = (tmp_path / "guestbook.db").read_bytes()
    for wrong in ("0" * 32, "x", page.rpartition("/")[2][:-1]):
        for method, path in (("GET", ""), ("POST", ""), ("POST", "/restore"), ("POST", "/tables")):
            answer = visitor.open(method, f"{DOOR}{wrong}{path}", data={"backup": "whole.db"})
            assert answer.status_code == 403
            assert "whole.db" not in answer.text
            assert "malformed" not in answer.text
    assert (tmp_path / "guestbook.db").read_bytes() == before
    assert kept_of(tmp_path) == []
    for wrong in ("", "guestbook.db", "../whole.db", "secret_key"):
        answer = visitor.open("POST", f"{page}/restore", data={"backup": wrong})
        assert (answer.status_code, "Choose one of the backups." in answer.text) == (422, True)
    assert visitor.open("POST", f"{page}/tables").status_code == 303  # It makes no tables there.
    assert (tmp_path / "guestbook.db").read_bytes() == before


def test_a_backup_that_is_damaged_too_is_named_and_not_restored(
    app: Flask, tmp_path: Path, spoil: Spoil
) -> None:
    file = tmp_path / "whole.db"
    content = bytearray(file.read_bytes())
    content[-PAGE:] = b"x" * PAGE
    file.write_bytes(content)
    spoil(QUEUE)
    visitor, page = broken_book(app, tmp_path)
    answer = visitor.open("POST", f"{page}/restore", data={"backup": "whole.db"})
    assert (answer.status_code, "whole.db" in answer.text) == (422, True)
    assert kept_of(tmp_path) == []


def test_the_restore_waits_for_a_pass(app: Flask, tmp_path: Path, spoil: Spoil) -> None:
    spoil(QUEUE)
    visitor, page = broken_book(app, tmp_path)
    with ThreadPoolExecutor(1) as threads:
        with locks.taken(tmp_path / locks.PASS):
            sent = threads.submit(visitor.open, "POST", f"{page}/restore", data={"backup": "whole.db"})
            wait_for((tmp_path / "restore.unfinished" / "backup.db").exists)
            assert kept_of(tmp_path) == []
        assert sent.result(60).status_code == 303
    assert len(kept_of(tmp_path)) == 1


def test_a_writer_who_does_not_end_keeps_the_damaged_file_in_its_place(
    app: Flask, tmp_path: Path, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "EXCHANGE_WAIT", 0.1)
    spoil(QUEUE)
    settings, file = app.config["GUESTBOOK"], tmp_path / "guestbook.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with restore.staged(settings, tmp_path / "whole.db") as book, pytest.raises(OperationalError) as said:
            restore.replace_damaged(settings, book, progress=in_silence, waiting=lambda: None)
    assert database_errors.fault_of(said.value) is Fault.AWAY  # The page asks to try again.
    assert kept_of(tmp_path) == []


def test_no_connection_is_opened_while_the_file_is_exchanged(app: Flask, tmp_path: Path) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    lock = OpenFile(str(tmp_path / "guestbook.db")).exchange
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        answer = Visitor(app).get("/")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert Visitor(app).get("/").status_code == 200


@pytest.fixture
def apart(whole: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of the book in a folder of its own, which no app of this process has open."""
    folder = tmp_path / "apart"
    shutil.copytree(whole, folder)
    return settings_for(folder, f"sqlite:///{folder}/guestbook.db")


def spoil_sources(folder: Path) -> None:
    """Damage a table that no visitor needs."""
    with closing(sqlite3.connect(folder / "guestbook.db")) as book:
        (number,) = book.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sources'").fetchone()
        book.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (folder / "guestbook.db").open("r+b") as file:
        file.seek((number - 1) * PAGE)
        file.write(b"\xff" * PAGE)


def sign_on(address: str, stopping: threading.Event, number: int) -> list[str]:
    """Sign the book until the event; return what was answered as stored."""
    stored, session = [], requests.Session()
    for count in itertools.takewhile(lambda _: not stopping.is_set(), itertools.count()):
        message = f"{number} signs for the time {count}"
        with suppress(requests.RequestException, AssertionError):
            page = session.get(f"{address}/", timeout=30)
            assert page.status_code == 200
            form = fields(html5lib.parse(page.text, namespaceHTMLElements=False))
            answer = session.post(f"{address}/comments", form | GREETING | {"message": message}, timeout=30)
            assert [one.status_code for one in answer.history] == [303]
            stored.append(message)
    return stored


def test_of_two_web_servers_and_their_visitors_nobody_loses_what_was_answered(
    apart: dict[str, str], forks: Forks
) -> None:
    folder = Path(apart["GUESTBOOK_DATA_DIR"])
    spoil_sources(folder)
    stopping = threading.Event()
    with (
        forks.serving(apart) as (one, _),
        forks.serving(apart) as (other, _),
        ThreadPoolExecutor(4) as threads,
    ):
        signing = [threads.submit(sign_on, (one, other)[number % 2], stopping, number) for number in range(4)]
        try:
            (folder / "setup-code.txt").touch()
            requests.get(f"{one}{DOOR}", timeout=30)
            page = f"{one}{DOOR}{code_of(folder)}"
            wait_for(lambda: len(messages_in(folder / "guestbook.db")) > 36)
            answer = requests.post(
                f"{page}/restore", {"backup": "whole.db"}, timeout=60, allow_redirects=False
            )
            assert answer.status_code == 303, answer.text
            wait_for(lambda: len(messages_in(folder / "guestbook.db")) > 36)
        finally:
            stopping.set()
        stored = [message for one_visitor in signing for message in one_visitor.result(60)]
    [kept] = kept_of(folder)
    there = messages_in(folder / "guestbook.db")
    assert set(stored) <= there | messages_in(kept)
    assert {message.partition(" ")[0] for message in set(stored) & there} == {"0", "1", "2", "3"}
    with closing(sqlite3.connect(folder / "guestbook.db")) as book:
        assert book.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_restore_that_is_killed_between_the_two_files_can_be_done_again(
    apart: dict[str, str], forks: Forks
) -> None:
    folder = Path(apart["GUESTBOOK_DATA_DIR"])
    with forks.serving(apart, point="inside_exchange") as (dying, _), forks.serving(apart) as (address, _):
        break_file(folder, "head")
        broken = (folder / "guestbook.db").read_bytes()
        (folder / "setup-code.txt").touch()
        assert requests.get(f"{dying}{DOOR}", timeout=30).status_code == 200
        path = f"{DOOR}{code_of(folder)}/restore"
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{dying}{path}", {"backup": "whole.db"}, timeout=60)
        assert (folder / "guestbook.db").read_bytes() == broken
        [left] = kept_of(folder)
        left.unlink()  # Its name has the second, and no other file takes its place.
        assert requests.post(f"{address}{path}", {"backup": "whole.db"}, timeout=60).status_code == 200
        assert len(messages_in(folder / "guestbook.db")) == 30
    [kept] = kept_of(folder)
    assert kept.read_bytes() == broken
    assert not list(folder.glob("*unfinished*")) + list(folder.glob("*exchange*"))
