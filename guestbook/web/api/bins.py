"""/bins: add, change, empty, delete; the requests that they hold."""

from collections.abc import Mapping
from typing import Any

from flask import abort

from guestbook.inbound import request_bins, source_json
from guestbook.inbound.request_bins import ANSWER_TYPES, BIN_ANSWER_LIMIT, DELAY_LIMIT, FAILURES_LIMIT
from guestbook.inbound.source_json import BIN_REQUEST_IN_FULL, BIN_REQUEST_SCHEMA, BIN_SCHEMA, BODY_SCHEMA
from guestbook.lib import json_schema as schema, validate
from guestbook.lib.json_schema import Schema
from guestbook.lib.redaction import HIDDEN
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest
from guestbook.transport import urls
from guestbook.web import request_context, response_headers
from guestbook.web.api import authentication, idempotency, request_reader, row_calls
from guestbook.web.api.api_call import PAGE_QUERY, Answer, Calls, list_of
from guestbook.web.row_lookup import changing, find

BIN_FIELDS: Schema = {
    "name": schema.line(validate.NAME_LIMIT),
    "answer_status": schema.integer("The status that it answers, 200 by default.", minimum=200, maximum=599),
    "answer_body": schema.text("The text that it answers, none by default.", maxLength=BIN_ANSWER_LIMIT),
    "answer_type": schema.one_of(*ANSWER_TYPES, description="The content type of that text."),
    "delay_milliseconds": schema.number(
        "How long it waits before it answers.", maximum=int(DELAY_LIMIT * 1000)
    ),
    "failures_left": schema.number("How many requests it answers with 500 first.", maximum=FAILURES_LIMIT),
}
REPLAYED_SCHEMA: Schema = {
    "url": schema.URL,
    "milliseconds": schema.NUMBER,
    "status": schema.or_null(schema.integer("The status of the answer; null without one.")),
    "headers": schema.HEADERS,
    **BODY_SCHEMA,
    "error": schema.text_or_null("Why there is no answer, or why it is not complete."),
}

calls = Calls(
    "bins",
    NewBin=schema.request(BIN_FIELDS),
    BinChanges=schema.request(BIN_FIELDS, least=1),
    Replay=schema.request(url=schema.url(maxLength=urls.URL_LIMIT), required=("url",)),
    Bin=schema.answer(BIN_SCHEMA),
    BinRequest=schema.answer(BIN_REQUEST_SCHEMA),
    BinRequests=list_of("requests", "BinRequest"),
    BinRequestInFull=schema.answer(BIN_REQUEST_SCHEMA | BIN_REQUEST_IN_FULL),
    Replayed=schema.answer(REPLAYED_SCHEMA),
)

BIN_COLUMNS = {field: column for field, (column, _) in request_bins.FIELDS.items()}


def _shown(row: Bin) -> dict[str, Any]:
    shape = source_json.bin_(row, request_context.settings())
    return shape | {"url": authentication.shown_url(shape["url"])}


row_calls.serve(calls, Bin, _shown, "its requests")


@calls.serve("POST /bins", {201: "Bin"}, body="NewBin")
def create_bin() -> Answer:
    """Add a bin."""
    fields = request_reader.body()
    with writing() as session, request_reader.renamed(BIN_COLUMNS):
        bin_ = request_bins.add(session, _fields(fields))
        return idempotency.keep(session, _shown(bin_), 201)


@calls.serve("PATCH /bins/{bin_id}", {200: "Bin"}, body="BinChanges", may_match=True)
def update_bin(bin_id: str) -> Answer:
    """Change a bin; other fields stay."""
    changes = request_reader.body()
    with changing(Bin, bin_id) as (session, bin_), request_reader.renamed(BIN_COLUMNS):
        response_headers.refuse_if_changed(_shown(bin_))
        request_bins.update(session, bin_, _fields(changes))
        return _shown(bin_)


@calls.serve("DELETE /bins/{bin_id}/requests", {204: None})
def clear_bin(bin_id: str) -> Answer:
    """Delete the requests of a bin."""
    with changing(Bin, bin_id) as (session, bin_):
        request_bins.clear(session, bin_.id)
    return "", 204


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as `inbound.request_bins` takes them: the delay in seconds."""
    fields = {field: given[column] for field, column in BIN_COLUMNS.items() if column in given}
    return fields | ({"delay": fields["delay"] / 1000} if "delay" in fields else {})


@calls.serve("GET /bins/{bin_id}/requests", {200: "BinRequests"}, query=PAGE_QUERY)
def list_bin_requests(bin_id: str) -> Answer:
    """List the requests that a bin holds."""
    return row_calls.rows("requests", BinRequest, bin_request, BinRequest.bin_id == find(Bin, bin_id).id)


@calls.serve("GET /bins/{bin_id}/requests/{request_id}", {200: "BinRequestInFull"})
def get_bin_request(bin_id: str, request_id: str) -> Answer:
    """Show a request with its body, and check its signatures."""
    row = _find(bin_id, request_id)
    shape = source_json.bin_request_in_full(row, request_bins.check_of(db.session(), row)) | bin_request(row)
    if not authentication.may("manage"):
        # They may have passwords of others, also those that a webhook of the book sends.
        shape["headers"] = [{**pair, "value": HIDDEN} for pair in shape["headers"]]
    return shape | authentication.packed("body", row.kept)


@calls.serve("POST /bins/{bin_id}/requests/{request_id}/replay", {200: "Replayed"}, body="Replay")
def replay_bin_request(bin_id: str, request_id: str) -> Answer:
    """Send a request to another URL."""
    url, row = request_reader.body()["url"], _find(bin_id, request_id)
    result = request_bins.replay(row, url, request_context.settings())
    more = {"headers": dict(result.headers), "error": result.error or None}
    return schema.of_row(result, REPLAYED_SCHEMA, more | authentication.packed("body", result.body))


def _find(bin_id: str, request_id: str) -> BinRequest:
    row = find(BinRequest, request_id)
    return row if row.bin_id == bin_id else abort(404)


def bin_request(row: BinRequest) -> dict[str, Any]:
    """Return a request as a list shows it. Like its headers, its query may have passwords of others."""
    shape = source_json.bin_request(row)
    is_hidden = row.query and not authentication.may("manage")
    return shape | {"query": HIDDEN} if is_hidden else shape
