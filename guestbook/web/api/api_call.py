"""A call of the API as its document describes it: its scope, its query and its headers.

First come the parameters of the query and the headers, then `Call`.
"""

from typing import Any, NamedTuple

from guestbook.lib.json_schema import ID_SCHEMA, TEXT_SCHEMA, TIME_SCHEMA, Schema, one_of
from guestbook.outbound import pull
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import filtered_lists
from guestbook.storage.models import comment as comments
from guestbook.storage.models import delivery, owner

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
STATUS_PARAMETER = in_query("status", one_of(*delivery.QUEUE_STATUSES), "Only rows with this status.")
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
    in_query("action", one_of(*owner.AUDITED_ACTIONS), "Only entries with this action."),
    in_query("actor", one_of(*owner.ACTORS), "Only entries of this kind of actor."),
    in_query("since", TIME_SCHEMA, "Only entries of this time or later."),
    in_query("until", TIME_SCHEMA, "Only entries before this time."),
)


WORD_SCHEMA: Schema = {"type": "string", "minLength": 1, "maxLength": filtered_lists.LETTERS}
LOOKS_BACK = "A page looks at some thousand rows and may be short: go on with `next`."
COMMENT_SEARCH = (
    in_query(
        "words",
        WORD_SCHEMA,
        "Only comments that have each of these words in a field that the visitor typed; needs a token. "
        + LOOKS_BACK,
    ),
)
TEXT_PARAMETER = in_query(
    "text",
    WORD_SCHEMA,
    "Only rows with this text in the payload, or in what became of it; needs the scope `manage`, because "
    f"payloads may have addresses that work like passwords. {LOOKS_BACK}",
)
DELIVERY_SEARCH = (
    in_query("comment", ID_SCHEMA, "Only deliveries about this comment."),
    TEXT_PARAMETER,
)
INBOX_SEARCH = (
    in_query("event", WORD_SCHEMA, "Only events of this name; `issues` is `issues.opened` too."),
    in_query("sender", WORD_SCHEMA, "Only events whose sender has this in its name."),
    in_query("external_id", WORD_SCHEMA, "Only the event with this id of the sender."),
    in_query("since", TIME_SCHEMA, "Only events received at this time or later."),
    in_query("until", TIME_SCHEMA, "Only events received before this time."),
    TEXT_PARAMETER,
)


KEY_HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
KEY_LIMIT = 255  # characters
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "schema": TEXT_SCHEMA,
    "description": "The `ETag` that you have read. If it changed since, the answer is 412.",
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": KEY_HEADER,
    "in": "header",
    "schema": {"type": "string", "pattern": KEY_PATTERN, "maxLength": KEY_LIMIT},
    "description": "Your string for this request, such as a UUID in double quotes. If you repeat the request "
    "with it within 24 hours, you get the first answer, and nothing changes.",
}


MODERATING = ("/comments", "/moderate", "/spam/end-flood")  # paths below which `moderate` is enough
PENDING = "GET /webhooks/{webhook_id}/pending"  # it leases what it returns


def scope(address: str) -> str:
    """Return the scope that a token needs for an address such as `PATCH /comments/{comment_id}`."""
    if address.startswith("GET ") and address != PENDING:
        return "read"
    return "moderate" if address.partition(" ")[2].startswith(MODERATING) else "manage"


class Call(NamedTuple):
    """A method at a path; errors that follow from the path, the token, the query and the body are added."""

    name: str
    summary: str
    good: dict[int, str | None]  # status → schema of the answer
    wrong: tuple[int, ...] = ()
    body: str | None = None  # its schema
    needs_body: bool = True
    query: tuple[dict[str, Any], ...] = ()
    token: str = "needed"  # or "optional" or "ignored"
    may_match: bool = False  # reads If-Match
