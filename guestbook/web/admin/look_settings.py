"""The page for the look of the book: the look, the visitors' choice, a webring, own CSS, the button."""

from collections.abc import Mapping

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.lib import text
from guestbook.storage import preferences
from guestbook.storage.database import writing
from guestbook.web import request_context
from guestbook.web.admin import responses, undo

pages = Blueprint("look", __name__, url_prefix="/look")

LOOK_LABELS = {
    "look": "Look",
    "visitor_looks": "Visitors may choose",
    "pictures": "Pictures beside comments",
    "glyphs": "Your characters",
    "webring_previous": "Previous site",
    "webring_home": "Home of the webring",
    "webring_next": "Next site",
    "own_css": "Own CSS",
}


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show what holds, and the code of the button."""
    return _form(preferences.typed(request_context.preferences()))


@pages.post("/")
def save() -> ResponseReturnValue:
    """Save all that is on the page."""
    typed = {name: text.clean_text(request.form.get(name, "")).strip() for name in LOOK_LABELS}
    typed["visitor_looks"] = "yes" if "visitor_looks" in request.form else "no"
    return responses.save(lambda: _save(typed), lambda error: _form(typed, error.fields))


def _save(typed: Mapping[str, str]) -> ResponseReturnValue:
    with writing() as session:
        undo_id = undo.save_settings(session, typed, url_for("admin.look.show"))
    return responses.done("The look is saved.", "admin.look.show", undo=undo_id)


def _form(values: Mapping[str, str], reasons: Mapping[str, str] | None = None) -> str:
    return render_template(
        "admin/look_settings.html",
        values=values,
        reasons=reasons or {},
        labels=LOOK_LABELS,
        limit=preferences.OWN_CSS_LIMIT,
        most=preferences.GLYPHS_LIMIT,
    )
