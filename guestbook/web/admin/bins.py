"""Bins: add, change, empty and watch them; and their requests: check the signature, send one again."""

from functools import partial

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.inbound import bins
from guestbook.lib import body_view, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import curl_command, responses

pages = Blueprint("bins", __name__, url_prefix="/bins")

LATEST_REQUESTS = 50  # requests on a bin's page
NEW_BIN = {"name": "", "status": "200", "body": "", "type": bins.ANSWER_TYPES[0], "delay": "0", "fail": "0"}


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them with the number of their requests."""
    held = {key: (count, ids.moment_of(last)) for key, (count, last) in bins.held(db.session()).items()}
    rows = db.session.scalars(select(Bin).order_by(Bin.id)).all()
    return render_template("admin/bins.html", bins=rows, held=held)


@pages.get("/new", endpoint="new")
@pages.get("/<bin_id>/edit")
def edit(bin_id: str | None = None, typed: dict[str, str] | None = None, **more: object) -> str:
    """Show the form for a new one, or with the present values of one; or a sent form again."""
    bin_, present = None, NEW_BIN | {"key": ids.new()}
    if bin_id:
        bin_ = row_lookup.find(Bin, bin_id)
        present = {
            "name": bin_.name,
            "status": str(bin_.answer_status),
            "body": bin_.answer_body,
            "type": bin_.answer_type.partition(";")[0],
            "delay": f"{bin_.delay_milliseconds / 1000:g}",
            "fail": str(bin_.failures_left),
        }
    types = [(name, name) for name in bins.ANSWER_TYPES]
    return render_template("admin/bin_form.html", typed=typed or present, bin=bin_, types=types, **more)


@pages.post("/", endpoint="add")
@pages.post("/<bin_id>")
def change(bin_id: str | None = None) -> ResponseReturnValue:
    """Add one, or change one, and show it."""
    typed = {name: clean_line(request.form.get(name, "")) for name in NEW_BIN}
    typed["body"] = request.form.get("body", "").replace("\r\n", "\n")
    typed["key"] = responses.form_key()
    return responses.save(partial(_save, bin_id, typed), partial(edit, bin_id, typed))


def _save(bin_id: str | None, typed: dict[str, str]) -> ResponseReturnValue:
    """Save it, unless this form was sent before; its key is the new bin's id."""
    # Without a name, a bin gets or keeps one.
    given = {name: typed[name] for name in NEW_BIN if name != "name" or typed[name]}
    with writing() as session:
        if bin_id:
            bins.update(session, row_lookup.find_locked(Bin, bin_id), given)
            sentence = "The bin is changed."
        elif session.get(Bin, typed["key"]):
            sentence = "This form was sent before. Here is its bin."
        else:
            bins.add(session, given, row_id=typed["key"])
            sentence = "The bin is added. Send something to its URL, and it appears here."
    return responses.done(sentence, ".show", bin_id=bin_id or typed["key"])


@pages.get("/<bin_id>")
def show(bin_id: str) -> ResponseReturnValue:
    """Show one and its requests, the newest first; the page looks for new ones by itself."""
    bin_ = row_lookup.find(Bin, bin_id)
    before = response_headers.page_before()
    rows = bins.latest(db.session(), bin_.id, LATEST_REQUESTS + 1, before)
    return render_template(
        "admin/bin.html",
        bin=bin_,
        rows=rows[:LATEST_REQUESTS],
        count=bins.count(db.session(), bin_.id),
        before=before,
        older=rows[LATEST_REQUESTS - 1].id if len(rows) > LATEST_REQUESTS else None,
        limit=bins.REQUESTS_KEPT,
    )


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


@pages.get("/requests/<request_id>/body")
def request_body(request_id: str) -> ResponseReturnValue:
    """Return the exact bytes that were kept."""
    row = row_lookup.find(BinRequest, request_id)
    return responses.download(row.kept, f"{row.id}.bin")


@pages.post("/requests/<request_id>/replay")
def replay_request(request_id: str) -> ResponseReturnValue:
    """Send it to the typed URL and show the answer.

    There is no redirect, because the result is stored nowhere.
    """
    row = row_lookup.find(BinRequest, request_id)
    typed = request.form.get("url", "")
    try:
        replayed = bins.replay(row, typed, request_context.settings())
    except Refused as error:
        return show_request(request_id, typed, reasons=error.fields), 422
    return show_request(request_id, typed, replayed=replayed)


@pages.get("/requests/<request_id>")
def show_request(request_id: str, typed: str = "", **more: object) -> str:
    """Show it as inert text, with the answer if it was sent again."""
    row = row_lookup.find(BinRequest, request_id)
    content, file, bin_ = row.kept, f"{row.id}.bin", row_lookup.find(Bin, row.bin_id)
    url = bin_.url(request_context.settings().base_url) + row.path + (f"?{row.query}" if row.query else "")
    return render_template(
        "admin/bin_request.html",
        bin=bin_,
        row=row,
        kept=len(content),
        views=body_view.views(
            content, dict(row.pairs).get("Content-Type", ""), is_cut=len(content) < row.size
        ),
        check=bins.check_of(db.session(), row),
        curl=curl_command.command(row.method, url, row.pairs, content, file),
        is_long=curl_command.is_long(content),
        file=file,
        typed=typed,
        **more,
    )
