"""The settings of the app and the owner's preferences, for the current request."""

from typing import Any

from flask import current_app, g
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage import preferences as stored_preferences
from guestbook.storage.database import db
from guestbook.storage.preferences import Preferences


def settings() -> Settings:
    """Return the settings that the app has read."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read


def preferences() -> Preferences:
    """Return the owner's preferences, read once per request."""
    if "preferences" not in g:
        try:
            g.preferences = _read()
        except SQLAlchemyError:
            g.preferences_are_away = True
            raise
    read: Preferences = g.preferences
    return read


def template_names() -> dict[str, Any]:
    """Return the names that every template uses; without the database an error page has the defaults."""
    try:
        book = Preferences() if "preferences_are_away" in g else preferences()
    except SQLAlchemyError:
        database.end(db.session())
        book = Preferences()
    return {"book": book, "base_url": settings().base_url}


def _read() -> Preferences:
    try:
        return stored_preferences.read(db.session())
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        database.end(db.session())  # the server was restarted, and accepts a new connection
        return stored_preferences.read(db.session())
