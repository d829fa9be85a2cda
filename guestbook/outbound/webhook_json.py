"""Webhooks, deliveries and links of receivers as JSON, for the API and the commands, with their schemas."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import clock, json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.lib.redaction import HIDDEN
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import webhook_status
from guestbook.storage.models import Attempt, Delivery, ReceiverLink, Webhook
from guestbook.storage.models.delivery import DISABLED_REASONS, QUEUE_STATUSES, SIGN_WITH, TRIGGERS

EVENTS_SCHEMA: Schema = schema.array(schema.one_of(*EVENTS))
WEBHOOK_SCHEMA: Schema = {
    "id": schema.ID,
    "name": schema.TEXT,
    "url": schema.URL,
    "format": schema.TEXT,
    "version": schema.text("The version of its payloads: a date."),
    "template": schema.text_or_null("Its template, for the format template."),
    "events": EVENTS_SCHEMA,
    "event_condition": schema.text_or_null("It gets only the events for which this is true."),
    "headers": schema.headers("Its extra headers; their values are hidden."),
    "rate": schema.text_or_null("Its rate limit, such as 30/m."),
    "moderation_links_since": schema.time_or_null(
        "Since when its messages about held comments have links to moderate; null: never."
    ),
    "next_slot_at": schema.time_or_null("When its rate limit lets the next request begin."),
    "state": schema.text("How it is doing, in words for people."),
    "created_at": schema.TIME,
    "previous_secret_expires_at": schema.or_null(schema.TIME),
    "sign_with": schema.one_of(*SIGN_WITH, description="Whether its secret, its key or both sign."),
    "public_key": schema.text_or_null("The key with which receivers verify; null if only the secret signs."),
    "previous_public_key": schema.text_or_null("The key before the last rotation."),
    "previous_signing_key_expires_at": schema.time_or_null("Until when that one also signs."),
    "github_headers_since": schema.time_or_null("Since when GitHub's headers come too; null: never."),
    "disabled_at": schema.or_null(schema.TIME),
    "disabled_reason": {"type": ["string", "null"], "enum": [*DISABLED_REASONS, None]},
    "paused_until": schema.or_null(schema.TIME),
    "failures_in_a_row": schema.NUMBER,
    "unreachable_in_a_row": schema.NUMBER,
    "failing_since": schema.or_null(schema.TIME),
}
ERASED_SCHEMA: Schema = schema.time_or_null("When its comment was deleted and the payload emptied.")
DELIVERY_SCHEMA: Schema = {
    "id": schema.ID,
    "event_id": schema.ID,
    "webhook_id": schema.ID,
    "comment_id": schema.or_null(schema.ID),
    "event": schema.TEXT,
    "version": schema.text("The version of its payload: a date."),
    "sequence": schema.or_null(
        schema.integer(
            "The place of the event among those about its comment; null without a comment.", minimum=1
        )
    ),
    "status": schema.one_of(*QUEUE_STATUSES),
    "attempts": schema.number("The number of requests made."),
    "claims": schema.number("How often a pass took it; a killed pass counts too."),
    "claimed_by": schema.text_or_null("The pass that sends it now."),
    "schedule_start": schema.number("The attempts made before the retry schedule began again."),
    "due_at": schema.or_null(schema.TIME),
    "created_at": schema.TIME,
    "finished_at": schema.or_null(schema.TIME),
    "last_status_code": schema.or_null(schema.integer()),
    "last_error": schema.or_null(schema.TEXT),
    "erased_at": ERASED_SCHEMA,
}
ATTEMPT_SCHEMA: Schema = {
    "delivery_id": schema.ID,
    "number": schema.NUMBER,
    "triggered_by": schema.one_of(*TRIGGERS),
    "started_at": schema.TIME,
    "milliseconds": schema.NUMBER,
    "status_code": schema.or_null(schema.integer()),
    "error": schema.or_null(schema.TEXT),
    "request_headers": schema.HEADERS,
    "response_headers": schema.or_null(schema.HEADERS),
    "response_body": schema.text_or_null("Its first 16 KiB."),
}
RECEIVER_LINK_SCHEMA: Schema = {
    "id": schema.ID,
    "webhook_id": schema.ID,
    "name": schema.text("The person or team that gets the link."),
    "state": schema.one_of("works", "expired", "revoked"),
    "created_at": schema.TIME,
    "expires_at": schema.TIME,
    "revoked_at": schema.or_null(schema.TIME),
    "last_used_at": schema.time_or_null("Its last use, to the hour."),
}


def webhook(session: Session, row: Webhook) -> dict[str, Any]:
    """Return a webhook without its secrets and the values of its headers."""
    more = {
        "template": webhooks.template_of(session, row),
        "events": row.events.split(),
        "headers": dict.fromkeys(row.headers, HIDDEN),
        "state": webhook_status.in_short(row, clock.now()),
    }
    return schema.of_row(row, WEBHOOK_SCHEMA, more)


def delivery(row: Delivery) -> dict[str, Any]:
    """Return a delivery as a list shows it."""
    return schema.of_row(row, DELIVERY_SCHEMA)


def delivery_with_attempts(session: Session, row: Delivery) -> dict[str, Any]:
    """Return a delivery with its exact body and every attempt."""
    query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.number)
    made = [schema.of_row(attempt, ATTEMPT_SCHEMA) for attempt in session.scalars(query)]
    return delivery(row) | {"payload": row.body.decode(errors="replace"), "attempts_made": made}


def receiver_link(row: ReceiverLink) -> dict[str, Any]:
    """Return a link to the page of a webhook's receiver, without its address."""
    return schema.of_row(row, RECEIVER_LINK_SCHEMA, {"state": row.state(clock.now())})
