"""The query parameters of the lists."""

from typing import Any

from guestbook.storage.models import comment as comments
from guestbook.storage.models import queue_row
from guestbook.storage.models import webhook as webhooks
from guestbook.web.api import schemas
from guestbook.web.api.json_schema import Schema, one_of

PAGE_SIZES = range(1, 101)  # rows per page


def _in_query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _limit(default: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": PAGE_SIZES[0], "maximum": PAGE_SIZES[-1], "default": default}
    return _in_query("limit", schema, "The maximum number of rows.")


BEFORE_PARAMETER = _in_query("before", schemas.ID_SCHEMA, "Only rows older than the one with this id.")
COMMENT_QUERY = (
    _limit(20),
    BEFORE_PARAMETER,
    _in_query("after", schemas.ID_SCHEMA, "Only rows newer than the one with this id."),
    _in_query(
        "status",
        one_of("all", *comments.COMMENT_STATUSES, default="published"),
        "Any status but published needs a token.",
    ),
)
DELIVERY_QUERY = (
    _limit(20),
    BEFORE_PARAMETER,
    _in_query("status", one_of(*queue_row.QUEUE_STATUSES), "Only rows with this status."),
    _in_query("webhook", schemas.ID_SCHEMA, "Only deliveries to this webhook."),
    _in_query("event", one_of(*webhooks.EVENTS), "Only deliveries of this event."),
    _in_query("since", schemas.TIME_SCHEMA, "Only deliveries created at this time or later."),
    _in_query("until", schemas.TIME_SCHEMA, "Only deliveries created before this time."),
)
INBOX_QUERY = (
    _limit(20),
    BEFORE_PARAMETER,
    _in_query("status", one_of(*queue_row.QUEUE_STATUSES), "Only rows with this status."),
    _in_query("source", schemas.ID_SCHEMA, "Only events of this source."),
)
