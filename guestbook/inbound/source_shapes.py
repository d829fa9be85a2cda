"""Sources, inbound events and bins as JSON, for the API and the commands, with their schemas."""

from dataclasses import asdict
from typing import Any

from guestbook.inbound import bins, verify_and_decide
from guestbook.inbound.bin_requests import Check
from guestbook.inbound.senders import SCHEME_DEFAULTS
from guestbook.inbound.sources import SOURCE_FIELDS
from guestbook.lib import body_encoding, json_schema
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
)
from guestbook.lib.verification.kinds import ED25519
from guestbook.outbound.webhook_shapes import ERASED_SCHEMA
from guestbook.settings import Settings
from guestbook.storage.models import Bin, BinRequest, InboundEvent, Source
from guestbook.storage.models.delivery import QUEUE_STATUSES
from guestbook.storage.models.source import ACTIONS, MENTIONS, VERIFY

SCHEME_PROPERTIES: Schema = {name: SOURCE_FIELDS[name].described for name in SCHEME_DEFAULTS}
SOURCE_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "name": TEXT_SCHEMA,
    "url": described(URL_SCHEMA, "The URL to give to the sender."),
    "verify": one_of(*VERIFY),
    "header": or_null(TEXT_SCHEMA),
    "scheme": {
        "description": "How the sender of hmac or ed25519 signs; null if the kind says it.",
        "oneOf": [answer(SCHEME_PROPERTIES, optional=("hash",)), {"type": "null"}],
    },
    "action": one_of(*ACTIONS, MENTIONS),
    "template": described(or_null(TEXT_SCHEMA), "Its template, for the action comment."),
    "relayed_since": described(
        or_null(TIME_SCHEMA), "Since when webhooks know of the comments that it makes; null: never."
    ),
    "forwarded_in_full_since": described(
        or_null(TIME_SCHEMA), "Since when it forwards payloads above 14 kB too; null: never."
    ),
    "budget_mb": NUMBER_SCHEMA,
    "created_at": TIME_SCHEMA,
    "previous_secret_expires_at": described(or_null(TIME_SCHEMA), "Until when the old secret is valid too."),
    "disabled_at": or_null(TIME_SCHEMA),
}
INBOUND_EVENT_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "source_id": ID_SCHEMA,
    "event": described(or_null(TEXT_SCHEMA), "The sender's name for it, once processed."),
    "external_id": described(or_null(TEXT_SCHEMA), "The sender's id for it, once verified."),
    "sender": described(or_null(TEXT_SCHEMA), "The person or program that the payload names."),
    "status": one_of(*QUEUE_STATUSES),
    "attempts": described(NUMBER_SCHEMA, "How often it was processed."),
    "claims": described(NUMBER_SCHEMA, "How often a pass took it; a killed pass counts too."),
    "claimed_by": described(or_null(TEXT_SCHEMA), "The pass that processes it now."),
    "due_at": or_null(TIME_SCHEMA),
    "received_at": TIME_SCHEMA,
    "processed_at": or_null(TIME_SCHEMA),
    "error": described(or_null(TEXT_SCHEMA), "Why it failed."),
    "note": described(or_null(TEXT_SCHEMA), "The action that was taken."),
    "comment_id": described(or_null(ID_SCHEMA), "The comment that it created or is about."),
    "unproven_bytes": described(NUMBER_SCHEMA, "Its part of the source's budget; 0 once verified."),
    "erased_at": ERASED_SCHEMA,
}
VERIFICATION_SCHEMA: Schema = {
    "ok": {"type": "boolean"},
    "sentence": TEXT_SCHEMA,
    "steps": {"type": "array", "items": answer({"name": TEXT_SCHEMA, "value": TEXT_SCHEMA})},
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
    "event_id": described(or_null(TEXT_SCHEMA), "Its webhook-id, if it has one such as ours."),
    "received_at": TIME_SCHEMA,
}
BODY_SCHEMA: Schema = {
    "body": described(TEXT_SCHEMA, "The bytes that are kept, in the encoding."),
    "encoding": one_of(*body_encoding.ENCODINGS, description="Base64 if it is not UTF-8 text."),
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


def source(row: Source, settings: Settings) -> dict[str, Any]:
    """Return a source without its secrets."""
    return json_schema.of_row(row, SOURCE_SCHEMA, {"url": row.url(settings.base_url), "scheme": _scheme(row)})


def inbound_event(row: InboundEvent) -> dict[str, Any]:
    """Return an inbound event as a list shows it."""
    return json_schema.of_row(row, INBOUND_EVENT_SCHEMA)


def inbound_event_in_full(row: InboundEvent, sender: Source, settings: Settings) -> dict[str, Any]:
    """Return an inbound event with its exact payload and its verification."""
    payload, encoding = body_encoding.pack(row.body)
    verdict = verify_and_decide.verify(row, sender, settings.secret_keys)
    steps = {"steps": [asdict(step) for step in verdict.steps]}
    return inbound_event(row) | {
        "headers": row.shown_headers,
        "payload": payload,
        "encoding": encoding,
        "verification": json_schema.of_row(verdict, VERIFICATION_SCHEMA, steps),
    }


def bin_(row: Bin, settings: Settings) -> dict[str, Any]:
    """Return a bin."""
    more = {"url": row.url(settings.base_url), "answer_type": row.answer_type.partition(";")[0]}
    return json_schema.of_row(row, BIN_SCHEMA, more)


def bin_request(row: BinRequest) -> dict[str, Any]:
    """Return a request as a list shows it."""
    return json_schema.of_row(row, BIN_REQUEST_SCHEMA)


def bin_request_in_full(row: BinRequest, check: Check) -> dict[str, Any]:
    """Return a request with its headers, its body and what its signatures prove."""
    body, encoding = body_encoding.pack(row.kept)
    return bin_request(row) | {
        "headers": [{"name": name, "value": value} for name, value in row.pairs],
        "body": body,
        "encoding": encoding,
        "signatures": [json_schema.of_row(one, ("header", "matches", "sentence")) for one in check.findings],
        "warning": check.warning,
    }


def _scheme(row: Source) -> dict[str, Any] | None:
    """Return how its sender signs, with the defaults filled in, as a request may have it."""
    scheme = row.signature_scheme
    if scheme is None:
        return None
    hash_name = {} if scheme.hash_name == ED25519 else {"hash": scheme.hash_name}
    return {
        **hash_name,
        "encoding": scheme.encoding,
        "prefix": scheme.prefix,
        "content": scheme.content,
        "timestamp_header": scheme.timestamp_header,
        "tolerance": scheme.tolerance,
    }
