"""A webhook that hears of all about a comment."""

import pytest
from flask import Flask

from guestbook.storage.models import DELIVERIES
from tests.queue.comments.steps import ALL
from tests.support import factories


@pytest.fixture
def hook(each_app: Flask) -> str:  # noqa: ARG001  it lives in the app's context
    return factories.webhook(events=ALL)


@pytest.fixture
def comment_id(hook: str) -> str:
    """A comment of which no webhook has heard."""
    comment_id = factories.sign()
    factories.execute(DELIVERIES.delete())
    assert hook
    return comment_id
