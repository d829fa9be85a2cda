"""What web, cron and doctor say when the database fails under them. Then all goes on, and nothing is lost."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

import guestbook
from guestbook.storage import backup, database, disk_room, engines
from guestbook.storage.database import db
from guestbook.storage.engines import Waits
from guestbook.web.database_error_pages import DISK_FULL, MAKE_ROOM
from tests.conftest import running, settings_for
from tests.support import databases, factories, servers, small_disk
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.owner import Owner
from tests.support.processes import wait_for
from tests.support.receiver import Answer, Receiver
from tests.support.servers import OwnServer
from tests.support.small_disk import SmallDisk
from tests.support.visitor import GREETING, Visitor, fields, parse, plain, stored

LOAD = 80  # deliveries
ANSWER_LIMIT = 16 * 1024  # bytes that are stored
AWAY = "The database cannot be used now: "
DOOR = "/admin/setup/"


class Site:
    """A book, seen by a visitor, by cron and by doctor."""

    def __init__(self, app: Flask, receiver: Receiver) -> None:
        self.app = app
        self.receiver = receiver
        self.visitor = Visitor(app)
        self.owner, self.second_browser = Owner(app), Owner(app)
        assert self.owner.log_in().status_code == 303
        with app.app_context():
            factories.webhook(receiver.url("/hook"))
            factories.sign()
            db.session.remove()
        self.form = self.visitor.form() | GREETING

    def cron(self) -> tuple[int, str]:
        result = self.app.test_cli_runner().invoke(args=["cron"])
        return result.exit_code, result.stderr

    def doctor(self) -> dict[str, dict[str, str]]:
        result = self.app.test_cli_runner().invoke(args=["doctor", "--json"])
        return {one["subject"]: one for one in reversed(json.loads(result.stdout)["findings"])}

    def started_again(self) -> Flask:
        """Start the program anew, as after a reboot."""
        settings = self.app.config["GUESTBOOK"]
        return guestbook.create_app(settings_for(settings.data_dir, settings.database_url))

    def refuses_kindly(self, code: int = 503) -> str:
        """Send a comment that cannot be stored; the text comes back with a sentence, which is returned."""
        answer = self.visitor.send(self.form)
        assert answer.status_code == code
        assert fields(parse(answer))["message"] == GREETING["message"]
        return answer.text

    def tells_the_owner(self, words: str) -> None:
        """Change a setting and log in elsewhere, both in vain; only the owner reads the database's words."""
        form = fields(self.owner.page("/admin/book/"))
        answer = self.owner.open("POST", "/admin/book/", data=form | {"title": "Changed"})
        assert answer.status_code == 503
        is_full = "disk is full" in words
        said = (
            f"{DISK_FULL} ({words}). {MAKE_ROOM}"
            if is_full
            else f"{AWAY}{words}. Please try again in a minute."
        )
        assert said in answer.text
        assert ("See what takes the room" in answer.text) == is_full
        assert '<a href="/admin/doctor/">' in answer.text
        assert self.owner.get("/admin/doctor/").status_code == 200
        answer = self.second_browser.log_in()
        assert answer.status_code == 503
        said = f"{DISK_FULL}. " if is_full else "run this on the server: flask --app guestbook doctor"
        assert said in answer.text
        assert words not in answer.text
        assert '<a href="/admin/doctor/">' not in answer.text  # it would lead back to the login

    def works_again(self) -> None:
        """The same form is taken now, and both comments are sent."""
        assert self.visitor.send(self.form).status_code == 303
        assert len(stored()) == 2
        assert self.cron() == (0, "")
        assert len({one.event_id for one in self.receiver.requests}) == 2
        assert self.visitor.get("/healthz").status_code == 200
        assert self.doctor()["writing"]["state"] == "ok"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not small_disk.can_be_mounted():
        pytest.skip("needs root, to mount a small disk")
    with small_disk.small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A book on a file; on the small disk, if the test asks for it."""
    folder = request.getfixturevalue("disk").folder if "disk" in request.fixturenames else tmp_path
    return settings_for(folder, f"sqlite:///{folder}/guestbook.db")


@pytest.fixture
def site(environ: dict[str, str], receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A book whose passes do not try for ten seconds what the disk refuses."""
    monkeypatch.setattr(database, "RETRY_FOR", 0.1)
    with running(environ) as app:
        yield Site(app, receiver)


