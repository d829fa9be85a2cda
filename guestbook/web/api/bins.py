"""/bins: add, change, empty, delete."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.inbound import bins
from guestbook.queries import filtered_lists
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin
from guestbook.web import conditional
from guestbook.web.api import idempotency, request_reader, serializers
from guestbook.web.row_lookup import find, find_locked

calls = Blueprint("bins", __name__, url_prefix="/bins")

FIELDS_OF_COLUMNS = {  # column → field of `inbound.bins`
    "answer_status": "status",
    "answer_body": "body",
    "answer_type": "type",
    "delay_milliseconds": "delay",
    "failures_left": "fail",
}
COLUMNS_OF_FIELDS = {field: column for column, field in FIELDS_OF_COLUMNS.items()}


@calls.get("")
def index() -> ResponseReturnValue:
    """List them."""
    query = request_reader.query()
    page = filtered_lists.row_page(db.session(), Bin, query.get("before"), query["limit"])
    return serializers.page("bins", page, serializers.bin_, query)


@calls.post("")
def add() -> ResponseReturnValue:
    """Add a bin."""
    fields = request_reader.body()
    with writing() as session, request_reader.renamed(_as_field):
        bin_ = bins.add(session, _fields(fields))
        location = serializers.address(f"/bins/{bin_.id}")
        return idempotency.keep(session, serializers.bin_(bin_), 201, {"Location": location})


@calls.get("/<bin_id>")
def one(bin_id: str) -> ResponseReturnValue:
    """Show one."""
    return serializers.bin_(find(Bin, bin_id))


@calls.patch("/<bin_id>")
def change(bin_id: str) -> ResponseReturnValue:
    """Change the given fields."""
    changes = request_reader.body()
    with writing() as session, request_reader.renamed(_as_field):
        bin_ = find_locked(Bin, bin_id)
        conditional.refuse_if_changed(serializers.bin_(bin_))
        bins.update(session, bin_, _fields(changes))
        return serializers.bin_(bin_)


@calls.delete("/<bin_id>")
def delete(bin_id: str) -> ResponseReturnValue:
    """Delete one with its requests."""
    with writing() as session:
        bin_ = find_locked(Bin, bin_id)
        conditional.refuse_if_changed(serializers.bin_(bin_))
        bins.delete(session, bin_)
    return "", 204


@calls.delete("/<bin_id>/requests")
def clear(bin_id: str) -> ResponseReturnValue:
    """Delete the requests of one."""
    with writing() as session:
        bins.clear(session, find_locked(Bin, bin_id).id)
    return "", 204


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as `inbound.bins` takes them: the delay in seconds."""
    fields = {FIELDS_OF_COLUMNS.get(name, name): value for name, value in given.items()}
    if "delay" in fields:
        fields["delay"] = f"{fields['delay'] / 1000:g}"
    return fields


def _as_field(column: str, sentence: str) -> tuple[str, str]:
    """Name an error as the API names the field."""
    return COLUMNS_OF_FIELDS.get(column, column), sentence
