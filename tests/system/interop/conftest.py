"""A book whose retries come at once, and the folder of the packages from npm."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from guestbook.background import whole_pass
from guestbook.lib import ids
from tests.conftest import need
from tests.support import inbound_factories
from tests.support.book import Book
from tests.system.interop import npm


class InboundSender:
    """Sends webhooks to a book."""

    def __init__(self, book: Book, client: FlaskClient) -> None:
        self.book = book
        self.client = client

    def source(self, verify: str, secret: str, action: str = "log", template: str | None = None) -> str:
        """Add a source and return the token of its URL."""
        token, name = ids.new(), f"{verify} {action}"
        columns = {"verify": verify, "secret": secret, "action": action, "template": template}
        inbound_factories.source(token, name=name, **columns)
        return token

    def post(self, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send a webhook to a source, which must be accepted."""
        headers = {"Content-Type": "application/json", **headers}
        answer = self.client.post(f"/hooks/{token}", headers=headers, data=body)
        assert answer.status_code == 202, answer.text

    def work(self) -> None:
        """Let a pass do all that is due."""
        assert whole_pass.run(self.book.engine, self.book.settings, whole_pass.Options()) is not None


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
