"""The query parameters of the lists."""

from typing import Any

from guestbook.lib.json_schema import ID_SCHEMA, TIME_SCHEMA, Schema, one_of
from guestbook.outbound import pull
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage.models import audit_entry, queue_row
from guestbook.storage.models import comment as comments

LONGEST_POLL = 25  # seconds: proxies give up after thirty
LONGEST_PAGE = 100  # rows


def in_query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def page_size(default: int) -> dict[str, Any]:
    """Return the parameter for the size of a page."""
    size = {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": default}
    return in_query("limit", size, "The maximum number of rows.")


BEFORE_PARAMETER = in_query("before", ID_SCHEMA, "Only rows older than the one with this id.")
PAGE_QUERY = (page_size(20), BEFORE_PARAMETER)
FULL_PAGE_QUERY = (page_size(LONGEST_PAGE), BEFORE_PARAMETER)  # most books have fewer rows of the kind
EVENT_QUERY = (
    page_size(LONGEST_PAGE),
    in_query("before", one_of(*EVENTS), "Only the events that follow this one in the list."),
)
STATUS_PARAMETER = in_query("status", one_of(*queue_row.QUEUE_STATUSES), "Only rows with this status.")
COMMENT_QUERY = (
    *PAGE_QUERY,
    in_query("after", ID_SCHEMA, "Only rows newer than the one with this id."),
    in_query(
        "status",
        one_of("all", *comments.COMMENT_STATUSES, default="published"),
        "Any status but published needs a token.",
    ),
)
DELIVERY_QUERY = (
    *PAGE_QUERY,
    STATUS_PARAMETER,
    in_query("webhook", ID_SCHEMA, "Only deliveries to this webhook."),
    in_query("event", one_of(*EVENTS), "Only deliveries of this event."),
    in_query("since", TIME_SCHEMA, "Only deliveries created at this time or later."),
    in_query("until", TIME_SCHEMA, "Only deliveries created before this time."),
)
PENDING_QUERY = (
    in_query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": pull.MOST_TAKEN, "default": 10},
        "The maximum number of deliveries.",
    ),
    in_query(
        "wait",
        {"type": "integer", "minimum": 0, "maximum": LONGEST_POLL, "default": 0},
        "Wait so many seconds for the first one.",
    ),
    in_query(
        "first_token",
        ID_SCHEMA,
        "The token of your first answer. Deliveries that you had leased before it are handed out at once.",
    ),
)
INBOX_QUERY = (
    *PAGE_QUERY,
    STATUS_PARAMETER,
    in_query("source", ID_SCHEMA, "Only events of this source."),
)
AUDIT_QUERY = (
    *PAGE_QUERY,
    in_query("action", one_of(*audit_entry.AUDITED_ACTIONS), "Only entries with this action."),
    in_query("actor", one_of(*audit_entry.ACTORS), "Only entries of this kind of actor."),
    in_query("since", TIME_SCHEMA, "Only entries of this time or later."),
    in_query("until", TIME_SCHEMA, "Only entries before this time."),
)
