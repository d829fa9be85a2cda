"""Four machines, and a book in a database that all of them use."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url

from tests.conftest import settings_for
from tests.support import namespaces, processes
from tests.support.book import Book
from tests.support.databases import PORTS
from tests.support.forks import Command, Forks, open_forks
from tests.support.namespaces import Lan

MACHINES = (1, 2, 3, 4)
WEB = 8080  # the port of each machine's web server
LOST_AFTER = 3  # seconds for which the database's end of a connection bears silence


@dataclass(frozen=True)
class Machines:
    """The machines that are switched on."""

    lan: Lan
    forks: dict[int, Forks] = field(default_factory=dict)


@contextmanager
def switched_on(folder: Path) -> Iterator[Machines]:
    """Plug in all machines, each with a host name and a process that waits for commands."""
    with ExitStack() as stack:
        machines = Machines(stack.enter_context(Lan()))
        for number in MACHINES:
            named = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name(number))
            begins = (*machines.lan.plug_in(number), *named)
            forks = open_forks(folder / name(number), begins, "tests.system.hosts.driver")
            machines.forks[number] = stack.enter_context(forks)
        yield machines


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

    def start_everywhere(self, *command: str, point: str | None = None) -> list[Command]:
        """Start it on all machines, and wait until their passes have begun."""
        started = [self.start(number, *command, point=point) for number in MACHINES]
        for one in started:
            one.is_at_work(30)
        return started

    @contextmanager
    def site(self, number: int) -> Iterator[str]:
        """Serve the book on a machine; give the address by which we reach it."""
        serve = ("serve", f"--listen=0.0.0.0:{WEB}")
        server = self.start(number, *serve, GUESTBOOK_BASE_URL="http://127.0.0.1")
        with self.lan.reach(number, WEB) as port:
            address = f"http://127.0.0.1:{port}"
            processes.wait_for(lambda: processes.answers(address), 30, lambda: server.printed)
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
