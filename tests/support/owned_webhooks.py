"""Webhooks that a test adds and changes as commands, pages and the API do."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from guestbook.lib.errors import Refused
from guestbook.outbound import webhooks
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from tests.support import factories

URL = "https://receiver.example/hook"


def add(url: str = URL, **fields: Any) -> Webhook:
    given = {"url": url, **fields}
    return stored(factories.written(lambda session: webhooks.add(session, given, factories.settings()).id))


def update(row: Webhook, **fields: Any) -> Webhook:
    return changed(row, webhooks.update, fields, factories.settings())


def changed(row: Webhook, change: Callable[..., object], *how: Any) -> Webhook:
    """Change a webhook by one of the functions that take a session and a row."""
    row_id = row.id
    factories.written(lambda session: change(session, session.get_one(Webhook, row_id), *how))
    return stored(row_id)


def stored(row_id: str) -> Webhook:
    return factories.the(Webhook, row_id)


def refused(**fields: Any) -> dict[str, str]:
    """Add a webhook, which is refused; return the sentences by field."""
    with pytest.raises(Refused) as raised:
        add(**fields)
    assert db.session.scalars(select(Webhook)).all() == []
    return raised.value.fields
