"""The demo's parts: a place without the user's settings, processes that end, patience that ends."""

import os
import signal
import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from guestbook import settings
from guestbook.cli.demo import http_visitor, printing, processes, sample_book, tour, workspace
from guestbook.cli.demo.processes import Processes, Stopped
from guestbook.cli.demo.workspace import Workspace
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import StopFlag
from guestbook.settings import installation
from guestbook.storage import engine_setup
from guestbook.storage.models import Webhook
from tests.support import processes as support_processes
from tests.support.receiver import Answer, Receiver

STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('I stay.', flush=True); time.sleep(60)"
)


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    """A place in a folder with signs that mean something in a URL and to a shell."""
    folder = tmp_path / "a b?c#d%41'"
    folder.mkdir()
    (folder / "stubborn.py").write_text(STUBBORN)
    (folder / "brief.py").write_text("print('It is'); print('over.'); print()")
    return Workspace(folder, support_processes.free_port())


def test_the_place_names_every_setting_so_that_none_of_the_user_s_shines_through(
    here: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}=wrong\n" for name in settings.SETTING_NAMES))
    assert set(here.values) == settings.SETTING_NAMES
    read = here.settings()
    assert (read.data_dir, read.base_url) == (here.folder, here.address)
    assert read.retry_schedule == settings.load({"GUESTBOOK_DATA_DIR": "d", **here.values}).retry_schedule


def test_the_folder_s_own_env_says_what_the_demo_s_processes_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with workspace.made(None) as made:
        monkeypatch.chdir(made.folder)
        bare = settings.load({"GUESTBOOK_DATA_DIR": str(made.folder)})
        # Only a start of the program reads or makes the key.
        assert replace(bare, secret_key=made.settings().secret_key) == made.settings()
    assert not made.folder.exists()


def test_a_temporary_folder_that_cannot_be_used_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(Refused, match=r"^The demo cannot go on: No such file or directory\.$"):
        tour.run(None, wait=False)


def test_the_processes_get_nothing_of_the_user_s_settings(
    here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUESTBOOK_TIMEOUT", "1")
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setenv("PYTHONPATH", "/one:/two")
    environ = here.environ()
    assert {name: environ[name] for name in environ if name.startswith("GUESTBOOK_")} == here.values
    assert "FLASK_DEBUG" not in environ
    assert environ["PYTHONPATH"] == f"{installation.CHECKOUT}{os.pathsep}/one:/two"
    assert environ["PATH"] == os.environ["PATH"]


def test_a_command_names_the_folder_and_what_the_user_has_set_otherwise(here: Workspace) -> None:
    assert list(here.named_for([])) == ["GUESTBOOK_DATA_DIR"]
    named = here.named_for(["GUESTBOOK_DATABASE_URL", "GUESTBOOK_DATA_DIR"])
    assert list(named) == ["GUESTBOOK_DATA_DIR", "GUESTBOOK_DATABASE_URL"]


def test_the_props_stand_in_the_book_and_the_bin_fails_once(here: Workspace) -> None:
    read = here.settings()
    with engine_setup.opened(read) as engine:
        ready = sample_book.prepare(engine, read)
        sample_book.fail_next(engine, ready)
        with engine.connect() as connection:
            url = connection.scalars(select(Webhook.url)).one()
    assert url.startswith(f"{here.address}/bin/")
    assert (here.folder / "guestbook.db").exists()


# --- processes


def test_a_process_that_does_not_end_when_asked_is_killed(
    here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "END_TIMEOUT", 0.2)
    log = here.folder / "server.log"
    with Processes(here, StopFlag()) as running:
        running.start("server", "stubborn")
        running.wait_for(lambda: log.read_text() or None, 20, "It did not speak")
        (number,) = living(here)
    assert living(here) == []
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_what_takes_too_long_is_refused_with_what_was_said_last(here: Workspace) -> None:
    log = here.folder / "server.log"
    with Processes(here, StopFlag()) as running:
        running.start("server", "stubborn")
        running.wait_for(lambda: log.read_text() or None, 20, "It did not speak")
        with pytest.raises(
            Refused, match=r"^Nothing came within 0\.2 seconds\. The server printed last: I stay\.$"
        ):
            running.wait_for(lambda: None, 0.2, "Nothing came")
        os.kill(living(here)[0], signal.SIGKILL)


def test_a_process_that_ends_by_itself_is_noticed_at_once(here: Workspace) -> None:
    start = time.monotonic()
    with Processes(here, StopFlag()) as running:
        running.start("pass", "brief")
        with pytest.raises(
            Refused, match=r"^The demo's pass has ended by itself\. The pass printed last: over\.$"
        ):
            running.wait_for(lambda: None, 60, "Nothing came")
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_and_its_old_handler_comes_back(here: Workspace, number: int) -> None:
    before = signal.getsignal(number)
    with processes.noticed() as stop, Processes(here, stop) as running:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped):
            running.wait_for(lambda: None, 60, "Nothing came")
    assert signal.getsignal(number) is before


def test_a_signal_that_nohup_has_silenced_stays_silenced() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with processes.noticed() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def living(here: Workspace) -> list[int]:
    """The processes of a place."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"GUESTBOOK_DATA_DIR={here.folder}\0".encode() in environ:
            found.append(int(folder.name))
    return found


# --- the visitor and the paper


def test_a_book_that_takes_no_comment_gets_a_sentence(receiver: Receiver) -> None:
    receiver.answer("/book/api/v1/comments", Answer(503, body=b"later"))
    with pytest.raises(Refused, match=r"^The book did not take the comment: it answered 503\.$"):
        http_visitor.sign(receiver.url("/book"), "Ada", "Hello")
    receiver.answer("/book/api/v1/comments", Answer(200, body=b"no JSON"))
    with pytest.raises(Refused, match=r"^The book did not take the comment: "):
        http_visitor.sign(receiver.url("/book"), "Ada", "Hello")


def test_a_server_that_is_not_there_yet_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert http_visitor.is_served(f"http://127.0.0.1:{port}") is None
    with pytest.raises(Refused):
        http_visitor.sign(f"http://127.0.0.1:{port}", "Ada", "Hello")


def test_what_was_sent_is_cut_and_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    printing.listing(["x" * 100, "a\x1b[31mb\u202e"])
    first, second, third = capsys.readouterr().out.splitlines()
    assert (len(first), first[-1]) == (printing.TEXT_WIDTH, "…")
    assert (second, third) == ("    a [31mb", "")
