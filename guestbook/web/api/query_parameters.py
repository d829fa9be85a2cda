"""The query parameters of the lists."""

from typing import Any

from guestbook.lib.json_schema import ID_SCHEMA, TIME_SCHEMA, Schema, one_of
from guestbook.outbound import pull
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage.models import audit_entry, queue_row
from guestbook.storage.models import comment as comments

LONGEST_POLL = 25  # seconds: proxies give up after thirty
PAGE_SIZE = {"minimum": 1, "maximum": 100, "default": 20}  # rows


def _in_query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


PAGE_QUERY = (
    _in_query("limit", {"type": "integer", **PAGE_SIZE}, "The maximum number of rows."),
    _in_query("before", ID_SCHEMA, "Only rows older than the one with this id."),
)
STATUS_PARAMETER = _in_query("status", one_of(*queue_row.QUEUE_STATUSES), "Only rows with this status.")
COMMENT_QUERY = (
    *PAGE_QUERY,
    _in_query("after", ID_SCHEMA, "Only rows newer than the one with this id."),
    _in_query(
        "status",
        one_of("all", *comments.COMMENT_STATUSES, default="published"),
        "Any status but published needs a token.",
    ),
)
DELIVERY_QUERY = (
    *PAGE_QUERY,
    STATUS_PARAMETER,
    _in_query("webhook", ID_SCHEMA, "Only deliveries to this webhook."),
    _in_query("event", one_of(*EVENTS), "Only deliveries of this event."),
    _in_query("since", TIME_SCHEMA, "Only deliveries created at this time or later."),
    _in_query("until", TIME_SCHEMA, "Only deliveries created before this time."),
)
PENDING_QUERY = (
    _in_query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": pull.MOST_TAKEN, "default": 10},
        "The maximum number of deliveries.",
    ),
    _in_query(
        "wait",
        {"type": "integer", "minimum": 0, "maximum": LONGEST_POLL, "default": 0},
        "Wait so many seconds for the first one.",
    ),
)
INBOX_QUERY = (
    *PAGE_QUERY,
    STATUS_PARAMETER,
    _in_query("source", ID_SCHEMA, "Only events of this source."),
)
AUDIT_QUERY = (
    *PAGE_QUERY,
    _in_query("action", one_of(*audit_entry.AUDITED_ACTIONS), "Only entries with this action."),
    _in_query("actor", one_of(*audit_entry.ACTORS), "Only entries of this kind of actor."),
    _in_query("since", TIME_SCHEMA, "Only entries of this time or later."),
    _in_query("until", TIME_SCHEMA, "Only entries before this time."),
)
