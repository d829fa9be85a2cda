"""Webhooks, deliveries and links of receivers as JSON, for the API and the commands, with their schemas."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from guestbook.lib import clock, json_schema
from guestbook.lib.json_schema import (
    HEADERS_SCHEMA,
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    URL_SCHEMA,
    Schema,
    described,
    one_of,
    or_null,
)
from guestbook.lib.redaction import HIDDEN
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import webhook_status
from guestbook.storage.models import Attempt, Delivery, ReceiverLink, Webhook
from guestbook.storage.models.delivery import DISABLED_REASONS, QUEUE_STATUSES, SIGN_WITH, TRIGGERS

EVENTS_SCHEMA: Schema = {"type": "array", "items": one_of(*EVENTS)}
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
    "sign_with": one_of(*SIGN_WITH, description="Whether its secret, its key or both sign."),
    "public_key": described(
        or_null(TEXT_SCHEMA), "The key with which receivers verify; null if only the secret signs."
    ),
    "previous_public_key": described(or_null(TEXT_SCHEMA), "The key before the last rotation."),
    "previous_signing_key_expires_at": described(or_null(TIME_SCHEMA), "Until when that one also signs."),
    "github_headers_since": described(
        or_null(TIME_SCHEMA), "Since when GitHub's headers come too; null: never."
    ),
    "disabled_at": or_null(TIME_SCHEMA),
    "disabled_reason": {"type": ["string", "null"], "enum": [*DISABLED_REASONS, None]},
    "paused_until": or_null(TIME_SCHEMA),
    "failures_in_a_row": NUMBER_SCHEMA,
    "unreachable_in_a_row": NUMBER_SCHEMA,
    "failing_since": or_null(TIME_SCHEMA),
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
    "status": one_of(*QUEUE_STATUSES),
    "attempts": described(NUMBER_SCHEMA, "The number of requests made."),
    "claims": described(NUMBER_SCHEMA, "How often a pass took it; a killed pass counts too."),
    "claimed_by": described(or_null(TEXT_SCHEMA), "The pass that sends it now."),
    "schedule_start": described(NUMBER_SCHEMA, "The attempts made before the retry schedule began again."),
    "due_at": or_null(TIME_SCHEMA),
    "created_at": TIME_SCHEMA,
    "finished_at": or_null(TIME_SCHEMA),
    "last_status_code": or_null({"type": "integer"}),
    "last_error": or_null(TEXT_SCHEMA),
    "erased_at": ERASED_SCHEMA,
}
ATTEMPT_SCHEMA: Schema = {
    "delivery_id": ID_SCHEMA,
    "number": NUMBER_SCHEMA,
    "triggered_by": one_of(*TRIGGERS),
    "started_at": TIME_SCHEMA,
    "milliseconds": NUMBER_SCHEMA,
    "status_code": or_null({"type": "integer"}),
    "error": or_null(TEXT_SCHEMA),
    "request_headers": HEADERS_SCHEMA,
    "response_headers": or_null(HEADERS_SCHEMA),
    "response_body": described(or_null(TEXT_SCHEMA), "Its first 16 KiB."),
}
RECEIVER_LINK_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "webhook_id": ID_SCHEMA,
    "name": described(TEXT_SCHEMA, "The person or team that gets the link."),
    "state": one_of("works", "expired", "revoked"),
    "created_at": TIME_SCHEMA,
    "expires_at": TIME_SCHEMA,
    "revoked_at": or_null(TIME_SCHEMA),
    "last_used_at": described(or_null(TIME_SCHEMA), "Its last use, to the hour."),
}


def webhook(session: Session, row: Webhook) -> dict[str, Any]:
    """Return a webhook without its secrets and the values of its headers."""
    more = {
        "template": webhooks.template_of(session, row),
        "events": row.events.split(),
        "headers": dict.fromkeys(row.headers, HIDDEN),
        "state": webhook_status.in_short(row, clock.now()),
    }
    return json_schema.of_row(row, WEBHOOK_SCHEMA, more)


def delivery(row: Delivery) -> dict[str, Any]:
    """Return a delivery as a list shows it."""
    return json_schema.of_row(row, DELIVERY_SCHEMA)


def delivery_with_attempts(row: Delivery, attempts: Iterable[Attempt]) -> dict[str, Any]:
    """Return a delivery with its exact body and every attempt."""
    made = [json_schema.of_row(attempt, ATTEMPT_SCHEMA) for attempt in attempts]
    return delivery(row) | {"payload": row.body.decode(errors="replace"), "attempts_made": made}


def receiver_link(row: ReceiverLink) -> dict[str, Any]:
    """Return a link to the page of a webhook's receiver, without its address."""
    return json_schema.of_row(row, RECEIVER_LINK_SCHEMA, {"state": row.state(clock.now())})
