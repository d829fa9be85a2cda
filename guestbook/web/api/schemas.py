"""The JSON Schemas of comments, webhooks and errors, and those that several calls share."""

from guestbook.comments import book, comment_form
from guestbook.comments.comment_shape import COMMENT_SCHEMA
from guestbook.inbound.source_shapes import INBOUND_EVENT_SCHEMA, VERIFICATION_SCHEMA
from guestbook.lib import body_encoding, ed25519, signing, template_sandbox, validate
from guestbook.lib.json_schema import (
    HEADERS_SCHEMA,
    TEXT_SCHEMA,
    URL_SCHEMA,
    Schema,
    answer,
    described,
    line,
    one_of,
    or_null,
    ref,
    request,
)
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.webhook_shapes import (
    ATTEMPT_SCHEMA,
    DELIVERY_SCHEMA,
    EVENTS_SCHEMA,
    RECEIVER_LINK_SCHEMA,
    WEBHOOK_SCHEMA,
)
from guestbook.outbound.webhooks import FORMATS_WITH_LINKS
from guestbook.storage.models import comment as comments
from guestbook.storage.models.delivery import SIGN_WITH
from guestbook.storage.models.owner import AUDIT_ENTRY_SCHEMA
from guestbook.transport import url_checks
from guestbook.web.error_pages import ERROR_TEXTS, InsufficientScope

SIGNING_KEY = "^whsk_[0-9A-Za-z+/]{43,86}={1,2}$"
GIVEN_SECRET: Schema = {
    "secret": {
        "type": "string",
        "minLength": signing.SHORTEST_SECRET,
        "maxLength": signing.LONGEST_SECRET,
        "description": f"The secret that the receiver has already: {signing.SECRET_FORMS}. "
        "Without it a new one is made.",
    }
}
GIVEN_KEY: Schema = {
    "signing_key": {
        "type": "string",
        "pattern": SIGNING_KEY,
        "maxLength": 100,
        "description": f"The private key whose public half the receiver has already: {ed25519.KEY_FORMS}. "
        "It signs alone, unless `sign_with` is `both`. No answer shows it.",
    }
}
SIGNATURE_FIELDS: Schema = {
    "sign_with": one_of(
        *SIGN_WITH,
        description="Sign with the secret, a key pair of Ed25519, or both. The key pair is made when it is "
        "chosen first, and deleted when the secret alone is chosen.",
    ),
    "github_headers": {
        "type": "boolean",
        "description": "Send X-GitHub-Event, X-GitHub-Delivery and X-GitHub-Hook-ID too.",
    },
    **GIVEN_KEY,
}


COMMENT_FIELDS: Schema = {
    "name": line(comment_form.VISITOR_NAME_LIMIT),
    "website": described(
        or_null({"type": "string", "maxLength": comment_form.WEBSITE_LIMIT}),
        "A website. Without http:// or https://, https:// is added.",
    ),
    "message": line(comment_form.MESSAGE_LIMIT),
    "place": described(
        or_null({"type": "string", "maxLength": comment_form.PLACE_LIMIT}),
        "Where the visitor comes from. A new comment may have it if the book asks for it.",
    ),
    "note": described(
        or_null({"type": "string", "maxLength": comment_form.OWNER_NOTE_LIMIT}),
        "A note to the owner alone. A new comment may have it if the book asks for it.",
    ),
}
ANSWER_FIELD: Schema = {
    "answer": described(
        or_null({"type": "string", "maxLength": comment_form.ANSWER_LIMIT}),
        "The answer to the owner's question, if the book has one. "
        "The error for a wrong answer has the question.",
    ),
}


MAX_OVERLAP_HOURS = 24 * 30  # how long an old secret may sign beside the new one
HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110 section 5.6.2
HEADER_VALUE = "^[ -~]*$"


def list_of(key: str, name: str) -> Schema:
    """Return the schema of a page of a list."""
    following = described(or_null(URL_SCHEMA), "The address of the next page; null on the last page.")
    return answer({key: {"type": "array", "items": ref(name)}, "next": following})


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
    "name": line(validate.NAME_LIMIT),
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
    **SIGNATURE_FIELDS,
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
                {"type": ["string", "null"], "maxLength": book.REPLY_LIMIT},
                "The owner's reply; null or an empty text removes it.",
            ),
        },
        minProperties=1,
    ),
    "NewWebhook": request(WEBHOOK_FIELDS | GIVEN_SECRET, required=("url",)),
    "WebhookChanges": request(WEBHOOK_FIELDS, minProperties=1),
    "Test": request({"event": one_of(*EVENTS, default="ping", description="Send an example of this event.")}),
    "Rotation": request(OVERLAP_FIELD | GIVEN_SECRET),
    "KeyRotation": request(OVERLAP_FIELD | GIVEN_KEY),
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
            "encoding": one_of(*body_encoding.ENCODINGS, description="Base64 if it is not UTF-8 text."),
            "verification": described(
                answer(VERIFICATION_SCHEMA),
                "Whether its signature is valid with the source's present settings.",
            ),
        }
    ),
    "InboundEvents": list_of("inbound_events", "InboundEvent"),
    "ReceiverLink": answer(RECEIVER_LINK_SCHEMA),
    "ReceiverLinks": list_of("receiver_links", "ReceiverLink"),
    "AuditEntry": answer(AUDIT_ENTRY_SCHEMA),
    "AuditEntries": list_of("audit", "AuditEntry"),
    "Error": answer({"error": answer(ERROR_SCHEMA, optional=("fields",))}),
}
