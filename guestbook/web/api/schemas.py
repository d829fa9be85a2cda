"""The JSON Schemas of requests and answers."""

from guestbook.comments import reply_size
from guestbook.lib import byte_text, template_sandbox, validate
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
    ref,
    request,
)
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.event_catalogue.data_parts import ORIGIN_SCHEMA, PUBLIC_COMMENT_FIELDS, REPLY_PART
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.webhooks import FORMATS_WITH_LINKS
from guestbook.storage.models import comment as comments
from guestbook.storage.models import delivery as deliveries
from guestbook.storage.models import queue_row
from guestbook.storage.models import webhook as webhooks
from guestbook.storage.models.comment import DECIDERS, DECISIONS
from guestbook.transport import url_checks
from guestbook.web.api import signature_schemas
from guestbook.web.api.comment_fields import ANSWER_FIELD, COMMENT_FIELDS
from guestbook.web.error_texts import ERROR_TEXTS, InsufficientScope

MAX_OVERLAP_HOURS = 24 * 30  # how long an old secret may sign beside the new one
HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110 section 5.6.2
HEADER_VALUE = "^[ -~]*$"
HEADERS_SCHEMA: Schema = {"type": "object", "additionalProperties": TEXT_SCHEMA}


def list_of(key: str, name: str) -> Schema:
    """Return the schema of a page of a list."""
    following = described(or_null(URL_SCHEMA), "The address of the next page; null on the last page.")
    return answer({key: {"type": "array", "items": ref(name)}, "next": following})


EVENTS_SCHEMA: Schema = {"type": "array", "items": one_of(*EVENTS)}
OWN_HEADERS: Schema = {
    "type": "object",
    "description": "All extra headers of the webhook. Later, the values are shown as (hidden). "
    "Of names that differ only in case, the last counts.",
    "propertyNames": {"type": "string", "pattern": HEADER_NAME, "maxLength": url_checks.HEADER_NAME_LIMIT},
    "additionalProperties": {
        "type": "string",
        "pattern": HEADER_VALUE,
        "maxLength": url_checks.HEADER_VALUE_LIMIT,
    },
    "maxProperties": url_checks.OWN_HEADERS_LIMIT,
}
WEBHOOK_FIELDS: Schema = {
    "url": {
        **URL_SCHEMA,  # with a host in any script; what may be sent to, transport decides
        "maxLength": url_checks.URL_LIMIT,
        "examples": ["https://example.org/hook"],
    },
    "name": {"type": "string", "minLength": 1, "maxLength": validate.NAME_LIMIT},
    "format": one_of(
        *FORMATS,
        description="The format of the body. Without it, a new webhook gets the format of the chat service "
        "whose URL it has, or json.",
    ),
    "template": described(
        or_null({"type": "string", "maxLength": template_sandbox.SOURCE_LIMIT}),
        "For the format template: a Jinja template whose result is the body, in JSON.",
    ),
    "events": {**EVENTS_SCHEMA, "minItems": 1, "maxItems": len(EVENTS), "uniqueItems": True},
    "headers": OWN_HEADERS,
    "rate": described(
        {"type": ["string", "null"], "maxLength": 20},
        "At most so many requests begin in any second or minute, such as 5/s or 30/m; null for no limit.",
    ),
    "moderation_links": {
        "type": "boolean",
        "description": "Put a link into messages about held comments, with which any reader can moderate; by "
        f"default for {', '.join(FORMATS_WITH_LINKS)}.",
    },
    "disabled": {
        "type": "boolean",
        "description": "Send nothing; deliveries wait until it is enabled. false ends a pause, too.",
    },
    **signature_schemas.SIGNATURE_FIELDS,
}
OVERLAP_FIELD: Schema = {
    "overlap_hours": {"type": "number", "minimum": 0, "maximum": MAX_OVERLAP_HOURS, "default": 24}
}

