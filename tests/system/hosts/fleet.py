"""Four machines, and a book in a database that all of them use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url

from tests.conftest import settings_for
from tests.support import namespaces, processes
from tests.support.book import Book
from tests.support.databases import PORTS
from tests.support.forks import ROOT, Command, Forks
from tests.support.namespaces import Lan

MACHINES = (1, 2, 3, 4)
WEB = 8080  # the port of each machine's web server
LOST_AFTER = 3  # seconds for which the database's end of a connection bears silence


@dataclass(frozen=True)
class Machines:
    """The machines that are switched on."""

    lan: Lan
    networks: dict[int, int] = field(default_factory=dict)
    forks: dict[int, Forks] = field(default_factory=dict)


@contextmanager
def switched_on(folder: Path) -> Iterator[Machines]:
    """Plug in all machines, each with a process that waits for commands."""
    with ExitStack() as stack:
        machines = Machines(stack.enter_context(Lan()))
        for number in MACHINES:
            network = machines.networks[number] = machines.lan.plug_in(number)
            process = namespaces.within(network, lambda number=number: _waiting(number))
            machines.forks[number] = Forks(stack.enter_context(process), folder / name(number))
        yield machines


def _waiting(number: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.system.hosts.driver", name(number)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def name(number: int) -> str:
    """The host name of a machine."""
    return f"machine{number}"


class Fleet:
    """The machines with one book. Its `book` looks at the database from outside."""

    def __init__(self, machines: Machines, book: Book, url: str, mode: str, folder: Path) -> None:
        self.book = book
        self.lan = machines.lan
        self._machines = machines
        self._folder = folder
        self._url = make_url(url)
        self._mode = mode
        self._open = ExitStack()

    def __enter__(self) -> "Fleet":
        host, port = self.offered(self._url.port or PORTS[self._mode], LOST_AFTER)
        self._url = self._url.set(host=host, port=port)
        return self

    def __exit__(self, *_: object) -> None:
        for number, forks in self._machines.forks.items():
            self.lan.plug_back(number)
            forks.ask(do="end")
        self._open.close()

    def start(self, number: int, *command: str, point: str | None = None, **settings: str) -> Command:
        """Start a command on a machine."""
        return self._machines.forks[number].start(self.environ(number, **settings), *command, point=point)

    def start_everywhere(self, *command: str) -> list[Command]:
        """Start it on all machines, and wait until their passes have begun."""
        started = [self.start(number, *command) for number in MACHINES]
        for one in started:
            one.is_at_work(30)
        return started

    @contextmanager
    def site(self, number: int) -> Iterator[str]:
        """Serve the book on a machine; give the address by which we reach it."""
        serve = ["-m", "waitress", "--listen", f"0.0.0.0:{WEB}", "--call", "guestbook:create_app"]
        environ = processes.clean_environ(**self.environ(number, GUESTBOOK_BASE_URL="http://127.0.0.1"))
        running = processes.started([sys.executable, *serve], cwd=ROOT, env=environ)
        server = namespaces.within(self._machines.networks[number], running.__enter__)
        with ExitStack() as stack:
            stack.push(running)
            address = f"http://127.0.0.1:{stack.enter_context(self.lan.reach(number, WEB))}"
            processes.wait_for(lambda: processes.answers(address), 30, server.output)
            yield address

    def environ(self, number: int, **settings: str) -> dict[str, str]:
        """The settings of a machine: all the same but for the data folder."""
        url = self._url.render_as_string(hide_password=False)
        own = settings_for(self._folder / name(number), url)
        return {**own, "GUESTBOOK_ALLOW_NETWORKS": namespaces.NETWORK, **settings}

    def offered(self, port: int, lost_after: int | None = None) -> tuple[str, int]:
        """Where the machines find a port of our 127.0.0.1."""
        return self._open.enter_context(self.lan.offer(port, lost_after))


def ended(commands: list[Command]) -> None:
    """Ask passes to end, and see that they do, well and without a word."""
    for one in commands:
        one.is_at_work(30)  # before that, the signal would end it at once
        one.terminate()
    for one in commands:
        assert one.wait() == 0, one.printed
        assert one.printed == ""
