"""Commands as forked processes, seen from the test: start them, kill them, read what they printed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.processes import answers, free_port, wait_for
from tests.support.receiver import ROOT


@dataclass(frozen=True, slots=True)
class Command:
    """A running command."""

    forks: "Forks"
    pid: int
    folder: Path

    def kill(self) -> None:
        """End it by SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL

    def end(self) -> None:
        """End it by SIGKILL, unless it has ended."""
        if self.poll() is None:
            self.kill()

    def terminate(self) -> None:
        """Ask it to end, by SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def catches_sigterm(self) -> bool:
        """Whether it has a handler for SIGTERM by now: proc(5), SigCgt."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def signal(self, number: signal.Signals) -> None:
        """Send it any signal."""
        os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self.forks.ask(do="wait", pid=self.pid, seconds=0)["exit"]

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end and return its exit code, minus the signal's number when one ended it."""
        code = self.forks.ask(do="wait", pid=self.pid, seconds=seconds)["exit"]
        assert code is not None, f"{self.folder} still runs after {seconds} s"
        return int(code)

    @property
    def printed(self) -> str:
        """Return what it wrote to stdout and stderr."""
        return (self.folder / "stdout").read_text() + (self.folder / "stderr").read_text()

    @property
    def name(self) -> str | None:
        """Return the name under which it leases rows, or None when its pass has not begun."""
        path = self.folder / "name"
        return path.read_text() if path.exists() else None

    def is_at_work(self, seconds: float = 10) -> str:
        """Wait until its pass has begun, and return the name."""
        deadline = time.monotonic() + seconds
        while (name := self.name) is None:
            assert time.monotonic() < deadline, f"{self.folder}: {self.printed}"
            time.sleep(0.002)
        return name


class Forks:
    """The process that forks the commands."""

    def __init__(self, orders: IO[str], answers: IO[str], folder: Path) -> None:
        self._orders = orders
        self._answers = answers
        self._folder = folder
        self._count = 0

    def start(
        self, environ: Mapping[str, str], *command: str, point: str | None = None, terminal: str = ""
    ) -> Command:
        """Start `flask --app guestbook …`, on a terminal if one is named, to die at a point likewise."""
        return self._start(environ, "flask", "guestbook", *command, point=point, terminal=terminal)

    def start_celery(self, environ: Mapping[str, str], *command: str, point: str | None = None) -> Command:
        """Start `celery --app guestbook.worker …`, as the first of a process group."""
        return self._start(environ, "celery", "guestbook.worker", *command, point=point)

    def prepare(self, environ: Mapping[str, str]) -> None:
        """Make the app of a book, and let it do a pass, before `start_prepared`."""
        self.ask(do="prepare", environ=dict(environ))

    def start_prepared(self, environ: Mapping[str, str], *command: str, point: str) -> Command:
        """Start a command that shares its app's beginning with others, which takes half the time."""
        return self._start(environ, "flask", "guestbook", *command, point=point, is_prepared=True)

    def _start(self, environ: Any, program: str, *command: str, **how: Any) -> Command:
        self._count += 1
        folder = self._folder / f"command{self._count}"
        folder.mkdir(parents=True)
        plain = {"PATH": os.environ["PATH"], "HOME": str(self._folder), **environ}
        request = {"folder": str(folder), "environ": plain, "program": program, "command": command}
        return Command(self, self.ask(do="start", **request, **how)["pid"], folder)

    def run(self, environ: Mapping[str, str], *command: str, point: str | None = None) -> Command:
        """Run a command to its end, which must be a good one, or the death at the point."""
        running = self.start(environ, *command, point=point)
        code = running.wait()
        assert code == (-signal.SIGKILL if point else 0), running.printed
        return running

    @contextmanager
    def serving(self, environ: Mapping[str, str], point: str | None = None) -> Iterator[tuple[str, Command]]:
        """Serve the book; give its address and the process."""
        place = f"127.0.0.1:{free_port()}"
        server = self.start(environ, "serve", f"--listen={place}", point=point)
        wait_for(lambda: answers(f"http://{place}"), 60, lambda: server.printed)
        yield f"http://{place}", server
        server.end()

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send an order to the forking process and return its answer."""
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        return json.loads(self._answers.readline())


@contextmanager
def open_forks(folder: Path, begins: Any = (), module: str = "tests.support.fork_server") -> Iterator[Forks]:
    """Start the forking process; when it is told to end, it takes its children along.

    `begins` are the words before the command, as of a program that enters a network.
    """
    command = [*begins, sys.executable, "-m", module]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdin
        assert process.stdout
        yield Forks(process.stdin, process.stdout, folder)
        process.stdin.close()
        assert process.wait(10) == 0
