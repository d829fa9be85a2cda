"""The JSON Schemas of bins and of the requests that they hold."""

from guestbook.inbound import bins
from guestbook.inbound.source_shapes import BIN_REQUEST_IN_FULL, BIN_REQUEST_SCHEMA, BIN_SCHEMA, BODY_SCHEMA
from guestbook.lib import validate
from guestbook.lib.json_schema import (
    HEADERS_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    URL_SCHEMA,
    Schema,
    answer,
    described,
    line,
    one_of,
    or_null,
    request,
)
from guestbook.transport import url_checks
from guestbook.web.api.schemas import list_of

BIN_FIELDS: Schema = {
    "name": line(validate.NAME_LIMIT),
    "answer_status": {
        "type": "integer",
        "minimum": 200,
        "maximum": 599,
        "description": "The status that it answers, 200 by default.",
    },
    "answer_body": {
        "type": "string",
        "maxLength": bins.BIN_ANSWER_LIMIT,
        "description": "The text that it answers, none by default.",
    },
    "answer_type": one_of(*bins.ANSWER_TYPES, description="The content type of that text."),
    "delay_milliseconds": {
        "type": "integer",
        "minimum": 0,
        "maximum": int(bins.DELAY_LIMIT * 1000),
        "description": "How long it waits before it answers.",
    },
    "failures_left": {
        "type": "integer",
        "minimum": 0,
        "maximum": bins.FAILURES_LIMIT,
        "description": "How many requests it answers with 500 first.",
    },
}
REPLAYED_SCHEMA: Schema = {
    "url": URL_SCHEMA,
    "milliseconds": NUMBER_SCHEMA,
    "status": described(or_null({"type": "integer"}), "The status of the answer; null without one."),
    "headers": HEADERS_SCHEMA,
    **BODY_SCHEMA,
    "error": described(or_null(TEXT_SCHEMA), "Why there is no answer, or why it is not complete."),
}
BIN_REQUEST_BODIES: dict[str, Schema] = {
    "NewBin": request(BIN_FIELDS),
    "BinChanges": request(BIN_FIELDS, minProperties=1),
    "Replay": request(
        {"url": {**URL_SCHEMA, "maxLength": url_checks.URL_LIMIT}},
        required=("url",),
    ),
}
BIN_ANSWER_BODIES: dict[str, Schema] = {
    "Bin": answer(BIN_SCHEMA),
    "Bins": list_of("bins", "Bin"),
    "BinRequest": answer(BIN_REQUEST_SCHEMA),
    "BinRequests": list_of("requests", "BinRequest"),
    "BinRequestInFull": answer(BIN_REQUEST_SCHEMA | BIN_REQUEST_IN_FULL),
    "Replayed": answer(REPLAYED_SCHEMA),
}
