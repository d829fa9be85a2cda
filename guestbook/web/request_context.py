"""The settings of the app and the owner's preferences, for the current request."""

from collections.abc import Callable
from typing import TypeVar

from flask import current_app, g

from guestbook.settings import Settings
from guestbook.storage import plain_sql, preferences as stored_preferences
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import Preferences

T = TypeVar("T")


def settings() -> Settings:
    """Return the settings that the app has read."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read


def once(name: str, make: Callable[[], T]) -> T:
    """Return what `make` returns; it is called once in a request."""
    if name not in g:
        setattr(g, name, make())
    made: T = getattr(g, name)
    return made


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
    except Exception as error:
        # A reader's app does without SQLAlchemy, until there is an error.
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(error, SQLAlchemyError):
            raise
        _end_session()
        return Preferences()


def offers_reply_mails() -> bool:
    """Whether the form asks for an e-mail address: the owner wants it, and e-mail can be sent."""
    can_mail = settings().smtp_url and settings().mail_from
    return bool(can_mail) and preferences_or_defaults().reply_mails


def _read() -> Preferences:
    try:
        return stored_preferences.selected(select())
    except Exception as error:
        if not getattr(error, "connection_invalidated", False):
            raise
        _end_session()  # The server was restarted, and accepts a new connection.
        return stored_preferences.selected(select())


def _end_session() -> None:
    from guestbook.storage import database

    database.end(database.db.session())
