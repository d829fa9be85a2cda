"""A Flask application with its settings and its database: all that a pass needs. create_app adds the rest."""

import sys
from collections.abc import Mapping
from typing import TypeVar

from flask import Flask

from guestbook import settings
from guestbook.lib.errors import TRY_LATER
from guestbook.settings import flask_config

A = TypeVar("A", bound=Flask)


def make(kind: type[A], given: Mapping[str, object] | None = None, *, for_doctor: bool = False) -> A:
    """Make the application from the environment, or from the given settings or configuration of Flask.

    For doctor it makes no data folder and no secret key. A wrong setting ends the process, as below.
    """
    from guestbook.storage import database  # here: a page by CGI imports no SQLAlchemy

    app = without_database(kind, given, for_doctor=for_doctor)
    database.init_app(app, app.config["GUESTBOOK"])
    return app


def without_database(
    kind: type[A], given: Mapping[str, object] | None = None, *, for_doctor: bool = False
) -> A:
    """Make it with its settings alone.

    A wrong setting ends the process with one line: Flask's command line and all servers know SystemExit,
    where another exception would be a traceback.
    """
    try:
        config = flask_config.read(given)
        read = settings.load(config.environ, alone=config.is_alone, for_doctor=for_doctor)
    except settings.ReadOnlyDisk as error:
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
