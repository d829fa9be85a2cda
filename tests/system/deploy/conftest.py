"""A host for each test: its checkout, its ports and a receiver for its webhooks."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.system.deploy.installation import Installation


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach; pytest closes those above tmp_path."""
    with TemporaryDirectory(prefix="guestbook-host-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def installation(open_folder: Path) -> Installation:
    return Installation(open_folder)


@pytest.fixture
def debian_host(open_folder: Path) -> Installation:
    """The same on Debian's own Python and packages."""
    return Installation(open_folder, debian=True)


@pytest.fixture(params=["", "/guestbook"], ids=["top", "sub-path"])
def path(request: pytest.FixtureRequest) -> str:
    """Where the book is on the site."""
    found: str = request.param
    return found