REQUEST_SCHEMAS: dict[str, Schema] = {
    "NewComment": request(COMMENT_FIELDS | ANSWER_FIELD, required=("name", "message")),
    "CommentChanges": request(
        {
            "status": one_of(*comments.COMMENT_STATUSES),
            **COMMENT_FIELDS,
            "reply": described(
                {"type": ["string", "null"], "maxLength": reply_size.REPLY_LIMIT},
                "The owner's reply; null or an empty text removes it.",
            ),
        },
        minProperties=1,
    ),
    "NewWebhook": request(WEBHOOK_FIELDS | signature_schemas.GIVEN_SECRET, required=("url",)),
    "WebhookChanges": request(WEBHOOK_FIELDS, minProperties=1),
    "Test": request({"event": one_of(*EVENTS, default="ping", description="Send an example of this event.")}),
    "Rotation": request(OVERLAP_FIELD | signature_schemas.GIVEN_SECRET),
    "KeyRotation": request(OVERLAP_FIELD | signature_schemas.GIVEN_KEY),
}

DECISION_SCHEMA: Schema = {
    "at": TIME_SCHEMA,
    "action": one_of(*DECISIONS),
    "actor": one_of(*DECIDERS),
    "name": described(or_null(TEXT_SCHEMA), "The name of a token, a command or a source."),
}
COMMENT_SCHEMA: Schema = {
    **PUBLIC_COMMENT_FIELDS,
    "reply": {"description": "The owner's reply.", "oneOf": [REPLY_PART.schema, {"type": "null"}]},
    "origin": ORIGIN_SCHEMA,
    "note": described(or_null(TEXT_SCHEMA), "The visitor's note to the owner; needs a token."),
    "reason": described(or_null(TEXT_SCHEMA), "Why it was held or marked as spam; needs a token."),
    "reasons": described(
        {"type": "array", "items": TEXT_SCHEMA},
        "All reasons of the spam rules for its first status, also of a published one; needs a token.",
    ),
    "decisions": described(
        {"type": "array", "items": answer(DECISION_SCHEMA)},
        "Who decided about it, the newest first; needs a token with the scope moderate.",
    ),
}
WEBHOOK_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "name": TEXT_SCHEMA,
    "url": URL_SCHEMA,
    "format": TEXT_SCHEMA,
    "template": described(or_null(TEXT_SCHEMA), "Its template, for the format template."),
    "events": EVENTS_SCHEMA,
    "headers": described(HEADERS_SCHEMA, "Its extra headers; their values are hidden."),
    "rate": described(or_null(TEXT_SCHEMA), "Its rate limit, such as 30/m."),
    "moderation_links_since": described(
        or_null(TIME_SCHEMA),
        "Since when its messages about held comments have links to moderate; null: never.",
    ),
    "next_slot_at": described(or_null(TIME_SCHEMA), "When its rate limit lets the next request begin."),
    "state": described(TEXT_SCHEMA, "How it is doing, in words for people."),
    "created_at": TIME_SCHEMA,
    "previous_secret_expires_at": or_null(TIME_SCHEMA),
    **signature_schemas.shown(TIME_SCHEMA),
    "disabled_at": or_null(TIME_SCHEMA),
    "disabled_reason": {"type": ["string", "null"], "enum": [*webhooks.DISABLED_REASONS, None]},
    "paused_until": or_null(TIME_SCHEMA),
    "failures_in_a_row": NUMBER_SCHEMA,
    "unreachable_in_a_row": NUMBER_SCHEMA,
    "failing_since": or_null(TIME_SCHEMA),
}
SECRET_SCHEMA: Schema = {
    "secret": described(TEXT_SCHEMA, "The receiver verifies with it. It is shown in this answer only.")
}
WARNINGS_SCHEMA: Schema = {
    "warnings": described(
        {"type": "array", "items": TEXT_SCHEMA},
        "Warnings about the accepted URL: its name resolves to a private address.",
    )
}
ERASED_SCHEMA: Schema = described(
    or_null(TIME_SCHEMA), "When its comment was deleted and the payload emptied."
)
DELIVERY_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "event_id": ID_SCHEMA,
    "webhook_id": ID_SCHEMA,
    "comment_id": or_null(ID_SCHEMA),
    "event": TEXT_SCHEMA,
    "sequence": described(
        {"type": ["integer", "null"], "minimum": 1},
        "The place of the event among those about its comment; null without a comment.",
    ),
    "status": one_of(*queue_row.QUEUE_STATUSES),
    "attempts": described(NUMBER_SCHEMA, "The number of requests made."),
    "due_at": or_null(TIME_SCHEMA),
    "created_at": TIME_SCHEMA,
    "finished_at": or_null(TIME_SCHEMA),
    "last_status_code": or_null({"type": "integer"}),
    "last_error": or_null(TEXT_SCHEMA),
    "erased_at": ERASED_SCHEMA,
}
ATTEMPT_SCHEMA: Schema = {
    "number": NUMBER_SCHEMA,
    "triggered_by": one_of(*deliveries.TRIGGERS),
    "started_at": TIME_SCHEMA,
    "milliseconds": NUMBER_SCHEMA,
    "status_code": or_null({"type": "integer"}),
    "error": or_null(TEXT_SCHEMA),
    "request_headers": HEADERS_SCHEMA,
    "response_headers": or_null(HEADERS_SCHEMA),
    "response_body": described(or_null(TEXT_SCHEMA), "Its first 16 KiB."),
}
INBOUND_EVENT_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "source_id": ID_SCHEMA,
    "event": described(or_null(TEXT_SCHEMA), "The sender's name for it, once processed."),
    "external_id": described(or_null(TEXT_SCHEMA), "The sender's id for it, once verified."),
    "sender": described(or_null(TEXT_SCHEMA), "The person or program that the payload names."),
    "status": one_of(*queue_row.QUEUE_STATUSES),
    "attempts": described(NUMBER_SCHEMA, "How often it was processed."),
    "due_at": or_null(TIME_SCHEMA),
    "received_at": TIME_SCHEMA,
    "processed_at": or_null(TIME_SCHEMA),
    "error": described(or_null(TEXT_SCHEMA), "Why it failed."),
    "note": described(or_null(TEXT_SCHEMA), "The action that was taken."),
    "comment_id": described(or_null(ID_SCHEMA), "The comment that it created or is about."),
    "erased_at": ERASED_SCHEMA,
}
VERIFICATION_SCHEMA: Schema = {
    "ok": {"type": "boolean"},
    "sentence": TEXT_SCHEMA,
    "steps": {"type": "array", "items": answer({"name": TEXT_SCHEMA, "value": TEXT_SCHEMA})},
}
ERROR_SCHEMA: Schema = {
    "code": one_of(*(text.code for text in ERROR_TEXTS.values()), InsufficientScope.code_word),
    "message": TEXT_SCHEMA,
    "fields": described(HEADERS_SCHEMA, "A sentence for each wrong field."),
    "request_id": described(TEXT_SCHEMA, "The request's number in the owner's log."),
}

