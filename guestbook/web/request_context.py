"""The settings of the app and the owner's preferences, for the current request."""

from flask import current_app, g

from guestbook.settings import Settings
from guestbook.storage import plain_sql
from guestbook.storage import preferences as stored_preferences
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import Preferences


def settings() -> Settings:
    """Return the settings that the app has read."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read


def signing_keys() -> list[str]:
    """Return the secret keys as itsdangerous wants them: the last one signs, and each of them verifies."""
    return settings().signing_keys


def select() -> Select:
    """Return what selects for this request: a connection of SQLite's own by CGI, else the session."""
    if "select" in g:
        plain: Select = g.select
        return plain
    from guestbook.storage.database import db

    return plain_sql.through(db.session())


def preferences() -> Preferences:
    """Return the owner's preferences, read once per request."""
    if "preferences" not in g:
        try:
            g.preferences = _read()
        except Exception:
            g.preferences_are_away = True
            raise
    read: Preferences = g.preferences
    return read


def preferences_or_defaults() -> Preferences:
    """Return the owner's preferences, or the defaults where an error page cannot read them."""
    try:
        return Preferences() if "preferences_are_away" in g else preferences()
    except _sqlalchemy_error():
        _end_session()
        return Preferences()


def _read() -> Preferences:
    try:
        return stored_preferences.selected(select())
    except Exception as error:
        if not getattr(error, "connection_invalidated", False):
            raise
        _end_session()  # The server was restarted, and accepts a new connection.
        return stored_preferences.selected(select())


def _sqlalchemy_error() -> type[Exception]:
    """Return the class, which Python asks for only when there is an error: a reader's app does without."""
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError


def _end_session() -> None:
    from guestbook.storage import database

    database.end(database.db.session())
