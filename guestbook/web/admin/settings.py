"""The pages of the book's settings: its texts and moderation, its look, and the websites that may show it."""

from collections.abc import Collection
from contextlib import suppress
from functools import partial

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.comments import website_forms
from guestbook.lib import clock, fields, validate
from guestbook.lib.errors import refusing
from guestbook.lib.fields import Field
from guestbook.storage import preferences
from guestbook.storage.database import db, writing
from guestbook.storage.preferences import PREFERENCE_FIELDS
from guestbook.web import request_context, translation_and_template_filters
from guestbook.web.admin import responses, undo

pages = Blueprint("settings", __name__)

PAGES = {  # Each page has its view, and a sentence for when it was saved.
    "book": (".index", "The settings are saved."),
    "look": (".look", "The look is saved."),
    "embed": (".embed", "The websites are saved."),
}


@pages.get("/book/", endpoint="index", defaults={"page": "book"})
@pages.get("/look/", endpoint="look", defaults={"page": "look"})
@pages.get("/embed/", endpoint="embed", defaults={"page": "embed"})
def show(page: str, **more: object) -> str:
    """Show a page of settings, or a sent form again."""
    known, book = _fields(page), request_context.preferences()
    is_sent = request.endpoint == "admin.settings.save"
    return render_template(
        f"admin/settings_{page}.html",
        page=page,
        fields=known,
        values=fields.typed(known, request.form.getlist) if is_sent else preferences.typed(book),
        zones=clock.suggested_zones,
        frame_title=translation_and_template_filters.title_for_sites(book),
        forms=website_forms.pages(db.session()) if page == "embed" else {},
        asking=_asking_site(book.embed_sites.split()),
        form_ends=website_forms.ENDS,
        **more,
    )


@pages.post("/book/", defaults={"page": "book"})
@pages.post("/look/", defaults={"page": "look"})
@pages.post("/embed/", defaults={"page": "embed"})
@responses.form_on(show)
def save(page: str) -> ResponseReturnValue:
    """Save all settings of a page."""
    typed, (view, said) = fields.typed(_fields(page), request.form.getlist), PAGES[page]
    with writing() as session:
        undo_id = undo.save_settings(session, typed, url_for(view))
    return responses.done(said, view, undo=undo_id)


@pages.post("/embed/allow")
@responses.form_on(partial(show, "embed"))
def allow_asking_site() -> ResponseReturnValue:
    """Allow the website whose frame has led the owner here."""
    with refusing("embed_sites", ValueError):
        site = validate.web_origin(request.form.get("site", ""))
    undo_id = allow_site(site, url_for(".embed"))
    return responses.done(f"{site} may show the book. Load its page again.", ".embed", undo=undo_id)


def allow_site(typed: str, back: str) -> str | None:
    """Let a website show the book, beside those that may do so already; return the id for undoing it."""
    with writing() as session:
        preferences.lock(session)
        sites = f"{preferences.read(session).embed_sites}\n{typed}"
        return undo.save_settings(session, {"embed_sites": sites}, back)


@pages.post("/embed/forms")
@responses.form_on(partial(show, "embed"))
def add_form() -> ResponseReturnValue:
    """Make the key of a plain form on a page of the owner's."""
    with writing() as session:
        website_forms.add(session, request.form.get("page", ""))
    return responses.done("The form is made. Copy its code into your page.", ".embed", _anchor="forms")


@pages.route("/embed/forms/<key>/delete", methods=["GET", "POST"])
def delete_form(key: str) -> ResponseReturnValue:
    """Ask before the key of a form is taken back; POST does so."""
    if request.method != "POST":
        page = website_forms.page_of(db.session(), key) or abort(404)
        return render_template("admin/website_form_delete.html", page=page)
    with writing() as session:
        if not website_forms.remove(session, key):
            abort(404)
    return responses.done("The form is removed: the book takes nothing from it.", ".embed", _anchor="forms")


def _asking_site(allowed: Collection[str]) -> str | None:
    """Return the origin that the address of this page names, if it is one that may not show the book yet."""
    with suppress(ValueError):
        site = validate.web_origin(request.args.get("site", ""))
        return None if site in allowed else site
    return None


def _fields(page: str) -> dict[str, Field]:
    return {name: field for name, field in PREFERENCE_FIELDS.items() if field.place.startswith(page)}
