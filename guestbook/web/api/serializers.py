"""Rows as JSON: keys named like the columns, times as text, and no secrets."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request

from guestbook.inbound import evaluate, event_view
from guestbook.lib import clock
from guestbook.lib.json_schema import JSON_SCHEMA_DIALECT
from guestbook.lib.redaction import HIDDEN
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue.event_type import EventType
from guestbook.queries import webhook_status
from guestbook.queries.lists import RowPage
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, AuditEntry, Comment, Delivery, InboundEvent, Source, Webhook
from guestbook.web import current
from guestbook.web.api import audit_schema, authentication, openapi_document, row_shape, schemas, token_view

Shape = dict[str, Any]
M = TypeVar("M")


def address(path: str) -> str:
    """Return the absolute address of a path of the API."""
    return f"{current.settings().base_url}{openapi_document.API_PATH}{path}"


def comment(row: Comment) -> Shape:
    """Return a comment; with a token also the note and the reasons, and who decided if it may moderate."""
    shape: Shape = row.public(current.settings().base_url)
    shape["reply"] = row.reply.public() if row.reply else None
    for_owner: Shape = {"note": row.note, "reason": row.reason, "reasons": row.all_reasons}
    if authentication.may("moderate"):
        for_owner["decisions"] = [one.public() for one in row.all_decisions]
    return shape | for_owner if authentication.has_token() else shape


def webhook(row: Webhook, *, with_secret: bool = False) -> Shape:
    """Return a webhook; its secret only when new, and never the values of its headers."""
    more = {
        "template": webhooks.template_of(db.session(), row),
        "events": row.events.split(),
        "url": token_view.url(row.url),
        "headers": dict.fromkeys(row.headers, HIDDEN),
        "state": webhook_status.in_short(row, clock.now()),
    }
    shape = row_shape.of(row, schemas.WEBHOOK_SCHEMA, more)
    return shape | {"secret": row.secret} if with_secret else shape


def delivery(row: Delivery) -> Shape:
    """Return a delivery as a list shows it."""
    return row_shape.of(row, schemas.DELIVERY_SCHEMA)


def delivery_with_attempts(row: Delivery, attempts: Sequence[Attempt]) -> Shape:
    """Return a delivery with its exact body and every attempt."""
    webhook_url = db.session.get_one(Webhook, row.webhook_id).url

    def shown(text: str) -> str:
        return token_view.about_request(text, webhook_url)

    made = []
    for attempt in attempts:  # a receiver may repeat the URL or the payload
        answer, headers = attempt.response_body, attempt.response_headers
        more = {
            "response_headers": headers and {name: shown(value) for name, value in headers.items()},
            "response_body": answer and shown(answer),
        }
        made.append(row_shape.of(attempt, schemas.ATTEMPT_SCHEMA, more))
    return delivery(row) | {"payload": shown(row.body.decode(errors="replace")), "attempts_made": made}


def inbound_event(row: InboundEvent) -> Shape:
    """Return an inbound event as a list shows it."""
    return row_shape.of(row, schemas.INBOUND_EVENT_SCHEMA)


def inbound_event_in_full(row: InboundEvent, source: Source) -> Shape:
    """Return an inbound event with its exact payload and its verification."""
    verdict = evaluate.verify(row, source, current.settings().secret_keys)
    payload, encoding = token_view.packed(row.body)
    return inbound_event(row) | {
        "headers": event_view.headers(row),
        "payload": payload,
        "encoding": encoding,
        "verification": asdict(verdict),
    }


def audit_entry(row: AuditEntry) -> Shape:
    """Return an entry of the audit log."""
    return row_shape.of(row, audit_schema.AUDIT_ENTRY_SCHEMA)


def event_type(event: EventType) -> Shape:
    """Return an event of the catalogue, with a schema that needs no other document."""
    return {
        "name": event.name,
        "when": event.when,
        "since": event.since,
        "schema": {"$schema": JSON_SCHEMA_DIALECT, **event.schema()},
        "example": event.example(),
    }


def page(key: str, found: RowPage[M], serialize: Callable[[M], Shape], asked: Shape) -> Shape:
    """Return a page of a list with the address of the next page, which keeps the other parameters."""
    this = f"{current.settings().base_url}{request.path}"
    following = f"{this}?{urlencode(asked | {'before': found.older})}" if found.older else None
    return {key: [serialize(row) for row in found.rows], "next": following}
