"""The bins: add, change, empty and watch them."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from guestbook.inbound import bins
from guestbook.lib import body_encoding, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import conditional, row_lookup
from guestbook.web.admin import responses
from guestbook.web.admin.bins import bin_request_views
from guestbook.web.admin.bins.bin_form import BinForm

pages = Blueprint("bins", __name__, url_prefix="/bins")
pages.register_blueprint(bin_request_views.pages)

LATEST_REQUESTS = 50  # requests on a bin's page
BODY_EXCERPT = 120  # characters of a body in the list


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them with the number of their requests."""
    query = select(BinRequest.bin_id, func.count(), func.max(BinRequest.id)).group_by(BinRequest.bin_id)
    held = {row[0]: (row[1], ids.moment_of(row[2])) for row in db.session.execute(query)}
    rows = db.session.scalars(select(Bin).order_by(Bin.id)).all()
    return render_template("admin/bins.html", bins=rows, held=held)


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for a new one."""
    return _form(BinForm(key=ids.new()))


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add one, and show it."""
    typed = BinForm.read()
    return responses.save(lambda: _add(typed), lambda error: _form(typed, error))


@pages.get("/<bin_id>")
def show(bin_id: str) -> ResponseReturnValue:
    """Show one and its requests, the newest first; the page looks for new ones by itself."""
    bin_ = row_lookup.find(Bin, bin_id)
    before = conditional.page_before()
    rows = bins.latest(db.session(), bin_.id, LATEST_REQUESTS + 1, before)
    return render_template(
        "admin/bin.html",
        bin=bin_,
        rows=rows[:LATEST_REQUESTS],
        excerpt=_excerpt,
        count=bins.count(db.session(), bin_.id),
        before=before,
        older=rows[LATEST_REQUESTS - 1].id if len(rows) > LATEST_REQUESTS else None,
        limit=bins.REQUESTS_KEPT,
    )


@pages.get("/<bin_id>/edit")
def edit(bin_id: str) -> ResponseReturnValue:
    """Show the form with its present values."""
    bin_ = row_lookup.find(Bin, bin_id)
    return _form(BinForm.of(bin_), bin_=bin_)


@pages.post("/<bin_id>")
def change(bin_id: str) -> ResponseReturnValue:
    """Change it."""
    typed = BinForm.read()
    try:
        with writing() as session:
            bins.update(session, row_lookup.find_locked(Bin, bin_id), typed.fields())
    except Refused as error:
        return _form(typed, error, row_lookup.find(Bin, bin_id)), 422
    return responses.done("The bin is changed.", ".show", bin_id=bin_id)


@pages.route("/<bin_id>/<any(clear, delete):action>", methods=["GET", "POST"])
def remove(bin_id: str, action: str) -> ResponseReturnValue:
    """Ask before its requests are deleted, or it with them; POST does so."""
    if request.method != "POST":
        bin_ = row_lookup.find(Bin, bin_id)
        count = bins.count(db.session(), bin_.id)
        return render_template("admin/bin_ask.html", bin=bin_, action=action, count=count)
    with writing() as session:
        bin_ = row_lookup.find_locked(Bin, bin_id)
        name = bin_.name
        count = bins.clear(session, bin_.id) if action == "clear" else bins.delete(session, bin_)
    if action == "clear":
        return responses.done(f"{counted(count, 'request')} deleted.", ".show", bin_id=bin_id)
    return responses.done(f"“{name}” is deleted.", ".index")


def _form(typed: BinForm, error: Refused | None = None, bin_: Bin | None = None) -> str:
    return render_template(
        "admin/bin_form.html",
        typed=typed,
        reasons=error.fields if error else {},
        bin=bin_,
        types=[(name, name) for name in bins.ANSWER_TYPES],
    )


def _add(typed: BinForm) -> ResponseReturnValue:
    """Add it, unless this form was sent before; its key is the bin's id."""
    with writing() as session:
        sentence = "This form was sent before. Here is its bin."
        if session.get(Bin, typed.key) is None:
            bins.add(session, typed.fields(), row_id=typed.key)
            sentence = "The bin is added. Send something to its URL, and it appears here."
    return responses.done(sentence, ".show", bin_id=typed.key)


def _excerpt(row: BinRequest) -> str:
    """Return the beginning of the body in one line."""
    if row.encoding == body_encoding.BASE64:
        return "binary"
    return " ".join(row.kept[: 4 * BODY_EXCERPT].decode(errors="replace").split())[:BODY_EXCERPT]
