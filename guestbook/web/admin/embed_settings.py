"""The page for showing the book on other websites: which ones may, and the code to copy."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.lib import text
from guestbook.lib.errors import Refused
from guestbook.storage.database import writing
from guestbook.web import request_context, template_filters
from guestbook.web.admin import responses, undo

pages = Blueprint("embedding", __name__, url_prefix="/embed")


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show the allowed websites and the code for them."""
    return _form(request_context.preferences().embed_sites)


@pages.post("/")
def save() -> ResponseReturnValue:
    """Save the allowed websites."""
    typed = text.clean_text(request.form.get("embed_sites", ""))
    return responses.save(lambda: _save(typed), lambda error: _form(typed, error))


def _save(typed: str) -> ResponseReturnValue:
    with writing() as session:
        undo_id = undo.save_settings(session, {"embed_sites": typed}, url_for("admin.embedding.show"))
    return responses.done("The websites are saved.", "admin.embedding.show", undo=undo_id)


def _form(typed: str, error: Refused | None = None) -> str:
    reasons = error.fields if error else {}
    title = template_filters.title_for_sites(request_context.preferences())
    return render_template("admin/embed_settings.html", typed=typed, reasons=reasons, frame_title=title)