def test_a_full_disk(disk: SmallDisk, site: Site) -> None:
    disk.fill()
    assert "The book cannot be reached" in site.refuses_kindly()
    assert site.visitor.get("/").status_code == 200
    assert site.visitor.get("/healthz").get_json()["status"] == "database cannot be written"
    code, said = site.cron()
    assert (code, said) == (75, f"{AWAY}database or disk is full\n")
    site.tells_the_owner("database or disk is full")
    findings = site.doctor()
    assert findings["writing"]["state"] == findings["disk space"]["state"] == "problem"
    assert "The disk is full: make room" in findings["writing"]["advice"]
    assert site.receiver.requests == []
    disk.free()
    site.works_again()


def test_with_a_code_the_owner_makes_room_in_the_browser(disk: SmallDisk, site: Site) -> None:
    with site.app.app_context():
        read = site.app.config["GUESTBOOK"]
        backup.own_path(read, "before")
        backup.write(read, disk.folder / "backups/old.db")
        kept = backup.write(read, disk.folder / "kept.db").path
        size = kept.stat().st_size
        kept.rename(disk.folder / "guestbook-damaged-20260131T235959Z.db")
    site.visitor.form()
    disk.fill()
    door = site.visitor.page(DOOR)
    assert "There is not even room for a code." in plain(door)
    assert not (disk.folder / "setup-code.txt").exists()
    disk.fill(but=8192)  # As after a small file was removed by FTP.
    assert "not even room" not in plain(site.visitor.page(DOOR))
    code = (disk.folder / "setup-code.txt").read_text().split()[0]
    assert site.refuses_kindly()
    room = site.visitor.open("POST", DOOR, data={"code": code}).headers["Location"]
    assert room == f"{DOOR}{code}/room"
    shown = plain(site.visitor.page(room))
    assert "The disk is full" in shown
    assert "backups/old.db" in shown
    assert "guestbook-damaged-20260131T235959Z.db" in shown
    restore = {"backup": "backups/old.db"}
    refused = site.visitor.open("POST", f"{DOOR}{code}/restore", data=restore)
    assert (refused.status_code, "The disk has no room to restore" in refused.text) == (422, True)
    assert not (disk.folder / "restore.unfinished").exists()
    for wrong in ([], ["guestbook.db"], ["secret_key"], ["backups/old.db", "../x"]):
        answer = site.visitor.open("POST", room, data={"files": wrong})
        assert (answer.status_code, "Choose files of the list." in answer.text) == (422, True)
    other = f"{DOOR}{'0' * 32}/room"
    assert [
        site.visitor.open(how, other, data={"files": "backups/old.db"}).status_code for how in ("GET", "POST")
    ] == [410, 410]
    assert (disk.folder / "backups/old.db").exists()

    answer = site.visitor.open("POST", room, data={"files": "backups/old.db"})
    assert answer.headers["Location"] == room
    assert not (disk.folder / "backups/old.db").exists()
    assert disk_room.look(read).free >= size
    site.works_again()


def test_a_disk_that_is_almost_full_lets_no_pass_send_again_what_the_last_one_could_not_record(
    disk: SmallDisk, site: Site
) -> None:
    site.receiver.answer("/hook", Answer(body=b"x" * ANSWER_LIMIT))
    with site.app.app_context():
        book = Book(site.app)
        book.publish(15)
        disk.fill(but=250_000)  # enough for a claim of 16, but not for what they answer
        full = 75, f"{AWAY}database or disk is full\n"
        assert site.cron() == full
        sent = len(site.receiver.requests)
        assert sent > 0
        for _ in range(2):
            book.expire()
            assert site.cron() == full
        assert len(site.receiver.requests) == sent
        disk.free()
        assert site.cron() == (0, "")
        assert book.statuses() == {"processed": 16}


