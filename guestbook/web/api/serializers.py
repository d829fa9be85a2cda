"""Rows as JSON, as far as the token of a request may see them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request

from guestbook.comments import comment_shape
from guestbook.inbound import source_shapes
from guestbook.inbound.bin_requests import Check, Replayed
from guestbook.lib.json_schema import JSON_SCHEMA_DIALECT
from guestbook.lib.redaction import HIDDEN
from guestbook.outbound import webhook_shapes
from guestbook.outbound.event_catalogue import EventType
from guestbook.queries.filtered_lists import RowPage
from guestbook.storage.database import db
from guestbook.storage.models import (
    Attempt,
    Bin,
    BinRequest,
    Comment,
    Delivery,
    InboundEvent,
    Source,
    Webhook,
)
from guestbook.web import request_context
from guestbook.web.api import authentication, openapi_document, token_view

Shape = dict[str, Any]
M = TypeVar("M")


def address(path: str) -> str:
    """Return the absolute address of a path of the API."""
    return f"{request_context.settings().base_url}{openapi_document.API_PATH}{path}"


def comment(row: Comment) -> Shape:
    """Return a comment; with a token also the note and the reasons, and who decided if it may moderate."""
    if not authentication.has_token():
        return comment_shape.public(row, request_context.settings().base_url)
    shape = comment_shape.for_owner(row, request_context.settings().base_url)
    if not authentication.may("moderate"):
        del shape["decisions"]
    return shape


def webhook(row: Webhook, *, with_secret: bool = False) -> Shape:
    """Return a webhook; its secret only when new, and never the values of its headers."""
    shape = webhook_shapes.webhook(db.session(), row) | {"url": token_view.url(row.url)}
    return shape | {"secret": row.secret} if with_secret else shape


def delivery_with_attempts(row: Delivery, attempts: Sequence[Attempt]) -> Shape:
    """Return a delivery with its body and every attempt. A receiver may repeat the URL or the payload."""
    webhook_url = db.session.get_one(Webhook, row.webhook_id).url

    def shown(text: str) -> str:
        return token_view.about_request(text, webhook_url)

    shape = webhook_shapes.delivery_with_attempts(row, attempts)
    for made in shape["attempts_made"]:
        answer, headers = made["response_body"], made["response_headers"]
        made["response_headers"] = headers and {name: shown(value) for name, value in headers.items()}
        made["response_body"] = answer and shown(answer)
    return shape | {"payload": shown(shape["payload"])}


def source(row: Source, *, with_secret: bool = False) -> Shape:
    """Return a source; its secret only when new."""
    shape = source_shapes.source(row, request_context.settings())
    return shape | {"secret": row.secret} if with_secret else shape


def inbound_event_in_full(row: InboundEvent, sender: Source) -> Shape:
    """Return an inbound event with its exact payload and its verification."""
    shape = source_shapes.inbound_event_in_full(row, sender, request_context.settings())
    return shape | _packed("payload", row.body)


def bin_(row: Bin) -> Shape:
    """Return a bin."""
    return source_shapes.bin_(row, request_context.settings())


def bin_request(row: BinRequest) -> Shape:
    """Return a request as a list shows it. Like its headers, its query may have passwords of others."""
    shape = source_shapes.bin_request(row)
    is_hidden = row.query and not authentication.may("manage")
    return shape | {"query": HIDDEN} if is_hidden else shape


def bin_request_in_full(row: BinRequest, check: Check) -> Shape:
    """Return a request with its headers, its body and what its signatures prove.

    Its headers may have passwords of others, also those that a webhook of the book sends.
    """
    shape = source_shapes.bin_request_in_full(row, check) | bin_request(row)
    if not authentication.may("manage"):
        shape["headers"] = [{**pair, "value": HIDDEN} for pair in shape["headers"]]
    return shape | _packed("body", row.kept)


def replayed(result: Replayed) -> Shape:
    """Return the answer to a request that was sent again."""
    return {
        "url": result.url,
        "milliseconds": result.milliseconds,
        "status": result.status,
        "headers": dict(result.headers),
        **_packed("body", result.body),
        "error": result.error or None,
    }


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
    this = f"{request_context.settings().base_url}{request.path}"
    following = f"{this}?{urlencode(asked | {'before': found.older})}" if found.older else None
    return {key: [serialize(row) for row in found.rows], "next": following}


def _packed(name: str, content: bytes) -> Shape:
    """Return bytes as text or in Base64, without what the token may not see."""
    packed, encoding = token_view.packed(content)
    return {name: packed, "encoding": encoding}
