"""A Flask application with its settings and its database: all that a pass needs. create_app adds the rest.

First the application, then Flask's own idiom, `create_app({"TESTING": True, …})`: a configuration for one
app. The environment and the files `.env` do not count then, so a test never opens the real book.
"""

import json
import os
import secrets
import shutil
import sys
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask

from guestbook import settings
from guestbook.lib.errors import TRY_LATER
from guestbook.settings import SETTING_PREFIX, Settings, SettingsError, database_url, secret_key
from guestbook.settings.installation import DATA_DIR
from guestbook.settings.parsers import MIN_KEY_LENGTH

KEY_MISSING = (
    "There is no secret key: {} is missing, and the database has secrets that no other key decrypts. Put "
    "your copy of the key there again, or name the file of the key in GUESTBOOK_SECRET_KEY_FILE. The page "
    "docs/howto/keep-the-secret-key.md says what to do if the key is lost."
)
NOT_SEEN = (
    "There is no secret key: {} is missing. A new one may be needed, but the database cannot be read: {}."
)

A = TypeVar("A", bound=Flask)
Given = Mapping[str, object] | None  # settings of the environment, or configuration of Flask


def make(kind: type[A], given: Given = None, *, for_doctor: bool = False, for_key_page: bool = False) -> A:
    """Make the application from the environment, or from the given settings or configuration of Flask.

    For doctor it makes no data folder and no secret key. A wrong setting ends the process, as below.
    """
    from guestbook.storage import database  # imported here, because a page by CGI needs no SQLAlchemy

    app = without_database(kind, given, for_doctor=for_doctor, for_key_page=for_key_page)
    database.init_app(app, app.config["GUESTBOOK"])
    return app


def without_database(
    kind: type[A], given: Given = None, *, for_doctor: bool = False, for_key_page: bool = False
) -> A:
    """Make the application with its settings alone.

    With `for_key_page` a missing key is left to its pages: see `GivenConfig.lacks_key`.
    A wrong setting ends the process with one line: Flask's command line and all servers know SystemExit,
    where another exception would be a traceback.
    """
    try:
        config = _read_given(given)
        read = settings.load(config.environ, alone=config.is_alone, for_doctor=for_doctor)
        if not (read.secret_key or for_doctor):
            config.lacks_key = for_key_page and _is_needed(read)
            read = replace(read, secret_key=secrets.token_hex(32) if config.lacks_key else _first_key(read))
    except settings.NotNow as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(TRY_LATER) from None
    except SettingsError as error:
        raise SystemExit(f"Error: {error}") from None
    app = kind("guestbook", instance_path=str(read.data_dir))
    app.secret_key = read.secret_key
    app.config["SECRET_KEY_FALLBACKS"] = list(read.secret_key_fallbacks)
    app.config["GUESTBOOK"] = read
    app.config.update(config.for_flask)
    app.extensions["guestbook"] = config  # a test's folder lives as long as the app
    return app


def _first_key(read: Settings) -> str:
    """Make the secret key of a new book; raises SettingsError where the database has secrets of another."""
    if _is_needed(read):
        raise SettingsError(KEY_MISSING.format(read.data_dir / secret_key.KEY_FILE))
    return secret_key.make(read.data_dir)


def _is_needed(read: Settings) -> bool:
    """Whether the database has secrets that need the key that is missing; raises NotNow."""
    from sqlalchemy.exc import SQLAlchemyError  # imported here, because a start with a key asks no database

    from guestbook.storage import database_errors, encrypted_columns, engines

    file = database_url.sqlite_file(read.data_dir, read.database_url)
    if file and not file.exists():
        return False
    try:
        with engines.opened(read, engines.FOR_REQUESTS) as engine:
            return encrypted_columns.are_locked(engine, read.keyring)
    except SQLAlchemyError as error:
        path = read.data_dir / secret_key.KEY_FILE
        raise settings.NotNow(NOT_SEEN.format(path, database_errors.words(error))) from None


