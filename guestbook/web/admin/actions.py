"""What the pages of the desk share: find a row, say what was done."""

import re
from typing import TypeVar

from flask import abort, current_app, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from guestbook.database import Base, db
from guestbook.settings import Settings

ID = re.compile(r"[0-9a-f]{32}")
M = TypeVar("M", bound=Base)


def find(model: type[M], row_id: str) -> M:
    """Return the row with that id; 404 when there is none."""
    row = db.session.get(model, row_id) if ID.fullmatch(row_id) else None
    return row if row is not None else abort(404)


def done(sentence: str, endpoint: str, **values: object) -> ResponseReturnValue:
    """Lead on to a page, which says what was done."""
    flash(sentence)
    return redirect(url_for(endpoint, **values), 303)  # type: ignore[arg-type]  # what url_for takes


def settings() -> Settings:
    """Return the settings that the app has read."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read
