"""Tests of queries ask each kind of database once: a rollback journal gives the same answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import need_server, settings_for
from tests.support import databases


@pytest.fixture(params=databases.KINDS)
def each_environ(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a book on each kind of database."""
    need_server(request.param)
    with databases.with_tables(request.param, tmp_path) as url:
        yield settings_for(tmp_path, url)


@pytest.fixture(autouse=True)
def _app(any_app: Flask) -> None:
    """All look into a book."""
