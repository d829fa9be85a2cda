"""The API's calls for sources and bins, with their schemas."""

from guestbook.inbound import bins, sources
from guestbook.inbound.senders import PRESETS, SENDER_PRESETS
from guestbook.inbound.source_shapes import (
    BIN_REQUEST_IN_FULL,
    BIN_REQUEST_SCHEMA,
    BIN_SCHEMA,
    BODY_SCHEMA,
    HEADER_FIELD,
    SCHEME_PROPERTIES,
    SOURCE_SCHEMA,
)
from guestbook.lib import template_sandbox, validate
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
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, VERIFY
from guestbook.transport import url_checks
from guestbook.web.api.api_call import FULL_PAGE_QUERY, PAGE_QUERY, Call
from guestbook.web.api.schemas import OVERLAP_FIELD, list_of

SECRET_FIELD: Schema = {
    "secret": {
        "type": "string",
        "minLength": 1,
        "maxLength": sources.SECRET_LIMIT,
        "description": "The secret that the sender shows. Without it a new one is made, unless only the "
        "sender can make it.",
    }
}
SOURCE_FIELDS: Schema = {
    "name": line(validate.NAME_LIMIT),
    "preset": one_of(
        *SENDER_PRESETS,
        description="A known sender: it sets how the source is verified. Other fields override that.",
    ),
    "verify": one_of(*VERIFY, description="How its webhooks are verified. Another way ends the old secrets."),
    **SECRET_FIELD,
    "header": described(HEADER_FIELD, "The header with the signature of hmac or ed25519, or with the token."),
    "scheme": described(request(SCHEME_PROPERTIES), "How the sender of hmac or ed25519 signs."),
    "action": one_of(*ACTIONS, description="Keep its events, write comments, or forward them to webhooks."),
    "template": {
        "type": "string",
        "maxLength": template_sandbox.SOURCE_LIMIT,
        "description": "For the action comment: a Jinja template, or the name of a ready-made one: "
        f"{', '.join(PRESETS)}.",
    },
    "relayed": {"type": "boolean", "description": "Let webhooks know of the comments that it makes."},
    "forwarded_in_full": {
        "type": "boolean",
        "description": "Forward payloads above 14 kB too, up to 1 MB.",
    },
    "budget_mb": {
        "type": "integer",
        "minimum": sources.LEAST_MB,
        "maximum": sources.MOST_MB,
        "description": f"Megabytes for events that are not verified yet, {BUDGET_MB} by default.",
    },
    "disabled": {"type": "boolean", "description": "Store its events; they wait until it is enabled."},
}
NEW_SECRET: Schema = {
    "secret": described(
        or_null(TEXT_SCHEMA), "The sender signs with it. It is shown only in the answer that makes it."
    )
}
SOURCE_REQUEST_SCHEMAS: dict[str, Schema] = {
    "NewSource": request(SOURCE_FIELDS, required=("name",)),
    "SourceChanges": request(SOURCE_FIELDS, minProperties=1),
    "SourceTest": request(
        {
            "event": {
                **TEXT_SCHEMA,
                "maxLength": 100,
                "description": "The sample, such as issues.opened; by default the first of the sender.",
            }
        }
    ),
    "SourceRotation": request(OVERLAP_FIELD | SECRET_FIELD),
}
SOURCE_ANSWER_SCHEMAS: dict[str, Schema] = {
    "Source": answer(SOURCE_SCHEMA | NEW_SECRET, optional=("secret",)),
    "SourceWithSecret": answer(SOURCE_SCHEMA | NEW_SECRET),
    "Sources": list_of("sources", "Source"),
}


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


SOURCE_CALLS = {
    "GET /sources": Call("listSources", "List the sources", {200: "Sources"}, query=FULL_PAGE_QUERY),
    "POST /sources": Call("createSource", "Add a source", {201: "SourceWithSecret"}, body="NewSource"),
    "GET /sources/{source_id}": Call("getSource", "Show a source", {200: "Source"}),
    "PATCH /sources/{source_id}": Call(
        "updateSource",
        "Change a source; other fields stay",
        {200: "Source"},
        body="SourceChanges",
        may_match=True,
    ),
    "DELETE /sources/{source_id}": Call(
        "deleteSource", "Delete a source with all its events", {204: None}, may_match=True
    ),
    "POST /sources/{source_id}/test": Call(
        "testSource",
        "Send a sample event to a source, signed as its sender signs",
        {202: "InboundEvent"},
        body="SourceTest",
        needs_body=False,
    ),
    "POST /sources/{source_id}/rotate-secret": Call(
        "rotateSourceSecret",
        "Rotate the secret; the old one also counts for some hours",
        {200: "SourceWithSecret"},
        body="SourceRotation",
        needs_body=False,
    ),
    "POST /sources/{source_id}/reveal-secret": Call(
        "revealSourceSecret",
        "Show the secret of a source; it needs the owner's password",
        {200: "Secret"},
        (409, 429),
        body="Reveal",
    ),
    "GET /bins": Call("listBins", "List the bins", {200: "Bins"}, query=FULL_PAGE_QUERY),
    "POST /bins": Call("createBin", "Add a bin", {201: "Bin"}, body="NewBin"),
    "GET /bins/{bin_id}": Call("getBin", "Show a bin", {200: "Bin"}),
    "PATCH /bins/{bin_id}": Call(
        "updateBin", "Change a bin; other fields stay", {200: "Bin"}, body="BinChanges", may_match=True
    ),
    "DELETE /bins/{bin_id}": Call("deleteBin", "Delete a bin with its requests", {204: None}, may_match=True),
    "GET /bins/{bin_id}/requests": Call(
        "listBinRequests", "List the requests that a bin holds", {200: "BinRequests"}, query=PAGE_QUERY
    ),
    "DELETE /bins/{bin_id}/requests": Call("clearBin", "Delete the requests of a bin", {204: None}),
    "GET /bins/{bin_id}/requests/{request_id}": Call(
        "getBinRequest",
        "Show a request with its body, and check its signatures",
        {200: "BinRequestInFull"},
    ),
    "POST /bins/{bin_id}/requests/{request_id}/replay": Call(
        "replayBinRequest", "Send a request to another URL", {200: "Replayed"}, body="Replay"
    ),
}
