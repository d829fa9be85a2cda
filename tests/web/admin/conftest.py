"""The owner, logged in."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.support import factories
from tests.support.owner import Owner

Store = Callable[..., str]


@pytest.fixture
def owner(app: Flask) -> Owner:
    owner = Owner(app)
    owner.be_logged_in()
    return owner


@pytest.fixture
def each_owner(each_app: Flask) -> Owner:
    owner = Owner(each_app)
    owner.be_logged_in()
    return owner


@pytest.fixture
def hook(app: Flask) -> str:
    """A webhook named Chat."""
    with app.app_context():
        return factories.webhook(name="Chat")


@pytest.fixture
def store(app: Flask) -> Store:
    """Store a delivery, with its first attempt where `attempt` gives values for it; return its id."""

    def store(webhook_id: str, attempt: dict[str, Any] | None = None, **values: Any) -> str:
        with app.app_context():
            made = {} if attempt is None else {"attempts": 1, "claims": 1}
            delivery_id = factories.delivery(webhook_id, **{**made, **values})
            if attempt is not None:
                factories.attempt(delivery_id, **attempt)
            return delivery_id

    return store
