"""Sources, inbound events and bins as JSON, for the API and the commands, with their schemas."""

from typing import Any

from guestbook.inbound import request_bins, verify_and_decide
from guestbook.inbound.request_bins import Check
from guestbook.inbound.sender_presets import SCHEME_DEFAULTS
from guestbook.inbound.sources import SOURCE_FIELDS
from guestbook.lib import body_encoding, json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.lib.verification.kinds import ED25519
from guestbook.outbound.webhook_json import ERASED_SCHEMA
from guestbook.settings import Settings
from guestbook.storage.models import Bin, BinRequest, InboundEvent, Source
from guestbook.storage.models.delivery import QUEUE_STATUSES
from guestbook.storage.models.source import ACTIONS, MENTIONS, VERIFY

SCHEME_PROPERTIES: Schema = {name: SOURCE_FIELDS[name].described for name in SCHEME_DEFAULTS}
SOURCE_SCHEMA: Schema = {
    "id": schema.ID,
    "name": schema.TEXT,
    "url": schema.url("The URL to give to the sender."),
    "verify": schema.one_of(*VERIFY),
    "header": schema.or_null(schema.TEXT),
    "scheme": {
        "description": "How the sender of hmac or ed25519 signs; null if the kind says it.",
        "oneOf": [schema.answer(SCHEME_PROPERTIES, optional=("hash",)), {"type": "null"}],
    },
    "action": schema.one_of(*ACTIONS, MENTIONS),
    "template": schema.text_or_null("Its template, for the action comment."),
    "event_condition": schema.text_or_null("It acts only on the events for which this is true."),
    "relayed_since": schema.time_or_null(
        "Since when webhooks know of the comments that it makes; null: never."
    ),
    "forwarded_in_full_since": schema.time_or_null(
        "Since when it forwards payloads above 14 kB too; null: never."
    ),
    "budget_mb": schema.NUMBER,
    "created_at": schema.TIME,
    "previous_secret_expires_at": schema.time_or_null("Until when the old secret is valid too."),
    "disabled_at": schema.or_null(schema.TIME),
}
INBOUND_EVENT_SCHEMA: Schema = {
    "id": schema.ID,
    "source_id": schema.ID,
    "event": schema.text_or_null("The sender's name for it, once processed."),
    "external_id": schema.text_or_null("The sender's id for it, once verified."),
    "sender": schema.text_or_null("The person or program that the payload names."),
    "status": schema.one_of(*QUEUE_STATUSES),
    "attempts": schema.number("How often it was processed."),
    "claims": schema.number("How often a pass took it; a killed pass counts too."),
    "claimed_by": schema.text_or_null("The pass that processes it now."),
    "due_at": schema.or_null(schema.TIME),
    "received_at": schema.TIME,
    "processed_at": schema.or_null(schema.TIME),
    "error": schema.text_or_null("Why it failed."),
    "note": schema.text_or_null("The action that was taken."),
    "comment_id": schema.id_or_null("The comment that it created or is about."),
    "unproven_bytes": schema.number("Its part of the source's budget; 0 once verified."),
    "erased_at": ERASED_SCHEMA,
}
VERIFICATION_SCHEMA: Schema = {
    "ok": schema.boolean(),
    "sentence": schema.TEXT,
    "steps": schema.array(schema.answer({"name": schema.TEXT, "value": schema.TEXT})),
}
BIN_SCHEMA: Schema = {
    "id": schema.ID,
    "name": schema.TEXT,
    "url": schema.url("The URL that catches, also with a path behind it."),
    "answer_status": schema.integer(),
    "answer_body": schema.TEXT,
    "answer_type": schema.one_of(*request_bins.ANSWER_TYPES),
    "delay_milliseconds": schema.NUMBER,
    "failures_left": schema.NUMBER,
    "created_at": schema.TIME,
}
BIN_REQUEST_SCHEMA: Schema = {
    "id": schema.ID,
    "bin_id": schema.ID,
    "method": schema.TEXT,
    "path": schema.text("The path behind the URL of the bin."),
    "query": schema.TEXT,
    "size": schema.number("The length of its body in bytes; at most 256 kB are kept."),
    "answered": schema.integer("The status that it was answered with."),
    "event_id": schema.text_or_null("Its webhook-id, if it has one such as ours."),
    "received_at": schema.TIME,
}
BODY_SCHEMA: Schema = {
    "body": schema.text("The bytes that are kept, in the encoding."),
    "encoding": schema.one_of(*body_encoding.ENCODINGS, description="Base64 if it is not UTF-8 text."),
}
HEADER_PAIR: Schema = schema.answer({"name": schema.TEXT, "value": schema.TEXT})
FINDING: Schema = schema.answer({"header": schema.TEXT, "matches": schema.boolean(), "sentence": schema.TEXT})
BIN_REQUEST_IN_FULL: Schema = {
    "headers": schema.array(
        HEADER_PAIR, "The headers in their order. Values are hidden from tokens that may not manage."
    ),
    **BODY_SCHEMA,
    "signatures": schema.array(
        FINDING, "Whether its signatures match a secret or a key of the book's webhooks."
    ),
    "warning": schema.text_or_null("Why a receiver refuses it although the signature matches."),
}


def source(row: Source, settings: Settings) -> dict[str, Any]:
    """Return a source without its secrets."""
    return schema.of_row(row, SOURCE_SCHEMA, {"url": row.url(settings.base_url), "scheme": _scheme(row)})


def inbound_event(row: InboundEvent) -> dict[str, Any]:
    """Return an inbound event as a list shows it."""
    return schema.of_row(row, INBOUND_EVENT_SCHEMA)


def inbound_event_in_full(row: InboundEvent, sender: Source, settings: Settings) -> dict[str, Any]:
    """Return an inbound event with its exact payload and its verification."""
    payload, encoding = body_encoding.pack(row.body)
    verdict = verify_and_decide.verify(row, sender, settings.secret_keys)
    steps = {"steps": [step._asdict() for step in verdict.steps]}
    return inbound_event(row) | {
        "headers": row.shown_headers,
        "payload": payload,
        "encoding": encoding,
        "verification": schema.of_row(verdict, VERIFICATION_SCHEMA, steps),
    }


def bin_(row: Bin, settings: Settings) -> dict[str, Any]:
    """Return a bin."""
    more = {"url": row.url(settings.base_url), "answer_type": row.answer_type.partition(";")[0]}
    return schema.of_row(row, BIN_SCHEMA, more)


def bin_request(row: BinRequest) -> dict[str, Any]:
    """Return a request as a list shows it."""
    return schema.of_row(row, BIN_REQUEST_SCHEMA)


def bin_request_in_full(row: BinRequest, check: Check) -> dict[str, Any]:
    """Return a request with its headers, its body and what its signatures prove."""
    body, encoding = body_encoding.pack(row.kept)
    return bin_request(row) | {
        "headers": [{"name": name, "value": value} for name, value in row.pairs],
        "body": body,
        "encoding": encoding,
        "signatures": [one._asdict() for one in check.findings],
        "warning": check.warning,
    }


def _scheme(row: Source) -> dict[str, Any] | None:
    """Return how its sender signs, with the defaults filled in, as a request may have it."""
    scheme = row.signature_scheme
    if scheme is None:
        return None
    names = [name for name in SCHEME_DEFAULTS if name != "hash" or scheme.hash_name != ED25519]
    return schema.of_row(scheme, names, {"hash": scheme.hash_name})
