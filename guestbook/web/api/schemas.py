"""The shapes of what is asked and answered, as JSON Schema; the document shows them."""

from guestbook.comments import book, comment_form
from guestbook.lib import byte_text, template_sandbox, validate
from guestbook.outbound.formats import FORMATS
from guestbook.storage.models import comment as comments
from guestbook.storage.models import delivery as deliveries
from guestbook.storage.models import webhook as webhooks
from guestbook.transport import url_checks
from guestbook.web.api.json_schema import Schema, answer, one_of, or_null, ref, request
from guestbook.web.error_pages import CODES, InsufficientScope

MOST_OVERLAP = 24 * 30  # hours for which an old secret may sign beside the new one
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
ID_PATTERN = "^[0-9a-f]{32}$"
HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110 section 5.6.2
HEADER_VALUE = "^[ -~]*$"
ID: Schema = {"type": "string", "pattern": ID_PATTERN}
URL: Schema = {"type": "string", "format": "uri"}
TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2026-01-31T23:59:59.123Z"]}
HEADERS: Schema = {"type": "object", "additionalProperties": TEXT}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": comment_form.VISITOR_NAME_LIMIT}
MESSAGE: Schema = {"type": "string", "minLength": 1, "maxLength": comment_form.MESSAGE_LIMIT}


def list_of(key: str, name: str) -> Schema:
    """Return the schema of a page of a list."""
    following = {**or_null(URL), "description": "The address of the next page; null on the last."}
    return answer({key: {"type": "array", "items": ref(name)}, "next": following})


WEBSITE: Schema = {
    **or_null({"type": "string", "maxLength": comment_form.WEBSITE_LIMIT}),
    "description": "The address of a website; without http:// or https:// it gets https://.",
}
EVENTS: Schema = {"type": "array", "items": one_of(*webhooks.EVENTS)}
OWN_HEADERS: Schema = {
    "type": "object",
    "description": "All headers of its own that the webhook sends. The values are shown as (hidden) later. "
    "Of names that differ in case alone the last one counts.",
    "propertyNames": {"type": "string", "pattern": HEADER_NAME, "maxLength": url_checks.NAME_LIMIT},
    "additionalProperties": {
        "type": "string",
        "pattern": HEADER_VALUE,
        "maxLength": url_checks.VALUE_LIMIT,
    },
    "maxProperties": url_checks.HEADERS_LIMIT,
}
WEBHOOK_FIELDS: Schema = {
    "url": {
        **URL,  # with a host in any script; what may be sent to, transport decides
        "maxLength": url_checks.URL_LIMIT,
        "examples": ["https://example.org/hook"],
    },
    "name": {"type": "string", "minLength": 1, "maxLength": validate.NAME_LIMIT},
    "format": one_of(
        *FORMATS,
        description="How the body is written. Without it, a new webhook gets the one of the chat service "
        "whose URL it has, or json.",
    ),
    "template": {
        **or_null({"type": "string", "maxLength": template_sandbox.SOURCE_LIMIT}),
        "description": "For the format template: a Jinja template that gives the body, which must be JSON.",
    },
    "events": {**EVENTS, "minItems": 1, "maxItems": len(webhooks.EVENTS), "uniqueItems": True},
    "headers": OWN_HEADERS,
    "disabled": {"type": "boolean", "description": "Send nothing; what is for it waits until it is enabled."},
}

REQUESTS: dict[str, Schema] = {
    "NewComment": request(
        {"name": NAME, "website": WEBSITE, "message": MESSAGE}, required=("name", "message")
    ),
    "CommentChanges": request(
        {
            "status": one_of(*comments.STATUSES),
            "name": NAME,
            "website": WEBSITE,
            "message": MESSAGE,
            "reply": {
                "type": ["string", "null"],
                "maxLength": book.REPLY_LIMIT,
                "description": "What the owner answers; null or an empty text takes the answer away.",
            },
        },
        minProperties=1,
    ),
    "NewWebhook": request(WEBHOOK_FIELDS, required=("url",)),
    "WebhookChanges": request(WEBHOOK_FIELDS, minProperties=1),
    "Rotation": request(
        {"overlap_hours": {"type": "number", "minimum": 0, "maximum": MOST_OVERLAP, "default": 24}}
    ),
}

