"""/bins/ID/requests: what arrived, and sending it again."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from guestbook.inbound import bin_requests
from guestbook.queries import filtered_lists
from guestbook.storage.database import db
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import request_context
from guestbook.web.api import request_reader, serializers
from guestbook.web.row_lookup import find

calls = Blueprint("bin_requests", __name__, url_prefix="/bins/<bin_id>/requests")


@calls.get("")
def index(bin_id: str) -> ResponseReturnValue:
    """List the requests of a bin without their headers and bodies."""
    query, mine = request_reader.query(), BinRequest.bin_id == find(Bin, bin_id).id
    page = filtered_lists.row_page(db.session(), BinRequest, query.get("before"), query["limit"], mine)
    return serializers.page("requests", page, serializers.bin_request, query)


@calls.get("/<request_id>")
def one(bin_id: str, request_id: str) -> ResponseReturnValue:
    """Show a request with its headers and its body, and check its signatures."""
    row = _find(bin_id, request_id)
    return serializers.bin_request_in_full(row, bin_requests.of(db.session(), row))


@calls.post("/<request_id>/replay")
def replay_request(bin_id: str, request_id: str) -> ResponseReturnValue:
    """Send it to the given URL, and return the answer, which is stored nowhere."""
    url, row = request_reader.body()["url"], _find(bin_id, request_id)
    return serializers.replayed(bin_requests.replay(row, url, request_context.settings()))


def _find(bin_id: str, request_id: str) -> BinRequest:
    row = find(BinRequest, request_id)
    return row if row.bin_id == bin_id else abort(404)
