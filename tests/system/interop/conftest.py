"""A book whose retries come at once, and the folder of the packages from npm."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.conftest import need
from tests.support.book import Book
from tests.support.inbound_sender import InboundSender
from tests.system.interop import npm


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return {**environ, "GUESTBOOK_RETRY_SCHEDULE": "0,0"}


@pytest.fixture
def packages() -> Path:
    """The folder where Node finds the packages, with our programs that use them."""
    need("npm-packages")
    folder = npm.installed()
    assert folder
    return folder


@pytest.fixture
def inbound_sender(book: Book, client: FlaskClient) -> InboundSender:
    return InboundSender(book, client)
