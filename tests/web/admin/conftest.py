"""The owner on each database, and rows of the queue."""

from typing import Any

import pytest
from flask import Flask

from tests.support import factories
from tests.support.owner import Owner


@pytest.fixture
def each_owner(each_app: Flask) -> Owner:
    return Owner(each_app).be_logged_in()


@pytest.fixture
def hook(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    """A webhook named Chat."""
    return factories.webhook(name="Chat")


def store(webhook_id: str, attempt: dict[str, Any] | None = None, **values: Any) -> str:
    """Store a delivery, with its first attempt where `attempt` gives values for it; return its id."""
    made = {} if attempt is None else {"attempts": 1, "claims": 1}
    delivery_id = factories.delivery(webhook_id, **{**made, **values})
    if attempt is not None:
        factories.attempt(delivery_id, **attempt)
    return delivery_id
