"""The demo's parts: processes that end, waiting that ends, and sentences for what goes wrong."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from guestbook.cli import demo
from guestbook.cli.demo import Tour
from guestbook.lib.errors import Refused
from tests.support.receiver import Answer, Receiver

STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('I stay.', flush=True); time.sleep(60)"
)


@pytest.fixture
def tour(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tour]:
    """The demo's book, with Python in place of its commands."""
    monkeypatch.setattr(demo, "PROGRAM", (sys.executable, "-c"))
    monkeypatch.setenv("GUESTBOOK_TIMEOUT", "1")
    monkeypatch.setattr(demo, "END_TIMEOUT", 0.2)
    with demo._made(None) as made:
        yield made


def test_a_process_that_stays_when_it_should_end_is_killed_and_its_last_line_explains_the_delay(
    tour: Tour,
) -> None:
    tour.start(STUBBORN)
    log = tour.folder / demo.LOG
    tour.wait_for(lambda: log.read_text() or None, 20, "It did not speak")
    assert tour.program
    environ = Path(f"/proc/{tour.program.pid}/environ").read_bytes()
    assert (f"GUESTBOOK_DATA_DIR={tour.folder}".encode() in environ, b"GUESTBOOK_TIMEOUT" in environ) == (
        True,
        False,
    )
    with pytest.raises(Refused, match=r"^Nothing came within 0\.2 seconds\. It printed last: I stay\.$"):
        tour.wait_for(lambda: None, 0.2, "Nothing came")
    tour.end()
    assert tour.program.returncode == -signal.SIGKILL


def test_a_book_that_takes_no_comment_gets_a_sentence(tour: Tour, receiver: Receiver) -> None:
    tour.address = receiver.url("/book").removesuffix("/")
    for answer, why in ((Answer(503), r"it answered 503\.$"), (Answer(200, body=b"no JSON"), "")):
        receiver.answer("/book/api/v1/comments", answer)
        with pytest.raises(Refused, match=rf"^The book did not take the comment: {why}"):
            tour.sign("Ada", "Hello")


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
    first, second, third = capsys.readouterr().out.splitlines()
    assert (len(first), first[-1]) == (78, "…")
    assert (second, third) == ("    a [31mb", "")