FLASK_KEYS = (  # Flask and Flask-SQLAlchemy read these themselves
    *("TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS", "TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"),
    *("SQLALCHEMY_ECHO", "SQLALCHEMY_RECORD_QUERIES", "SQLALCHEMY_TRACK_MODIFICATIONS"),
)
EQUAL_SETTINGS = {  # Flask's key: ours
    "SECRET_KEY": "SECRET_KEY",
    "SECRET_KEY_FALLBACKS": "SECRET_KEY_FALLBACKS",
    "SQLALCHEMY_DATABASE_URI": "DATABASE_URL",
}
SUGGESTIONS = {  # a key that the guestbook cannot use: the setting that does the same
    "SERVER_NAME": "BASE_URL",
    "APPLICATION_ROOT": "BASE_URL",
    "PREFERRED_URL_SCHEME": "BASE_URL",
    "DATABASE": "DATABASE_URL",
    "DATABASE_URL": "DATABASE_URL",
}
IN_MEMORY = ("sqlite://", "sqlite:///:memory:")
NO_FOLDER = f"A configuration without TESTING must name {DATA_DIR}, the folder of the guestbook's data."


@dataclass(slots=True, weakref_slot=True)
class GivenConfig:
    """The argument of create_app: our settings, Flask's own, and the folder that was made for a test."""

    environ: Mapping[str, str] | None = None
    for_flask: dict[str, Any] = field(default_factory=dict)
    is_alone: bool = False  # The environment and the files `.env` do not count.
    # The secret key is missing. The app has a random one, and stores and sends nothing until it is back.
    lacks_key: bool = False
    folder: Path | None = None


def _read_given(given: Mapping[str, object] | None) -> GivenConfig:
    """Separate our settings from Flask's; raises SettingsError that names a key the guestbook cannot use."""
    if given is None:
        return GivenConfig()
    ours = {name: _text(value) for name, value in given.items() if name.startswith(SETTING_PREFIX)}
    others = {  # the caller may have passed a copy of the whole environment
        name: value for name, value in given.items() if name not in ours and os.environ.get(name) != value
    }
    if not others:
        return GivenConfig(ours)
    for name in others:
        if name not in FLASK_KEYS and name not in EQUAL_SETTINGS:
            hint = f": use {SETTING_PREFIX}{SUGGESTIONS[name]}" if name in SUGGESTIONS else ""
            raise SettingsError(
                f"The guestbook cannot honour {name} in its configuration{hint}. "
                f"It takes {', '.join((*EQUAL_SETTINGS, *FLASK_KEYS))} and the {SETTING_PREFIX}… settings."
            )
    testing = bool(others.get("TESTING"))
    if DATA_DIR not in ours and not testing:
        raise SettingsError(NO_FOLDER)
    for name in EQUAL_SETTINGS.keys() & others.keys():
        ours.setdefault(SETTING_PREFIX + EQUAL_SETTINGS[name], _text(others[name]))
    others.pop("SQLALCHEMY_DATABASE_URI", None)  # storage.database sets it
    config = GivenConfig(ours, others, is_alone=True)
    if testing:
        _isolate(config, ours)
    return config


def _isolate(config: GivenConfig, ours: dict[str, str]) -> None:
    """Give a test a folder of its own. A database in memory becomes a file in it, which threads can share."""
    in_memory = ours.get(SETTING_PREFIX + "DATABASE_URL") in IN_MEMORY
    if in_memory or DATA_DIR not in ours:
        config.folder = Path(tempfile.mkdtemp(prefix="guestbook-"))
        weakref.finalize(config, _remove, config.folder, os.getpid())
        ours.setdefault(DATA_DIR, str(config.folder))
        if in_memory:
            ours[SETTING_PREFIX + "DATABASE_URL"] = database_url.of_file(config.folder / "guestbook.db")
    if key := ours.get(SETTING_PREFIX + "SECRET_KEY"):  # a test's may be as short as `dev`
        ours[SETTING_PREFIX + "SECRET_KEY"] = key.ljust(MIN_KEY_LENGTH, ".")


def _text(value: object) -> str:
    from sqlalchemy import URL  # imported here, because a page by CGI needs no SQLAlchemy

    if isinstance(value, URL):
        return value.render_as_string(hide_password=False)
    if isinstance(value, list | tuple):
        return json.dumps([_text(one) for one in value])
    return value.hex() if isinstance(value, bytes) else str(value)


def _remove(folder: Path, pid: int) -> None:
    """Remove the folder of an app that is gone, but not when a fork of its process ends."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
