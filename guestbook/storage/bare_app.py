"""A Flask application with its settings and its database: all that a pass needs. create_app adds the rest."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from flask import Flask

from guestbook import settings
from guestbook.lib.errors import TRY_LATER
from guestbook.settings import Settings, database_url, flask_config, secret_key

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


def make(kind: type[A], given: Given = None, *, for_doctor: bool = False) -> A:
    """Make the application from the environment, or from the given settings or configuration of Flask.

    For doctor it makes no data folder and no secret key. A wrong setting ends the process, as below.
    """
    from guestbook.storage import database  # imported here, because a page by CGI needs no SQLAlchemy

    app = without_database(kind, given, for_doctor=for_doctor)
    database.init_app(app, app.config["GUESTBOOK"])
    return app


def without_database(kind: type[A], given: Given = None, *, for_doctor: bool = False) -> A:
    """Make the application with its settings alone.

    A wrong setting ends the process with one line: Flask's command line and all servers know SystemExit,
    where another exception would be a traceback.
    """
    try:
        config = flask_config.read(given)
        read = settings.load(config.environ, alone=config.is_alone, for_doctor=for_doctor)
        if not (read.secret_key or for_doctor):
            read = replace(read, secret_key=_first_key(read))
    except settings.NotNow as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(TRY_LATER) from None
    except settings.SettingsError as error:
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
    from sqlalchemy.exc import SQLAlchemyError  # imported here, because a start with a key asks no database

    from guestbook.storage import database_errors, engines, stored_secrets

    path = read.data_dir / secret_key.KEY_FILE
    file = database_url.sqlite_file(read.data_dir, read.database_url)
    try:
        if file is None or file.exists():
            with engines.opened(read) as engine:
                if stored_secrets.are_locked(engine, read.keyring):
                    raise settings.SettingsError(KEY_MISSING.format(path))
    except SQLAlchemyError as error:
        raise settings.NotNow(NOT_SEEN.format(path, database_errors.words(error))) from None
    return secret_key.make(read.data_dir)
