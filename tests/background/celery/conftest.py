"""A broker for the tests of one process, and for each test a world of its own in it, on two databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.background.celery.works import Works
from tests.conftest import need, need_server, settings_for
from tests.support import databases, rabbitmq
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.rabbitmq import Node, Vhost


@pytest.fixture(scope="session")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    need("rabbitmq")
    with rabbitmq.open_node(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node


@pytest.fixture
def vhost(_node: Node) -> Iterator[Vhost]:
    """An empty broker that runs, whatever the test before has done to it."""
    if not _node.runs:
        _node.start()
    vhost = _node.vhost()
    yield vhost
    if _node.runs:
        vhost.drop()


@pytest.fixture
def environ(request: pytest.FixtureRequest, tmp_path: Path, vhost: Vhost) -> Iterator[dict[str, str]]:
    """The settings of a book with a broker, on SQLite unless the test says otherwise."""
    mode = getattr(request, "param", "sqlite-wal")
    need_server(mode)
    with databases.with_tables(mode, tmp_path) as url:
        yield {**settings_for(tmp_path, url), "GUESTBOOK_BROKER_URL": vhost.url}


@pytest.fixture
def works(book: Book, vhost: Vhost, forks: Forks, environ: dict[str, str], tmp_path: Path) -> Iterator[Works]:
    works = Works(book, vhost, forks, environ, tmp_path)
    yield works
    works.end()