@pytest.mark.parametrize("log_of_lost_power", [False, True])
def test_a_book_on_a_disk_that_became_read_only_can_be_read_also_after_a_reboot(
    disk: SmallDisk, site: Site, log_of_lost_power: bool
) -> None:
    with site.app.app_context():
        path = Path(db.engine.url.database or "")
        logs = {end: path.with_name(path.name + end) for end in ("-wal", "-shm")}
        kept = {end: log.read_bytes() for end, log in logs.items()}
        db.engine.dispose()  # SQLite's files may not be open for writing while the disk changes
    for end, content in kept.items() if log_of_lost_power else ():
        logs[end].write_bytes(content)
    disk.mount("remount,ro")
    site.refuses_kindly()
    assert site.visitor.get("/healthz").status_code == 503
    code, said = site.cron()
    assert (code, said.startswith(AWAY), said.count("\n")) == (75, True, 1)
    findings = site.doctor()
    assert findings["data folder"]["state"] == "problem"
    assert findings["data folder"]["sentence"].startswith(f"The disk of {disk.folder} is mounted read-only")
    again = site.started_again()
    assert Visitor(again).get("/").status_code == 200
    assert "Hello" in Visitor(again).get("/").text
    assert again.test_cli_runner().invoke(args=["cron"]).exit_code == 75
    with again.app_context():
        db.engine.dispose()
    disk.mount("remount,rw")
    site.works_again()


def test_another_program_that_keeps_the_file_locked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Waits(write=0.2, read=0.2, on_server=1, at_once=4)
    site.app.config["WAITS"] = short
    monkeypatch.setattr(engines, "FOR_PASSES", short)
    with closing(sqlite3.connect(tmp_path / "guestbook.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        site.refuses_kindly()
        assert site.visitor.get("/").status_code == 200
        assert site.cron() == (75, f"{AWAY}database is locked\n")
        writing = site.doctor()["writing"]
        assert writing["state"] == "warning"
        assert "look for a program that has the file open" in writing["advice"]
    site.works_again()


@pytest.fixture(params=["mariadb"])  # `test_proof_faults` kills a PostgreSQL.
def server(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    databases.no_process()
    if not servers.can_be_started(request.param):
        pytest.skip(f"needs root and the programs of {request.param}")
    with servers.own_server(request.param) as server:
        yield server


@pytest.fixture
def served(server: OwnServer, receiver: Receiver, tmp_path: Path) -> Iterator[Site]:
    app = guestbook.create_app(settings_for(tmp_path, server.url))
    with app.app_context():
        database.create_tables(db.engine)
    yield Site(app, receiver)
    with app.app_context():
        db.engine.dispose()


def test_a_server_that_is_restarted_and_stopped_under_load(
    server: OwnServer, served: Site, receiver: Receiver, forks: Forks, tmp_path: Path
) -> None:
    receiver.answer("/hook", Answer(delay=0.1))
    environ = settings_for(tmp_path, server.url)
    with served.app.app_context():
        book = Book(served.app)
        book.stock(factories.webhook(receiver.url("/hook")), LOAD)
        db.session.remove()

    running_pass = forks.start(environ, "cron")
    wait_for(lambda: len(receiver.requests) > 10)
    server.kill()  # kill -9: what it had not committed is gone
    server.start()
    assert running_pass.wait() in (
        0,
        75,
    )  # a write is retried for ten seconds, a read is left to the next pass
    assert running_pass.printed == "" or running_pass.printed.startswith(AWAY)

    with served.app.app_context():
        book.stock(factories.webhook(receiver.url("/hook")), LOAD)
        db.session.remove()
    before = len(receiver.requests)
    running_pass = forks.start(environ, "cron")
    wait_for(lambda: len(receiver.requests) > before + 10)
    server.kill()
    assert running_pass.wait() == 75
    assert running_pass.printed.startswith(AWAY)
    assert running_pass.printed.count("\n") == 1
    served.refuses_kindly()
    assert served.visitor.get("/healthz").get_json()["status"] == "database cannot be used"
    assert served.cron()[0] == 75
    assert "See whether the database server runs" in served.doctor()["database"]["advice"]

    server.start()
    assert served.visitor.send(served.form).status_code == 303
    with served.app.app_context():
        book.expire()  # the leases of the pass that lost the database
    assert served.cron() == (0, "")
    assert served.doctor()["database"]["state"] == "ok"
    with served.app.app_context():
        assert book.statuses() == {"processed": 2 * LOAD + 4}  # one comment for one webhook, one for three
    assert len({one.event_id for one in receiver.requests}) == 2 * LOAD + 2
