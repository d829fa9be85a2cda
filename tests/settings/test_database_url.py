"""What the settings' tables of good and bad values do not tell of the parsers: the words of a refusal."""

import sys

import pytest

from guestbook.settings import database_url, installation


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql+psycopg://me:hunter2@db.example/book", "psycopg", "postgres"),
        ("mysql+pymysql://me:hunter2@db.example/book", "pymysql", "mariadb"),
        ("mariadb+pymysql://me:hunter2@db.example/book", "pymysql", "mariadb"),
    ],
)
def test_a_driver_that_is_not_installed_is_told_with_what_installs_it(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # Python's own way to say that it is not here
    with pytest.raises(ValueError, match="its driver is not installed") as raised:
        database_url.parse(url)
    assert str(raised.value).endswith(f": {installation.install_command(extra)}")


@pytest.mark.parametrize(("name", "driver"), [("postgres", "postgresql+psycopg"), ("mysql", "mysql+pymysql")])
def test_a_url_as_other_programs_want_it_is_answered_with_its_beginning_here(name: str, driver: str) -> None:
    with pytest.raises(ValueError, match="it must begin with") as raised:
        database_url.parse(f"{name}://me:hunter2@db.example/book")
    assert str(raised.value) == f"it must begin with {driver}:// in place of {name}://"
