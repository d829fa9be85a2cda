"""A book that others send webhooks to: its sources, the inbound events, and what became of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Row, select

from guestbook.background import cron
from guestbook.lib import ids
from guestbook.storage import database
from guestbook.storage.models import INBOUND, Source
from tests.support.book import Book

JSON = {"Content-Type": "application/json"}


class InboundSender:
    """Wraps a book and a client of its site."""

    def __init__(self, book: Book, client: FlaskClient) -> None:
        self.book = book
        self.client = client

    def source(self, verify: str, secret: str, action: str = "log", template: str | None = None) -> str:
        """Add a source and return the token of its URL."""
        token = ids.new()
        with database.writing() as session:
            row = Source(
                name=f"{verify} {action}",
                token=token,
                verify=verify,
                secret=secret,
                action=action,
                template=template,
            )
            session.add(row)
        return token

    def post(self, token: str, headers: Mapping[str, str], body: bytes) -> str:
        """Send a webhook to a source, which must be accepted; return the id of its row."""
        answer = self.client.post(f"/hooks/{token}", headers={**JSON, **headers}, data=body)
        assert answer.status_code == 202, answer.text
        return str(json.loads(answer.data)["id"])

    def work(self) -> None:
        """Let a pass do all that is due."""
        assert cron.run(self.book.engine, self.book.settings, cron.Options()) is not None

    def rows(self) -> Sequence[Row[Any]]:
        """Return all that has arrived, oldest first."""
        with self.book.engine.connect() as connection:
            return connection.execute(select(INBOUND).order_by(INBOUND.c.id)).all()

    def row(self) -> Row[Any]:
        """Return the only one."""
        (row,) = self.rows()
        return row
