"""Rows by their id, and the settings: for the public pages, the admin pages and the API."""

from typing import TypeVar

from flask import abort, current_app

from guestbook.lib import ids
from guestbook.settings import Settings
from guestbook.storage.database import Base, db

ID = ids.ID
M = TypeVar("M", bound=Base)


def find(model: type[M], row_id: str) -> M:
    """Return the row with that id; 404 when there is none."""
    row = db.session.get(model, row_id) if ID.fullmatch(row_id) else None
    return row if row is not None else abort(404)


def hold(model: type[M], row_id: str) -> M:
    """Return it under a lock, so that nobody deletes it before it is changed; 404 when there is none."""
    lock = {"key_share": True}
    row = db.session.get(model, row_id, with_for_update=lock) if ID.fullmatch(row_id) else None
    return row if row is not None else abort(404)


def settings() -> Settings:
    """Return the settings that the app has read."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read
