"""One request of a bin: its parts, the check of its signature, and sending it again."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.inbound import bin_requests
from guestbook.inbound.bin_requests import Replayed
from guestbook.lib import byte_view
from guestbook.lib.errors import Refused
from guestbook.storage.database import db
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import curl_command, responses

pages = Blueprint("requests", __name__, url_prefix="/requests")


@pages.get("/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    """Show it as inert text."""
    return _page(row_lookup.find(BinRequest, request_id))


@pages.get("/<request_id>/body")
def body(request_id: str) -> ResponseReturnValue:
    """Return the exact bytes that were kept."""
    row = row_lookup.find(BinRequest, request_id)
    return responses.download(row.kept, f"{row.id}.bin")


@pages.post("/<request_id>/replay")
def replay_request(request_id: str) -> ResponseReturnValue:
    """Send it to the typed URL and show the answer.

    There is no redirect, because the result is stored nowhere.
    """
    row = row_lookup.find(BinRequest, request_id)
    typed = request.form.get("url", "")
    try:
        replayed = bin_requests.replay(row, typed, request_context.settings())
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
        check=bin_requests.of(db.session(), row),
        curl=curl_command.command(row.method, url, row.pairs, content, file),
        is_long=curl_command.is_long(content),
        file=file,
        typed=typed,
        reasons=error.fields if error else {},
        replayed=replayed,
    )
