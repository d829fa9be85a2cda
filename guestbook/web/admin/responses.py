"""How an admin action ends: a redirect with a sentence, or the form with its errors."""

from collections.abc import Callable

from flask import Response, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from guestbook.lib.errors import Refused


def done(sentence: str, endpoint: str, *, undo: str | None = None, **values: object) -> ResponseReturnValue:
    """Lead on to a page, which says what was done, and offers to undo it where `undo` is the change's id."""
    flash(sentence, f"undo {undo}" if undo else "message")
    return redirect(url_for(endpoint, **values), 303)  # type: ignore[arg-type]  # what url_for takes


def add(add_once: Callable[[], ResponseReturnValue], form: Callable[[Refused], str]) -> ResponseReturnValue:
    """Add what a form says, where `add_once` finds by the form's key what that has added before."""
    try:
        return add_once()
    except Refused as error:
        return form(error), 422
    except IntegrityError:
        return add_once()  # the second click of two, a moment behind the first: now it finds the row


def download(content: bytes, name: str) -> Response:
    """Return the exact bytes as a file to save, which no browser takes for a page."""
    response = Response(content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
