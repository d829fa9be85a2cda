"""How an admin action ends: a redirect with a sentence, or the form with its errors; and typed passwords."""

from collections.abc import Callable

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from guestbook.auth import login
from guestbook.auth.login import TooManyTries, WrongPassword
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.web import request_context


def done(sentence: str, endpoint: str, *, undo: str | None = None, **values: object) -> ResponseReturnValue:
    """Redirect to a page that says what was done; it offers to undo the change with the id `undo`."""
    say(sentence, undo)
    return redirect(url_for(endpoint, **values), 303)  # type: ignore[arg-type]  # what url_for takes


def say(sentence: str, undo: str | None = None) -> None:
    """Let the next page say what was done; it offers to undo the change with that id."""
    flash(sentence, f"undo {undo}" if undo else "message")


def save(save_once: Callable[[], ResponseReturnValue], form: Callable[..., str]) -> ResponseReturnValue:
    """Save a form, or show it again with its `reasons`; `save_once` finds a row that it has added already."""
    try:
        return save_once()
    except Refused as error:
        return refused(error, form(reasons=error.fields))
    except IntegrityError:
        return save_once()  # It was the second click of a double click. Now it finds the row.


def refused(error: Refused, page: str) -> ResponseReturnValue:
    """Answer with the page that shows what is wrong: 429 where waiting helps, else 422."""
    if isinstance(error, TooManyTries):
        return page, 429, {"Retry-After": str(error.seconds)}
    return page, 422


def form_key(field: str = "key") -> str:
    """Return the id that a form brings for its new row, so that a form sent twice adds one."""
    sent = request.form.get(field, "")
    return sent if ids.ID.fullmatch(sent) else ids.new()


def download(content: bytes, name: str) -> Response:
    """Return the exact bytes as a file to save, which no browser takes for a page."""
    response = Response(content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def confirm_password(field: str = "password") -> str:
    """Return the hash of the owner's password if the field has it; else raise Refused about this field."""
    password = request.form.get(field, "")
    try:
        return login.confirm(password, address=request.remote_addr, settings=request_context.settings())
    except (TooManyTries, WrongPassword) as error:
        error.fields = {field: str(error)}
        raise
