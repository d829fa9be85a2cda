"""A broker for the tests of one process, and a world of its own in it for each test."""

from collections.abc import Iterator

import pytest

from tests.broker import rabbit
from tests.broker.rabbit import Node, Vhost
from tests.conftest import need


@pytest.fixture(scope="session")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    need("rabbitmq")
    with rabbit.open_node(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node


@pytest.fixture
def vhost(_node: Node) -> Iterator[Vhost]:
    """An empty broker that runs, whatever the test before has done to it."""
    if not _node.runs:
        _node.start()
    vhost = _node.vhost()
    yield vhost
    if not _node.runs:
        _node.start()
    vhost.drop()
