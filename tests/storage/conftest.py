"""A book on SQLite with a row of everything, and the kinds of databases."""

from pathlib import Path

import pytest

from tests.conftest import need_server, running, settings_for
from tests.storage.hostile_rows import hostile, write
from tests.support import databases


@pytest.fixture(scope="module", params=databases.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database that is here."""
    need_server(request.param)
    return str(request.param)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The data folder of a book on SQLite with a row of everything."""
    folder = tmp_path / "home"
    folder.mkdir()
    with running(on_sqlite(folder)):
        write(folder / "guestbook.db", hostile())
        return folder


def on_sqlite(folder: Path) -> dict[str, str]:
    """The settings of a book on SQLite in that data folder."""
    return settings_for(folder, f"sqlite:///{folder}/guestbook.db")
