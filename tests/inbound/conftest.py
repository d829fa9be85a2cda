"""What the tests of the inbox share."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from guestbook.inbound import webmention_pages
from guestbook.lib.rate_counters import WindowCounter


@pytest.fixture(autouse=True)
def _new_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test asks the hosts of its pages for the first time."""
    monkeypatch.setattr(webmention_pages, "hosts", WindowCounter(webmention_pages.MOST_OF_HOST, 60))


@pytest.fixture
def each_client(each_app: Flask) -> FlaskClient:
    """Return a client of the book on each database."""
    return each_app.test_client()
