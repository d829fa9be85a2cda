"""The machines are switched on once; each test has a database, and a receiver that they can reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support.book import Book
from tests.support.receiver import Receiver
from tests.system.hosts import fleet as fleets
from tests.system.hosts.fleet import Fleet, Machines


@pytest.fixture(scope="package")
def _machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    need("namespaces")
    with fleets.switched_on(tmp_path_factory.mktemp("machines")) as machines:
        yield machines


@pytest.fixture
def fleet(
    _machines: Machines,
    each_book: Book,
    each_environ: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Fleet]:
    """Four machines with the book of `each_book`."""
    mode = request.node.callspec.params["each_environ"]
    with Fleet(_machines, each_book, each_environ["GUESTBOOK_DATABASE_URL"], mode, tmp_path) as fleet:
        yield fleet


@dataclass(frozen=True, slots=True)
class Hook:
    """A receiver, and where the machines find it."""

    receiver: Receiver
    base_url: str


@pytest.fixture
def hook(fleet: Fleet, receiver: Receiver) -> Hook:
    host, port = fleet.offered(receiver.port)
    return Hook(receiver, f"http://{host}:{port}")
