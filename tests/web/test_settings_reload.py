"""A server follows the `.env` of the data folder, without a restart."""

import logging
from pathlib import Path

import pytest
from flask import Flask

import guestbook
from guestbook.lib.errors import Refused
from guestbook.settings import environment
from guestbook.storage.database import db
from tests.conftest import running
from tests.support.visitor import Visitor, messages


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """The same, but nobody has set the address."""
    return {name: value for name, value in environ.items() if name != "GUESTBOOK_BASE_URL"}


@pytest.fixture
def dotenv(environ: dict[str, str]) -> Path:
    return Path(environ["GUESTBOOK_DATA_DIR"], ".env")


def address(app: Flask) -> str:
    page = Visitor(app).page()
    link = page.find(".//link[@rel='canonical']")
    assert link is not None
    return link.attrib["href"]


def test_the_next_request_has_the_settings_of_the_file(app: Flask, dotenv: Path) -> None:
    assert address(app) == "http://127.0.0.1:5000/"
    for site in ("https://one.example", "https://two.example/book"):
        dotenv.write_text(f"GUESTBOOK_BASE_URL={site}\n")
        assert address(app) == f"{site}/"
        assert Visitor(app).sign(message=f"By {site[8:11]}").status_code == 303
    dotenv.unlink()
    assert address(app) == "http://127.0.0.1:5000/"
    assert messages(Visitor(app).page()) == ["By two", "By one"]


def test_a_wrong_setting_changes_nothing_and_the_log_names_it(
    app: Flask, dotenv: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dotenv.write_text("GUESTBOOK_BASE_URL=https://one.example\n")
    assert address(app) == "https://one.example/"
    with caplog.at_level(logging.WARNING):
        dotenv.write_text("GUESTBOOK_BASE_URL=two.example\n")
        assert address(app) == "https://one.example/"
        assert address(app) == "https://one.example/"
    [line] = [
        record.getMessage() for record in caplog.records if "the old settings stay" in record.getMessage()
    ]
    assert line.startswith(f"{dotenv} was changed")
    assert "GUESTBOOK_BASE_URL is 'two.example'" in line
    dotenv.write_text("GUESTBOOK_BASE_URL=https://three.example\n")
    assert address(app) == "https://three.example/"


def test_what_the_environment_sets_stays(environ: dict[str, str], dotenv: Path) -> None:
    with running(environ | {"GUESTBOOK_BASE_URL": "https://book.example"}) as app:
        dotenv.write_text("GUESTBOOK_BASE_URL=https://one.example\n")
        assert address(app) == "https://book.example/"


def test_the_book_of_a_test_in_a_folder_of_its_own_stays_the_same() -> None:
    app = guestbook.create_app({"TESTING": True})
    with app.app_context():
        Path(app.instance_path, ".env").write_text("GUESTBOOK_BASE_URL=https://one.example\n")
        app.test_cli_runner().invoke(args=["init-db"])
        assert address(app) == "http://127.0.0.1:5000/"
        db.engine.dispose()


def test_no_setting_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is a link"):
        environment.save_to_file(tmp_path / ".env", {"GUESTBOOK_BASE_URL": "https://one.example"})
    assert not (tmp_path / "elsewhere").exists()
