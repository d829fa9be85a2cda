"""A book with the owner's password."""

from collections.abc import Iterator

import pytest

from guestbook.storage.database import db
from guestbook.storage.models import BookState
from tests.support import factories
from tests.support.owner import QUICK
from tests.web.conftest import later  # noqa: F401  a fixture


@pytest.fixture
def has_password(request: pytest.FixtureRequest) -> Iterator[None]:
    """An app with a password around each test, on each database where the test asks for it."""
    request.getfixturevalue("each_app" if "each_app" in request.fixturenames else "app")
    factories.written(lambda session: session.add(BookState(name="password", value=QUICK)))
    yield
    db.session.rollback()
