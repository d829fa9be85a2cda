"""/settings: the settings of the book, its look and the websites that may show it."""

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.lib import fields, json_schema
from guestbook.storage import preferences
from guestbook.storage.database import db, writing
from guestbook.storage.preferences import Preferences
from guestbook.web import conditional
from guestbook.web.api import request_reader

calls = Blueprint("settings", __name__, url_prefix="/settings")


@calls.get("")
def show() -> ResponseReturnValue:
    """Show all of them."""
    return _document(preferences.read(db.session()))


@calls.patch("")
def change() -> ResponseReturnValue:
    """Change the given ones, all or none."""
    changes = request_reader.body()
    with writing() as session:
        preferences.lock(session)
        conditional.refuse_if_changed(_document(preferences.read(session)))
        preferences.save(session, {name: fields.as_typed(value) for name, value in changes.items()})
        return _document(preferences.read(session))


def _document(kept: Preferences) -> dict[str, Any]:
    return json_schema.of_row(kept, preferences.PREFERENCE_FIELDS)