COMMENT: Schema = {
    "id": ID,
    "name": TEXT,
    "website": or_null(TEXT),  # as it was typed, so its host may be in any script, which no URI has
    "message": TEXT,
    "status": one_of(*comments.STATUSES),
    "url": URL,
    "created_at": TIME,
    "reply": {
        "description": "What the owner answered.",
        "oneOf": [answer({"message": TEXT, "created_at": TIME}), {"type": "null"}],
    },
    "origin": {
        **answer({"name": TEXT, "url": or_null(TEXT)}),
        "description": "Where it came from, and its address there; missing where a visitor wrote it.",
    },
    "reason": {**or_null(TEXT), "description": "Why it was held or taken for spam; with a token only."},
}
WEBHOOK: Schema = {
    "id": ID,
    "name": TEXT,
    "url": URL,
    "format": TEXT,
    "template": {**or_null(TEXT), "description": "What gives its body, where its format is template."},
    "events": EVENTS,
    "headers": {**HEADERS, "description": "Its own headers; their values are not shown."},
    "state": {**TEXT, "description": "How it is doing, in words for people."},
    "created_at": TIME,
    "previous_secret_expires_at": or_null(TIME),
    "disabled_at": or_null(TIME),
    "disabled_reason": {"type": ["string", "null"], "enum": [*webhooks.DISABLED_REASONS, None]},
    "paused_until": or_null(TIME),
    "failures_in_a_row": NUMBER,
    "unreachable_in_a_row": NUMBER,
    "failing_since": or_null(TIME),
}
SECRET: Schema = {
    "secret": {**TEXT, "description": "What the receiver verifies with. It is shown in this answer only."}
}
WARNINGS: Schema = {
    "warnings": {
        "type": "array",
        "items": TEXT,
        "description": "What is doubtful about a URL that was taken: its name leads to a private address.",
    }
}
ERASED: Schema = {
    **or_null(TIME),
    "description": "When its comment was deleted for good; the payload is empty since then.",
}
DELIVERY: Schema = {
    "id": ID,
    "event_id": ID,
    "webhook_id": ID,
    "comment_id": or_null(ID),
    "event": TEXT,
    "status": one_of(*deliveries.STATUSES),
    "attempts": {**NUMBER, "description": "How many requests were made."},
    "due_at": or_null(TIME),
    "created_at": TIME,
    "finished_at": or_null(TIME),
    "last_status_code": or_null({"type": "integer"}),
    "last_error": or_null(TEXT),
    "erased_at": ERASED,
}
ATTEMPT: Schema = {
    "number": NUMBER,
    "triggered_by": one_of(*deliveries.TRIGGERS),
    "started_at": TIME,
    "milliseconds": NUMBER,
    "status_code": or_null({"type": "integer"}),
    "error": or_null(TEXT),
    "request_headers": HEADERS,
    "response_headers": or_null(HEADERS),
    "response_body": {**or_null(TEXT), "description": "Its first 16 KiB."},
}
INBOUND_EVENT: Schema = {
    "id": ID,
    "source_id": ID,
    "event": {**or_null(TEXT), "description": "What the sender calls it, once a pass has read it."},
    "external_id": {**or_null(TEXT), "description": "The sender's own id for it, once it is proven."},
    "sender": {**or_null(TEXT), "description": "Who was behind it, as the payload says."},
    "status": one_of(*deliveries.STATUSES),
    "attempts": {**NUMBER, "description": "How often a pass has come to an end with it."},
    "due_at": or_null(TIME),
    "received_at": TIME,
    "processed_at": or_null(TIME),
    "error": {**or_null(TEXT), "description": "Why it failed."},
    "note": {**or_null(TEXT), "description": "What was done with it."},
    "comment_id": {**or_null(ID), "description": "The comment that it became or is about."},
    "erased_at": ERASED,
}
VERIFICATION: Schema = {
    "ok": {"type": "boolean"},
    "sentence": TEXT,
    "steps": {"type": "array", "items": answer({"name": TEXT, "value": TEXT})},
}
ERROR: Schema = {
    "code": one_of(*CODES.values(), InsufficientScope.code_word),
    "message": TEXT,
    "fields": {**HEADERS, "description": "A sentence for each field that is wrong."},
    "request_id": {**TEXT, "description": "What the owner finds in the log."},
}

ANSWERS: dict[str, Schema] = {
    "Document": {"type": "object"},
    "Comment": answer(COMMENT, optional=("origin", "reason")),
    "Comments": list_of("comments", "Comment"),
    "Webhook": answer(WEBHOOK | WARNINGS, optional=("warnings",)),
    "WebhookWithSecret": answer(WEBHOOK | SECRET | WARNINGS, optional=("warnings",)),
    "Webhooks": answer({"webhooks": {"type": "array", "items": ref("Webhook")}}),
    "Delivery": answer(DELIVERY),
    "DeliveryWithAttempts": answer(
        DELIVERY
        | {
            "payload": {**TEXT, "description": "The exact body of each attempt."},
            "attempts_made": {"type": "array", "items": ref("Attempt")},
        }
    ),
    "Deliveries": list_of("deliveries", "Delivery"),
    "Attempt": answer(ATTEMPT),
    "InboundEvent": answer(INBOUND_EVENT),
    "InboundEventInFull": answer(
        INBOUND_EVENT
        | {
            "headers": {**HEADERS, "description": "Those that were kept; a secret shows as (hidden)."},
            "payload": {**TEXT, "description": "What came, byte for byte, in the encoding."},
            "encoding": one_of(*byte_text.ENCODINGS, description="Base64 is for what is no text in UTF-8."),
            "verification": {
                **answer(VERIFICATION),
                "description": "Whether it is proven to be the sender's, with the source as it is set now.",
            },
        }
    ),
    "InboundEvents": list_of("inbound_events", "InboundEvent"),
    "Error": answer({"error": answer(ERROR, optional=("fields",))}),
}