ANSWER_SCHEMAS: dict[str, Schema] = {
    "Document": {"type": "object"},
    "Comment": answer(COMMENT_SCHEMA, optional=("origin", "note", "reason", "reasons", "decisions")),
    "Comments": list_of("comments", "Comment"),
    "Webhook": answer(WEBHOOK_SCHEMA | WARNINGS_SCHEMA, optional=("warnings",)),
    "WebhookWithSecret": answer(WEBHOOK_SCHEMA | SECRET_SCHEMA | WARNINGS_SCHEMA, optional=("warnings",)),
    "Webhooks": list_of("webhooks", "Webhook"),
    "Delivery": answer(DELIVERY_SCHEMA),
    "DeliveryWithAttempts": answer(
        DELIVERY_SCHEMA
        | {
            "payload": described(TEXT_SCHEMA, "The exact body of each attempt."),
            "attempts_made": {"type": "array", "items": ref("Attempt")},
        }
    ),
    "Deliveries": list_of("deliveries", "Delivery"),
    "Attempt": answer(ATTEMPT_SCHEMA),
    "InboundEvent": answer(INBOUND_EVENT_SCHEMA),
    "InboundEventInFull": answer(
        INBOUND_EVENT_SCHEMA
        | {
            "headers": described(HEADERS_SCHEMA, "The stored headers; secrets are hidden."),
            "payload": described(TEXT_SCHEMA, "The exact bytes received, in the encoding."),
            "encoding": one_of(*byte_text.ENCODINGS, description="Base64 if it is not UTF-8 text."),
            "verification": described(
                answer(VERIFICATION_SCHEMA),
                "Whether its signature is valid with the source's present settings.",
            ),
        }
    ),
    "InboundEvents": list_of("inbound_events", "InboundEvent"),
    "Error": answer({"error": answer(ERROR_SCHEMA, optional=("fields",))}),
}
