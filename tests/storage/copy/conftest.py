"""A book on SQLite, and a database to which it moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import running, settings_for
from tests.storage.copy.moving import empty, url_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the data folder of an empty book."""
    folder = tmp_path / "home"
    folder.mkdir()
    with running(settings_for(folder, url_of(folder))):
        return folder


@pytest.fixture
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database of the kind that the test asks for."""
    with empty(request.param, tmp_path) as url:
        yield url
