"""What the tests of the inbox share."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from guestbook.inbound import mention_pages


@pytest.fixture(autouse=True)
def _new_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test asks the hosts of its pages for the first time."""
    monkeypatch.setattr(mention_pages, "hosts", mention_pages.HostQuota())


@pytest.fixture
def each_client(each_app: Flask) -> FlaskClient:
    """Return a client of the book on each database."""
    return each_app.test_client()
