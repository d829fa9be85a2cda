"""How an admin action ends: a redirect with a sentence, or the form with its errors; and typed passwords."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from guestbook.auth import login
from guestbook.auth.login import TooManyTries, WrongPassword
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.web import request_context

BOOK_PLACE = re.compile(r"/(?:comments/\w+)?(?:\?[!-~]{0,1900})?(?:#[\w-]+)?", re.ASCII)


def done(sentence: str, endpoint: str, *, undo: str | None = None, **values: object) -> ResponseReturnValue:
    """Redirect to a page that says what was done; it offers to undo the change with the id `undo`."""
    say(sentence, undo)
    return redirect(place(endpoint, values), 303)


def place(endpoint: str, values: Mapping[str, Any]) -> str:
    """Return the place of the book where the button stands, never another site; else the page's address."""
    given = request.form.get("back", "")
    return request.script_root + given if BOOK_PLACE.fullmatch(given) else url_for(endpoint, **values)


def say(sentence: str, undo: str | None = None) -> None:
    """Let the next page say what was done; it offers to undo the change with that id."""
    flash(sentence, f"undo {undo}" if undo else "message")


View = Callable[..., ResponseReturnValue]


class Outdated(Refused):
    """What the form is about has changed since its page was opened."""


def form_on(page: Callable[..., str]) -> Callable[[View], View]:
    """Make a view take a form of this page, and show the page again where it refuses what was typed.

    The view finds a row that an earlier click has added. The page shows what was typed, as `refused` says.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def take(**address: str) -> ResponseReturnValue:
            try:
                return view(**address)
            except Refused as error:
                return refused(error, page, **address)
            except IntegrityError:
                return view(**address)  # It was the second click of a double click. Now it finds the row.

        return take

    return decorated


def refused(error: Refused, page: Callable[..., str], /, **address: object) -> ResponseReturnValue:
    """Answer with the page, which gets the `reasons` by field, or a `notice`: 429 where waiting helps."""
    shown = page(**address, reasons=error.fields, notice=None if error.fields else error.sentence)
    if isinstance(error, TooManyTries):
        return shown, 429, {"Retry-After": str(error.seconds)}
    return shown, 409 if isinstance(error, Outdated) else 422


def typed_lines(names: Iterable[str]) -> dict[str, str]:
    """Return what the form has in these fields, each as one clean line."""
    return {name: clean_line(request.form.get(name, "")) for name in names}


def form_key(field: str = "key") -> str:
    """Return the id that a form brings for its new row, so that a form sent twice adds one."""
    sent = request.form.get(field, "")
    return sent if ids.ID.fullmatch(sent) else ids.new()


def download(content: bytes, name: str) -> Response:
    """Return the exact bytes as a file to save, which no browser takes for a page."""
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(content, mimetype="application/octet-stream", headers=headers)


def confirm_password(field: str = "password") -> str:
    """Return the hash of the owner's password if the field has it; else raise Refused about this field."""
    password = request.form.get(field, "")
    try:
        return login.confirm(password, address=request.remote_addr, settings=request_context.settings())
    except (TooManyTries, WrongPassword) as error:
        error.fields = {field: str(error)}
        raise
