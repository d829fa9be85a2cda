"""Bins: add, change, empty and watch them; and their requests: check the signature, send one again."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.inbound import request_bins
from guestbook.inbound.request_bins import ANSWER_TYPES
from guestbook.lib import body_encoding, ids
from guestbook.lib.text import counted
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import curl_command, responses

pages = Blueprint("bins", __name__, url_prefix="/bins")

LATEST_REQUESTS = 50  # requests on a bin's page
NEW_BIN = {"name": "", "status": "200", "body": "", "type": ANSWER_TYPES[0], "delay": "0", "fail": "0"}


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them with the number of their requests."""
    newest = request_bins.held(db.session())
    held = {bin_id: (count, ids.moment_of(last)) for bin_id, (count, last) in newest.items()}
    rows = db.session.scalars(select(Bin).order_by(Bin.id)).all()
    return render_template("admin/bins.html", bins=rows, held=held)


@pages.get("/new", endpoint="new")
@pages.get("/<bin_id>/edit")
def edit(bin_id: str | None = None, **more: object) -> str:
    """Show the form for a new one, or with the present values of one; or a sent form again."""
    bin_, typed = row_lookup.find(Bin, bin_id) if bin_id else None, NEW_BIN
    if request.method == "POST":
        typed = _typed()
    elif bin_:
        typed = {
            "name": bin_.name,
            "status": str(bin_.answer_status),
            "body": bin_.answer_body,
            "type": bin_.answer_type.partition(";")[0],
            "delay": f"{bin_.delay_milliseconds / 1000:g}",
            "fail": str(bin_.failures_left),
        }
    types = [(name, name) for name in ANSWER_TYPES]
    typed = typed | {"key": responses.form_key()}
    return render_template("admin/bin_form.html", typed=typed, bin=bin_, types=types, **more)


def _typed() -> dict[str, str]:
    body = request.form.get("body", "").replace("\r\n", "\n")
    return responses.typed_lines(NEW_BIN) | {"body": body}


@pages.post("/", endpoint="add")
@pages.post("/<bin_id>")
@responses.form_on(edit)
def change(bin_id: str | None = None) -> ResponseReturnValue:
    """Add one, whose id is the form's key, unless this form was sent before; or change one. Then show it."""
    typed, key = _typed(), responses.form_key()
    if not typed["name"]:
        del typed["name"]  # Then a bin gets or keeps one.
    with writing() as session:
        if bin_id:
            request_bins.update(session, row_lookup.find_locked(Bin, bin_id), typed)
            sentence = "The bin is changed."
        elif session.get(Bin, key):
            sentence = "This form was sent before. Here is its bin."
        else:
            request_bins.add(session, typed, row_id=key)
            sentence = "The bin is added. Send something to its URL, and it appears here."
    return responses.done(sentence, ".show", bin_id=bin_id or key)


@pages.get("/<bin_id>")
def show(bin_id: str) -> ResponseReturnValue:
    """Show one and its requests, the newest first; the page looks for new ones by itself."""
    bin_ = row_lookup.find(Bin, bin_id)
    before = response_headers.page_before()
    rows = request_bins.latest(db.session(), bin_.id, LATEST_REQUESTS + 1, before)
    return render_template(
        "admin/bin.html",
        bin=bin_,
        rows=rows[:LATEST_REQUESTS],
        count=request_bins.count(db.session(), bin_.id),
        before=before,
        older=rows[LATEST_REQUESTS - 1].id if len(rows) > LATEST_REQUESTS else None,
        limit=request_bins.REQUESTS_KEPT,
    )


@pages.route("/<bin_id>/<any(clear, delete):action>", methods=["GET", "POST"])
def remove(bin_id: str, action: str) -> ResponseReturnValue:
    """Ask before its requests are deleted, or it with them; POST does so."""
    if request.method != "POST":
        bin_ = row_lookup.find(Bin, bin_id)
        count = request_bins.count(db.session(), bin_.id)
        return render_template("admin/bin_ask.html", bin=bin_, action=action, count=count)
    with row_lookup.changing(Bin, bin_id) as (session, bin_):
        if action == "clear":
            count = request_bins.clear(session, bin_.id)
            return responses.done(f"{counted(count, 'request')} deleted.", ".show", bin_id=bin_id)
        name = bin_.name
        row_changes.delete_next(session.connection(), Bin, bin_id)
    return responses.done(f"“{name}” is deleted.", ".index")


@pages.get("/requests/<request_id>/body")
def request_body(request_id: str) -> ResponseReturnValue:
    """Return the exact bytes that were kept."""
    row = row_lookup.find(BinRequest, request_id)
    return responses.download(row.kept, f"{row.id}.bin")


@pages.get("/requests/<request_id>")
def show_request(request_id: str, **more: object) -> str:
    """Show it as inert text, with the answer if it was sent again."""
    row = row_lookup.find(BinRequest, request_id)
    content, file, bin_ = row.kept, f"{row.id}.bin", row_lookup.find(Bin, row.bin_id)
    content_type = dict(row.pairs).get("Content-Type", "")
    url = bin_.url(request_context.settings().base_url) + row.path + (f"?{row.query}" if row.query else "")
    return render_template(
        "admin/bin_request.html",
        bin=bin_,
        row=row,
        kept=len(content),
        views=body_encoding.views(content, content_type, is_cut=len(content) < row.size),
        check=request_bins.check_of(db.session(), row),
        curl=curl_command.command(row.method, url, row.pairs, content, file),
        is_long=curl_command.is_long(content),
        file=file,
        typed=request.form.get("url", ""),
        **more,
    )


@pages.post("/requests/<request_id>/replay")
@responses.form_on(show_request)
def replay_request(request_id: str) -> ResponseReturnValue:
    """Send it to the typed URL and show the answer, without a redirect: the result is stored nowhere."""
    row, url = row_lookup.find(BinRequest, request_id), request.form.get("url", "")
    return show_request(request_id, replayed=request_bins.replay(row, url, request_context.settings()))
