"""A shell for the tests: commands in this process, and in processes of their own."""

import json
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner

from guestbook.storage.database import db
from tests.conftest import run
from tests.support import processes
from tests.support.forks import Forks

FLASK = str(Path(sys.executable).with_name("flask"))
Process = Callable[..., tuple[int, str, str]]
Terminal = Callable[..., tuple[int, str]]


@dataclass
class Shell:
    """Runs commands of the app."""

    runner: FlaskCliRunner

    def __call__(self, *arguments: str) -> str:
        """Run a command that does what it is asked, and return what it prints."""
        result = self.result(*arguments)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Run it with --json and return the one document."""
        return json.loads(self(*arguments, "--json"))

    def ids(self, *arguments: str) -> list[str]:
        """Return the ids of the rows that a list shows."""
        return [row["id"] for row in self.json(*arguments)]

    def refused(self, *arguments: str, code: int = 1) -> str:
        """Run a command that is refused, and return what it says."""
        result = self.result(*arguments)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        return result.stderr

    def result(self, *arguments: str) -> Result:
        """Run a command."""
        db.session.remove()
        result = self.runner.invoke(args=list(arguments))
        db.session.remove()
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result


@pytest.fixture
def shell(app: Flask) -> Shell:
    return Shell(app.test_cli_runner())


@pytest.fixture
def process(environ: dict[str, str]) -> Process:
    """Run a command in a process of its own; settings may be added. Returns code, stdout, stderr."""

    def run_it(*arguments: str, **settings: str) -> tuple[int, str, str]:
        env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environ}
        env |= {f"GUESTBOOK_{name}": value for name, value in settings.items()}
        done = run(FLASK, "--app", "guestbook", *arguments, env=env)
        return done.returncode, done.stdout, done.stderr

    return run_it


@pytest.fixture
def terminal(environ: dict[str, str], forks: Forks) -> Terminal:
    """Run a command on a terminal of its own; what is typed comes after its first output."""

    def run_it(*arguments: str, typed: str = "") -> tuple[int, str]:
        here, there = os.openpty()
        one = forks.start(processes.clean_environ(**environ), *arguments, terminal=os.ttyname(there))
        said = os.read(here, 1000) if select.select([here], [], [], 20)[0] else b""
        os.write(here, typed.encode())
        os.close(there)
        with suppress(OSError):  # that is how Linux says that the other end is closed
            while True:
                said += os.read(here, 1000)
        os.close(here)
        return one.wait(), said.decode()

    return run_it


@pytest.fixture
def forked(environ: dict[str, str], forks: Forks) -> Process:
    """The same without the start of Python: where only the command itself matters."""

    def run_it(*arguments: str, **settings: str) -> tuple[int, str, str]:
        added = {f"GUESTBOOK_{name}": value for name, value in settings.items()}
        command = forks.start(environ | added, *arguments)
        return command.wait(), *((command.folder / name).read_text() for name in ("stdout", "stderr"))

    return run_it
