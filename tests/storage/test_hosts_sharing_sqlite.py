"""Two hosts over one SQLite file: the one that came second only reads, and says so."""

import errno
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

import guestbook
from guestbook.background import pass_with_nothing_due, whole_pass
from guestbook.lib import clock, files, ids
from guestbook.lib.errors import Refused
from guestbook.storage import hosts_sharing_sqlite
from guestbook.storage.database import db
from guestbook.storage.hosts_sharing_sqlite import HostNote
from tests.cli.conftest import Shell
from tests.conftest import settings_for
from tests.support import factories, processes
from tests.support.forks import Forks
from tests.support.processes import Started
from tests.support.visitor import Visitor


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings of a book on a file, on whatever database the suite runs."""
    return settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")


@pytest.fixture
def file(app: Flask, tmp_path: Path) -> Path:  # noqa: ARG001  it makes the file
    return tmp_path / "guestbook.db"


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_sharing_sqlite, "LOOK_EVERY", 0.0)


@pytest.fixture
def shell(app: Flask) -> Shell:
    return Shell(app.test_cli_runner())


class Elsewhere:
    """Lets this process take itself for another host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def note(self, file: Path, name: str, kernel: str | None, does: str = hosts_sharing_sqlite.WEB) -> None:
        """Write the note of a host with that name, on that kernel."""
        with self._monkeypatch.context() as there:
            there.setattr(ids, "host_name", lambda: name)
            there.setattr(ids, "boot_id", lambda: kernel)
            hosts_sharing_sqlite._write(file, does, clock.now())

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let this process be on another host meanwhile."""
        with self._monkeypatch.context() as there:
            there.setattr(ids, "host_name", lambda: "new-container")
            there.setattr(ids, "boot_id", lambda: "another-kernel")
            yield

    def take_over(self, file: Path, name: str, kernel: str) -> None:
        """Let that host take the file over. It writes the note as a process of its own would."""
        moment = clock.to_text(clock.now())
        for path in file.parent.glob(f"{file.name}-host-*"):
            path.unlink()
        note = {"name": name, "boot_id": kernel, "seen": {hosts_sharing_sqlite.WEB: moment}, "since": moment}
        file.with_name(f"{file.name}-host-elsewhere").write_text(json.dumps(note))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    return Elsewhere(monkeypatch)


def run() -> object:
    return whole_pass.run(db.engine, factories.settings(), whole_pass.Options())


def test_a_pass_does_nothing_while_another_host_uses_the_file_and_says_why(
    file: Path, elsewhere: Elsewhere, shell: Shell
) -> None:
    hook = factories.webhook()
    factories.delivery(hook)
    elsewhere.note(file, "web-2", "another-kernel")
    said = shell.refused("cron")
    assert said.startswith("Error: Two hosts use one SQLite file, ")
    assert "web-2 (web server) was last active just now" in said
    assert "Run the web server and cron on one host, or use PostgreSQL or MariaDB." in said
    assert "15 minutes after a host was last active it does not count any more." in said
    assert factories.one().claims == 0
    assert shell.refused("deliver") == said


def test_the_host_that_came_second_reads_and_refuses_to_write_until_it_takes_over(
    app: Flask, file: Path, elsewhere: Elsewhere, shell: Shell
) -> None:
    factories.sign(message="From before.")
    elsewhere.note(file, "web-2", "another-kernel")
    visitor = Visitor(app)
    assert "From before." in visitor.get("/").text
    answer = visitor.sign(message="In vain.")
    assert answer.status_code == 503
    assert 890 <= int(answer.headers["Retry-After"]) <= 900
    assert "nothing can be stored here. Please try again in 15 minutes." in answer.text
    assert "In vain." in answer.text
    for command in ("prune", "webhooks add https://receiver.example/", "cron"):
        said = shell.refused(*command.split())
        assert "web-2 came first, so this host only reads until " in said
        assert said.strip().endswith(" take-over")
    assert "From before." in shell("comments", "list")
    assert "It does so in place of web-2." in shell("take-over")
    assert visitor.sign(message="Stored.").status_code == 303
    assert run()


def test_the_host_that_came_first_goes_on_and_loses_the_file_to_one_that_takes_over(
    app: Flask, file: Path, elsewhere: Elsewhere
) -> None:
    visitor = Visitor(app)
    visitor.get("/")
    elsewhere.note(file, "web-2", "another-kernel")
    assert visitor.sign(message="First.").status_code == 303
    assert run()
    elsewhere.take_over(file, "web-2", "another-kernel")
    assert visitor.sign(message="Second.").status_code == 503
    HostNote(factories.settings(), hosts_sharing_sqlite.WEB).renew()
    assert visitor.sign(message="Second.").status_code == 503


def test_a_pass_that_stays_ends_when_another_host_has_taken_over(file: Path, elsewhere: Elsewhere) -> None:
    began = time.monotonic()
    threading.Timer(1.0, elsewhere.take_over, (file, "web-2", "another-kernel")).start()
    with pytest.raises(Refused, match="web-2 came first"):
        whole_pass.run(db.engine, factories.settings(), whole_pass.Options(max_seconds=60, stay=True))
    assert time.monotonic() - began < 30


def test_a_quiet_host_does_not_count_so_that_a_book_can_move(
    file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.note(file, "old", "another-kernel", hosts_sharing_sqlite.PASS)
    with pytest.raises(Refused):
        run()
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=15, seconds=1))
    assert run()
    assert [host.name for host in hosts_sharing_sqlite.hosts(file)][1:] == ["old"]


@pytest.mark.parametrize(
    ("name", "kernel"), [(None, "before-the-restart"), ("another-container", "this"), (None, None)]
)
def test_a_restart_and_containers_on_one_kernel_are_one_host(
    file: Path, elsewhere: Elsewhere, name: str | None, kernel: str | None
) -> None:
    here = ids.boot_id() if kernel == "this" else kernel
    elsewhere.note(file, name or ids.host_name(), here)
    assert run()


def notes(file: Path) -> list[Path]:
    return [one for kind in ("host", "lock") for one in file.parent.glob(f"{file.name}-{kind}-*")]


def test_a_host_that_was_stopped_does_not_count_and_one_that_was_killed_does(
    file: Path, environ: dict[str, str], elsewhere: Elsewhere
) -> None:
    serve = [sys.executable, "-P", "-c", "import guestbook; guestbook.main()", "serve", "--listen"]

    @contextmanager
    def server() -> Iterator[Started]:
        address = f"127.0.0.1:{processes.free_port()}"
        with processes.started([*serve, address], env=processes.clean_environ(**environ)) as one:
            processes.wait_for(lambda: processes.answers(f"http://{address}/"), 60, one.output)
            yield one

    with server() as one, server() as other:
        one.process.terminate()
        assert one.process.wait(60) == 0
        assert hosts_sharing_sqlite.hosts(file)
        other.process.terminate()
        assert other.process.wait(60) == 0
    assert notes(file) == []
    with server() as one:
        one.process.kill()
    with elsewhere.here(), pytest.raises(Refused, match="last active"):
        run()
    with server() as one:
        one.process.terminate()
        assert one.process.wait(60) == 0
    with elsewhere.here():
        assert run()


@pytest.mark.parametrize("stays", [True, False])
def test_a_pass_that_is_stopped_leaves_and_one_that_ends_by_itself_does_not(
    file: Path, environ: dict[str, str], forks: Forks, stays: bool
) -> None:
    at_work = forks.start(environ, "cron", *(["--stay", "--max-seconds", "600"] if stays else []))
    if stays:
        at_work.is_at_work()
        at_work.terminate()
    assert at_work.wait() == 0, at_work.printed
    assert bool(notes(file)) is not stays


def test_a_pass_that_is_stopped_leaves_the_note_to_a_web_server_that_goes_on(
    app: Flask, file: Path, environ: dict[str, str], forks: Forks
) -> None:
    Visitor(app).get("/")
    at_work = forks.start(environ, "cron", "--stay", "--max-seconds", "600")
    at_work.is_at_work()
    at_work.terminate()
    assert at_work.wait() == 0, at_work.printed
    assert hosts_sharing_sqlite.hosts(file)


def test_a_file_that_is_not_there_is_not_taken_over(file: Path, shell: Shell) -> None:
    file.unlink()
    assert "copy the book to it first" in shell.refused("take-over")
    assert hosts_sharing_sqlite.hosts(file) == []


def test_a_note_of_a_clock_that_ran_ahead_hides_no_host_and_loses_no_rank(
    file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clock.now
    HostNote(factories.settings(), hosts_sharing_sqlite.PASS).renew()
    (before,) = hosts_sharing_sqlite.hosts(file)
    with monkeypatch.context() as ahead:
        ahead.setattr(clock, "now", lambda: real() + timedelta(minutes=14))
        HostNote(factories.settings(), hosts_sharing_sqlite.WEB).renew()
        ahead.setattr(clock, "now", lambda: real() + timedelta(minutes=28))
        HostNote(factories.settings(), hosts_sharing_sqlite.WEB).renew()
    elsewhere.note(file, "web-2", "another-kernel")
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=6))
    HostNote(factories.settings(), hosts_sharing_sqlite.PASS).renew()
    (after,) = [host for host in hosts_sharing_sqlite.hosts(file) if host.is_this_one()]
    assert after.since == before.since
    assert after.last_at == after.seen[hosts_sharing_sqlite.PASS]
    assert run()


def test_an_idle_pass_leaves_the_complaint_to_a_whole_one(file: Path, elsewhere: Elsewhere) -> None:
    run()
    assert pass_with_nothing_due.run(factories.settings())
    elsewhere.note(file, "web-2", "another-kernel")
    assert not pass_with_nothing_due.run(factories.settings())


def test_a_monitor_hears_of_two_hosts(app: Flask, file: Path, elsewhere: Elsewhere) -> None:
    assert Visitor(app).get("/healthz").status_code == 200
    elsewhere.note(file, "cron-1", "another-kernel", hosts_sharing_sqlite.PASS)
    answer = Visitor(app).get("/healthz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "two hosts use one SQLite file")


def test_a_note_is_renewed_every_five_minutes_by_all_processes_together(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = HostNote(factories.settings(), hosts_sharing_sqlite.PASS)
    note.renew()
    (before,) = hosts_sharing_sqlite.hosts(file)
    HostNote(factories.settings(), hosts_sharing_sqlite.PASS).renew()
    assert hosts_sharing_sqlite.hosts(file) == [before]
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=6))
    note.renew()  # too early by the process's own clock
    assert hosts_sharing_sqlite.hosts(file) == [before]
    HostNote(factories.settings(), hosts_sharing_sqlite.PASS).renew()
    assert hosts_sharing_sqlite.hosts(file)[0].last_at > before.last_at


def test_hosts_that_have_gone_are_forgotten_and_damaged_notes_are_none(
    file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.note(file, "old", "another-kernel")
    file.with_name(f"{file.name}-host-broken").write_text("{")
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(days=3))
    assert run()
    assert [host.name for host in hosts_sharing_sqlite.hosts(file)] == [ids.host_name()]


def test_a_folder_that_cannot_be_written_stops_nobody(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(files, "replace_file", refuse)
    HostNote(factories.settings(), hosts_sharing_sqlite.WEB).renew()
    assert hosts_sharing_sqlite.hosts(file) == []


def test_a_network_drive_without_locks_delays_nobody(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    slept: list[float] = []
    monkeypatch.setattr(hosts_sharing_sqlite.fcntl, "flock", lock)
    monkeypatch.setattr(hosts_sharing_sqlite.time, "sleep", slept.append)
    HostNote(factories.settings(), hosts_sharing_sqlite.WEB).renew()
    assert slept == []
    assert list(file.parent.glob(f"{file.name}-host-*"))


def test_servers_may_be_shared(tmp_path: Path) -> None:
    environ = settings_for(tmp_path, "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    app = guestbook.create_app(environ)
    note = HostNote(app.config["GUESTBOOK"], hosts_sharing_sqlite.PASS)
    assert note.file is None
    note.renew()
    note.keep()
    assert list(tmp_path.glob("*-host-*")) == []
