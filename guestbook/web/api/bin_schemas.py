"""The JSON Schemas of bins and of the requests that they hold."""

from guestbook.inbound import bins
from guestbook.lib import byte_text, validate
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    URL_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
    request,
)
from guestbook.transport import url_checks
from guestbook.web.api.schemas import HEADERS_SCHEMA, list_of

BIN_FIELDS: Schema = {
    "name": {"type": "string", "minLength": 1, "maxLength": validate.NAME_LIMIT},
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
BIN_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "name": TEXT_SCHEMA,
    "url": described(URL_SCHEMA, "The URL that catches, also with a path behind it."),
    "answer_status": {"type": "integer"},
    "answer_body": TEXT_SCHEMA,
    "answer_type": one_of(*bins.ANSWER_TYPES),
    "delay_milliseconds": NUMBER_SCHEMA,
    "failures_left": NUMBER_SCHEMA,
    "created_at": TIME_SCHEMA,
}
BIN_REQUEST_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "bin_id": ID_SCHEMA,
    "method": TEXT_SCHEMA,
    "path": described(TEXT_SCHEMA, "The path behind the URL of the bin."),
    "query": TEXT_SCHEMA,
    "size": described(NUMBER_SCHEMA, "The length of its body in bytes; at most 256 kB are kept."),
    "answered": described({"type": "integer"}, "The status that it was answered with."),
    "received_at": TIME_SCHEMA,
}
BODY_SCHEMA: Schema = {
    "body": described(TEXT_SCHEMA, "The bytes that are kept, in the encoding."),
    "encoding": one_of(*byte_text.ENCODINGS, description="Base64 if it is not UTF-8 text."),
}
HEADER_PAIR: Schema = answer({"name": TEXT_SCHEMA, "value": TEXT_SCHEMA})
FINDING: Schema = answer({"header": TEXT_SCHEMA, "matches": {"type": "boolean"}, "sentence": TEXT_SCHEMA})
BIN_REQUEST_IN_FULL: Schema = {
    "headers": {
        "type": "array",
        "items": HEADER_PAIR,
        "description": "The headers in their order. Values are hidden from tokens that may not manage.",
    },
    **BODY_SCHEMA,
    "signatures": {
        "type": "array",
        "items": FINDING,
        "description": "Whether its signatures match a secret or a key of the book's webhooks.",
    },
    "warning": described(or_null(TEXT_SCHEMA), "Why a receiver refuses it although the signature matches."),
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
