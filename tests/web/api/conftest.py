"""Programs: the owner's, which has a token, and anybody's; and a book on a real server."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.conftest import running
from tests.support import factories, site
from tests.support.api_client import ApiClient, new_token
from tests.support.visitor import let_write


@pytest.fixture
def program(app: Flask) -> ApiClient:
    return ApiClient(app, new_token())


@pytest.fixture
def anybody(app: Flask) -> ApiClient:
    return ApiClient(app)


@pytest.fixture
def served(environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Give the address of a book on a real server, and a token."""
    with site.reserved_port() as listening:
        address = site.address(listening)
        with running(environ | {"GUESTBOOK_BASE_URL": address}) as app:
            let_write()
            factories.inbound(factories.source(), status="failed", error="The body is not UTF-8.")
            with site.serving(app, listening, threads=2):
                yield address, new_token()
