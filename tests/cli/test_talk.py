"""The talk from the shell: how it ends, what it leaves, what it refuses, and the lines of code it names."""

import errno
import os
import signal
import socket
import tempfile
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from guestbook.cli import talk_actions
from guestbook.cli.talk_actions import DECISIONS
from guestbook.settings import installation
from tests.support import processes
from tests.support.running_talk import TalkStarter


@pytest.mark.parametrize("decision", DECISIONS)
def test_the_line_that_decided_is_found_once(decision: str) -> None:
    path, part = DECISIONS[decision]
    source = (installation.CHECKOUT / "guestbook" / path).read_text()
    assert source.count(part) == 1
    place, line = talk_actions.line_of(decision)
    assert place.startswith(f"guestbook/{path}:")
    assert source.splitlines()[int(place.rpartition(":")[2]) - 1].strip() == line
    assert part.partition("\n")[0] in line


def test_a_server_that_dies_ends_it_with_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    starter = TalkStarter(tmp_path)
    with starter.started() as talk:
        [(number, line)] = starter.processes().items()
        assert " serve " in line
        assert os.getsid(number) == number, "Ctrl-C does not reach it past the talk"
        os.kill(number, signal.SIGKILL)
        assert talk.ended() == 1
        assert "\nError: The talk's web server has ended by itself." in talk.program.output()
        assert starter.left_over() == []


def test_the_web_server_ends_with_a_talk_that_is_killed(tmp_path: Path) -> None:
    starter = TalkStarter(tmp_path)
    with starter.started() as talk:
        talk.program.process.kill()
        processes.wait_for(lambda: not starter.processes(), 20)


def test_a_port_that_is_in_use_gets_a_sentence(app: Flask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = app.test_cli_runner().invoke(args=["talk", "--port", str(port)])
    assert (done.exit_code, done.output) == (1, "Error: The talk cannot go on: Address already in use.\n")


def test_what_a_click_could_not_do_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(requests.RequestException) as unanswered:
        requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(OperationalError) as full:
            connection.execute(text("CREATE TABLE one (id INTEGER)"))
    said = [talk_actions._sentence(one.value) for one in (unanswered, full)]
    assert said == [
        "The book's web server does not answer. It may be starting: try again.",
        "The database cannot be used now: database or disk is full.",
    ]
    assert (
        talk_actions._sentence(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == "No space left on device."
    )


def test_a_temporary_folder_that_cannot_be_used_gets_a_sentence(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    done = app.test_cli_runner().invoke(args=["talk"])
    assert (done.exit_code, done.output) == (1, "Error: The talk cannot go on: No such file or directory.\n")
