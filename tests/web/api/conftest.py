"""Programs: the owner's, which has a token, and anybody's; and a book on a real server."""

import socket
import threading
from collections.abc import Iterator

import pytest
import waitress
from flask import Flask

from tests.conftest import running
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
from tests.support.visitor import let_write


@pytest.fixture
def program(app: Flask) -> ApiClient:
    return ApiClient(app, new_token(app))


@pytest.fixture
def anybody(app: Flask) -> ApiClient:
    return ApiClient(app)


@pytest.fixture
def served(environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Give the address of a book on a real server, and a token."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with running(environ | {"GUESTBOOK_BASE_URL": address}) as app:
            let_write(app)
            with app.app_context():
                factories.inbound(factories.source(), status="failed", error="The body is not UTF-8.")
            server = waitress.create_server(app, sockets=[listening], threads=2)
            thread = threading.Thread(target=server.run)
            thread.start()
            yield address, new_token(app)
            server.trigger.pull_trigger(server.close)
            thread.join(10)
