"""The settings of the book: its title and words, who is published at once, how it looks."""

from collections.abc import Mapping

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from guestbook.lib import text
from guestbook.lib.errors import Refused
from guestbook.storage import preferences
from guestbook.storage.database import writing
from guestbook.web import current
from guestbook.web.admin import responses, undo

pages = Blueprint("book", __name__, url_prefix="/book")

SETTING_LABELS = {
    "title": "Title",
    "welcome": "Welcome",
    "prompt": "Words above the form",
    "per_page": "Comments on a page",
    "theme": "Theme",
    "moderation": "Who waits for you",
    "rate": "Most comments from one network",
    "closed": "Closed",
}


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show the settings."""
    return _form(preferences.typed(current.preferences()))


@pages.post("/")
def save() -> ResponseReturnValue:
    """Set all of them."""
    typed = {name: text.clean_text(request.form.get(name, "")) for name in preferences.NAMES}
    typed["closed"] = "yes" if "closed" in request.form else "no"  # a box that is not ticked is not sent
    try:
        undo_id = _save(typed)
    except Refused as error:
        return _form(typed, error.fields), 422
    return responses.done("The settings are saved.", "admin.book.index", undo=undo_id)


def _save(typed: Mapping[str, str]) -> str | None:
    """Save them; return what undoes it."""
    try:
        return _save_once(typed)
    except IntegrityError:  # the first of two clicks made the rows just now; they are there to be changed
        return _save_once(typed)


def _save_once(typed: Mapping[str, str]) -> str | None:
    with writing() as session:
        before = preferences.typed(preferences.read(session))
        preferences.save(session, typed)
        after = preferences.typed(preferences.read(session))
        return undo.of_settings(session, before, after, url_for("admin.book.index"))


def _form(values: Mapping[str, str], reasons: Mapping[str, str] | None = None) -> str:
    return render_template("admin/book.html", values=values, reasons=reasons or {}, labels=SETTING_LABELS)
