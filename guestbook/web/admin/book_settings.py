"""The page of the book's settings: its texts, its look and its moderation."""

from collections.abc import Mapping

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.lib import clock, text
from guestbook.storage import preferences
from guestbook.storage.database import writing
from guestbook.web import request_context
from guestbook.web.admin import responses, undo

pages = Blueprint("book", __name__, url_prefix="/book")

SETTING_LABELS = {
    "title": "Title",
    "welcome": "Welcome",
    "prompt": "Text above the form",
    "per_page": "Comments per page",
    "language": "Language",
    "visitor_languages": "Languages of visitors",
    "timezone": "Time zone",
    "visitor_times": "Time zones of visitors",
    "theme": "Light or dark",
    "moderation": "Moderation",
    "rate": "Rate limit",
    "flood": "Flood limit",
    "words": "Words that hold a comment",
    "question": "Question",
    "answers": "Accepted answers",
    "score": "Learned score",
    "closed": "Closed",
    "mentions": "Webmention",
    "asks_place": "Place",
    "asks_note": "Note to you",
}
CHECKBOXES = (
    *("closed", "score", "mentions", "visitor_languages", "visitor_times"),
    *("asks_place", "asks_note"),
)


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show the settings."""
    return _form(preferences.typed(request_context.preferences()))


@pages.post("/")
def save() -> ResponseReturnValue:
    """Save all settings."""
    typed = {name: text.clean_text(request.form.get(name, "")).strip() for name in SETTING_LABELS}
    for name in CHECKBOXES:
        typed[name] = "yes" if name in request.form else "no"  # browsers do not send an unchecked box
    return responses.save(lambda: _save(typed), lambda error: _form(typed, error.fields))


def _save(typed: Mapping[str, str]) -> ResponseReturnValue:
    with writing() as session:
        undo_id = undo.save_settings(session, typed, url_for("admin.book.index"))
    return responses.done("The settings are saved.", "admin.book.index", undo=undo_id)


def _form(values: Mapping[str, str], reasons: Mapping[str, str] | None = None) -> str:
    return render_template(
        "admin/book_settings.html",
        values=values,
        reasons=reasons or {},
        labels=SETTING_LABELS,
        zones=clock.suggested_zones(),
    )
