"""An app without a context around the test, so that each request has its own session, as in life."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask

from guestbook.lib import clock
from tests.conftest import running
from tests.support.owner import Owner
from tests.support.receiver_person import ReceiverPerson
from tests.support.visitor import Visitor


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    with running(environ) as app:
        yield app


@pytest.fixture
def each_app(each_environ: dict[str, str]) -> Iterator[Flask]:
    with running(each_environ) as app:
        yield app


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def ada(app: Flask) -> ReceiverPerson:
    return ReceiverPerson(app).come_in()


@pytest.fixture
def owner(app: Flask) -> Owner:
    """The owner, logged in."""
    return Owner(app).be_logged_in()


@pytest.fixture
def broken(app: Flask) -> Visitor:
    """An app with a mistake in it, running as it would for visitors."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    for url in ("/broken", "/api/broken"):
        app.add_url_rule(url, url, lambda: str(1 / 0))
    return Visitor(app)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> "Later":
    return Later(monkeypatch)


class Later:
    """Turns the clock of the app."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta()
        self.real = clock.now
        monkeypatch.setattr(clock, "now", self.now)

    def __call__(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)

    def stand_still(self) -> None:
        """Let no time pass but what the test says: a busy machine would let it pass too."""
        then = self.real()
        self.real = lambda: then

    def now(self) -> datetime:
        return self.real() + self.ahead
