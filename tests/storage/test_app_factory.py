"""create_app takes Flask's own idiom, and never opens the real book by it."""

import gc
from pathlib import Path

import pytest
from flask import Flask

import guestbook
from guestbook.settings import Settings, parsers
from guestbook.settings.parsers import MIN_KEY_LENGTH
from guestbook.storage import database
from guestbook.storage.database import db
from tests.support.visitor import Visitor, stored
from tests.web.test_database_faults import form_of

IDIOM = {"TESTING": True, "SQLALCHEMY_DATABASE_URI": "sqlite://"}


@pytest.fixture(autouse=True)
def real_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book that the environment and the working directory's `.env` name."""
    folder = tmp_path / "real"
    monkeypatch.setenv("GUESTBOOK_DATA_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"GUESTBOOK_DATABASE_URL=sqlite:///{folder}/real.db\n")
    return folder


def settings_of(app: Flask) -> Settings:
    read: Settings = app.config["GUESTBOOK"]
    return read


def test_the_idiom_makes_a_book_of_its_own_that_vanishes_with_the_app(real_book: Path) -> None:
    guestbook.create_app(IDIOM)  # what the first one of a process makes stays to the end: see paused_gc
    app = guestbook.create_app(IDIOM)
    assert app.testing
    with app.app_context():
        database.create_tables(db.engine)
        db.engine.dispose()
    assert Visitor(app).send(form_of(app)).status_code == 303
    folder = settings_of(app).data_dir
    assert list(folder.glob("guestbook.db"))
    with app.app_context():
        assert len(stored()) == 1
        db.engine.dispose()
    del app
    gc.collect()
    assert not folder.exists()
    assert not real_book.exists()


def test_two_of_them_share_nothing(real_book: Path) -> None:
    apps = [guestbook.create_app(config) for config in (IDIOM, IDIOM, {"TESTING": True})]
    assert len({settings_of(app).data_dir for app in apps}) == 3
    assert not real_book.exists()


def test_what_can_be_honoured_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/test.db"
    app = guestbook.create_app(
        IDIOM | {"SQLALCHEMY_DATABASE_URI": url, "SECRET_KEY": "dev", "PROPAGATE_EXCEPTIONS": False}
        | {"GUESTBOOK_BASE_URL": "https://book.example"}
    )  # fmt: skip
    read = settings_of(app)
    assert (read.database_url, read.base_url) == (url, "https://book.example")
    assert (app.secret_key, app.config["PROPAGATE_EXCEPTIONS"]) == ("dev", False)
    assert parsers.secret(read.secret_key) == "dev".ljust(MIN_KEY_LENGTH, ".")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (IDIOM | {"WTF_CSRF_ENABLED": False}, "cannot honour WTF_CSRF_ENABLED in"),
        (IDIOM | {"SERVER_NAME": "book.example"}, "SERVER_NAME in its configuration: use GUESTBOOK_BASE_URL"),
        (IDIOM | {"COLOUR": "blue"}, "cannot honour COLOUR in"),
        (IDIOM | {"GUESTBOOK_COLOUR": "blue"}, "Unknown setting GUESTBOOK_COLOUR"),
        ({"SECRET_KEY": "k" * 16}, "must name GUESTBOOK_DATA_DIR"),
        ({"SQLALCHEMY_DATABASE_URI": "sqlite:////tmp/b.db"}, "must name GUESTBOOK_DATA_DIR"),
    ],
)
def test_the_rest_is_refused_by_its_name(config: dict[str, object], named: str, real_book: Path) -> None:
    with pytest.raises(SystemExit, match=named) as raised:
        guestbook.create_app(config)
    assert "\n" not in str(raised.value)
    assert not real_book.exists()


def test_a_book_in_earnest_has_no_database_in_memory(tmp_path: Path) -> None:
    folder = {"GUESTBOOK_DATA_DIR": str(tmp_path / "other")}
    with pytest.raises(SystemExit, match="in memory is lost"):
        guestbook.create_app(folder | {"SQLALCHEMY_DATABASE_URI": "sqlite://"})


def test_a_copy_of_the_environment_is_still_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR", "blue")
    app = guestbook.create_app({"COLOUR": "blue", "GUESTBOOK_DATA_DIR": str(tmp_path / "other")})
    assert settings_of(app).data_dir == tmp_path / "other"
    assert settings_of(app).database_url.endswith("real.db")  # as ever, `.env` counts beside GUESTBOOK_ names
