"""Bins: add, change, empty and watch them; and their requests: check the signature, send one again."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.inbound import bins
from guestbook.inbound.bins import Replayed
from guestbook.lib import body_encoding, byte_view, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import curl_command, responses

pages = Blueprint("bins", __name__, url_prefix="/bins")
request_pages = Blueprint("requests", __name__, url_prefix="/requests")

LATEST_REQUESTS = 50  # requests on a bin's page
BODY_EXCERPT = 120  # characters of a body in the list
NEW_BIN = {"name": "", "status": "200", "body": "", "type": bins.ANSWER_TYPES[0], "delay": "0", "fail": "0"}


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them with the number of their requests."""
    held = {key: (count, ids.moment_of(last)) for key, (count, last) in bins.held(db.session()).items()}
    rows = db.session.scalars(select(Bin).order_by(Bin.id)).all()
    return render_template("admin/bins.html", bins=rows, held=held)


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for a new one."""
    return _form(NEW_BIN, key=ids.new())


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add one, and show it."""
    typed, sent_key = _typed(), request.form.get("key", "")
    key = sent_key if ids.ID.fullmatch(sent_key) else ids.new()
    return responses.save(lambda: _add(key, typed), lambda error: _form(typed, error, key=key))


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
    return _form(
        {
            "name": bin_.name,
            "status": str(bin_.answer_status),
            "body": bin_.answer_body,
            "type": bin_.answer_type.partition(";")[0],
            "delay": f"{bin_.delay_milliseconds / 1000:g}",
            "fail": str(bin_.failures_left),
        },
        bin_=bin_,
    )


@pages.post("/<bin_id>")
def change(bin_id: str) -> ResponseReturnValue:
    """Change it."""
    typed = _typed()
    try:
        with writing() as session:
            bins.update(session, row_lookup.find_locked(Bin, bin_id), _given(typed))
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


def _typed() -> dict[str, str]:
    """Read the sent form; the lines of the body end in LF."""
    sent = {name: clean_line(request.form.get(name, "")) for name in NEW_BIN}
    return sent | {"body": request.form.get("body", "").replace("\r\n", "\n")}


def _given(typed: dict[str, str]) -> dict[str, str]:
    """Return the fields for `bins.add` and `bins.update`: without a name, a bin gets or keeps one."""
    return {name: value for name, value in typed.items() if name != "name" or value}


def _form(
    typed: dict[str, str], error: Refused | None = None, bin_: Bin | None = None, *, key: str = ""
) -> str:
    return render_template(
        "admin/bin_form.html",
        typed=typed,
        key_of_bin=key,
        reasons=error.fields if error else {},
        bin=bin_,
        types=[(name, name) for name in bins.ANSWER_TYPES],
    )


def _add(key: str, typed: dict[str, str]) -> ResponseReturnValue:
    """Add it, unless this form was sent before; its key is the bin's id."""
    with writing() as session:
        sentence = "This form was sent before. Here is its bin."
        if session.get(Bin, key) is None:
            bins.add(session, _given(typed), row_id=key)
            sentence = "The bin is added. Send something to its URL, and it appears here."
    return responses.done(sentence, ".show", bin_id=key)


def _excerpt(row: BinRequest) -> str:
    """Return the beginning of the body in one line."""
    if row.encoding == body_encoding.BASE64:
        return "binary"
    return " ".join(row.kept[: 4 * BODY_EXCERPT].decode(errors="replace").split())[:BODY_EXCERPT]


@request_pages.get("/<request_id>", endpoint="show")
def show_request(request_id: str) -> ResponseReturnValue:
    """Show it as inert text."""
    return _page(row_lookup.find(BinRequest, request_id))


@request_pages.get("/<request_id>/body", endpoint="body")
def request_body(request_id: str) -> ResponseReturnValue:
    """Return the exact bytes that were kept."""
    row = row_lookup.find(BinRequest, request_id)
    return responses.download(row.kept, f"{row.id}.bin")


@request_pages.post("/<request_id>/replay")
def replay_request(request_id: str) -> ResponseReturnValue:
    """Send it to the typed URL and show the answer.

    There is no redirect, because the result is stored nowhere.
    """
    row = row_lookup.find(BinRequest, request_id)
    typed = request.form.get("url", "")
    try:
        replayed = bins.replay(row, typed, request_context.settings())
    except Refused as error:
        return _page(row, typed, error), 422
    return _page(row, typed, replayed=replayed)


def _page(
    row: BinRequest, typed: str = "", error: Refused | None = None, replayed: Replayed | None = None
) -> str:
    content, file, bin_ = row.kept, f"{row.id}.bin", row_lookup.find(Bin, row.bin_id)
    url = bin_.url(request_context.settings().base_url) + row.path + (f"?{row.query}" if row.query else "")
    return render_template(
        "admin/bin_request.html",
        bin=bin_,
        row=row,
        kept=len(content),
        views=byte_view.views(
            content, dict(row.pairs).get("Content-Type", ""), is_cut=len(content) < row.size
        ),
        check=bins.check_of(db.session(), row),
        curl=curl_command.command(row.method, url, row.pairs, content, file),
        is_long=curl_command.is_long(content),
        file=file,
        typed=typed,
        reasons=error.fields if error else {},
        replayed=replayed,
    )


pages.register_blueprint(request_pages)
