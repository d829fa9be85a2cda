"""The demo's parts: processes that end, waiting that ends, and sentences for what goes wrong."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from flask import Flask

from guestbook.cli import demo
from guestbook.cli.demo import Tour
from guestbook.lib.errors import Refused
from tests.support.receiver import Answer, Receiver

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); open('sign', 'x').close(); time.sleep(60)"


@pytest.fixture
def tour(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tour]:
    """The demo's book, with a stubborn program in place of its own."""
    monkeypatch.setattr(demo, "PROGRAM", (sys.executable, "-c", STUBBORN))
    monkeypatch.setenv("GUESTBOOK_TIMEOUT", "1")
    monkeypatch.setattr(demo, "END_TIMEOUT", 0.2)
    with demo._made(None) as made:
        yield made
    assert made.program.returncode == -signal.SIGKILL


def test_a_process_that_stays_when_it_should_end_is_killed(tour: Tour) -> None:
    """The fixture ends it."""
    sign = tour.folder / "sign"
    tour.wait_for(lambda: sign.exists() or None, "It did not start", 20)
    environ = Path(f"/proc/{tour.program.pid}/environ").read_bytes()
    assert (f"GUESTBOOK_DATA_DIR={tour.folder}".encode() in environ, b"GUESTBOOK_TIMEOUT" in environ) == (
        True,
        False,
    )
    with pytest.raises(Refused, match=r"^Nothing came within 0\.2 seconds\.$"):
        tour.wait_for(lambda: None, "Nothing came", 0.2)


def test_a_book_that_takes_no_comment_ends_it_with_a_sentence(
    app: Flask, tour: Tour, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tour.folder / "sign"
    tour.wait_for(lambda: sign.exists() or None, "It did not start", 20)  # Before that, SIGTERM ends it.
    tour.address = receiver.url("/book").removesuffix("/")
    monkeypatch.setattr(demo, "_made", lambda _port: nullcontext(tour))
    monkeypatch.setattr(demo, "_show", lambda shown: shown.sign("Ada", "Hello"))
    for answer, why in ((Answer(503), "503 Server Error"), (Answer(200, body=b"no JSON"), "Expecting value")):
        receiver.answer("/book/api/v1/comments", answer)
        done = app.test_cli_runner().invoke(args=["demo"])
        assert (done.exit_code, done.output[:28]) == (1, "Error: The demo cannot go on")
        assert why in done.output


def test_a_temporary_folder_that_cannot_be_used_gets_a_sentence(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    assert (
        "Error: The demo cannot go on: No such file or directory.\n"
        in app.test_cli_runner().invoke(args=["demo"]).output
    )


def test_what_was_sent_is_cut_and_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    demo._listing(["x" * 100, "a\x1b[31mb\u202e"])
    empty, first, second = capsys.readouterr().out.splitlines()
    assert (len(first), first[-1]) == (78, "…")
    assert (empty, second) == ("", "    a [31mb")
