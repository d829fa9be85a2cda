"""What may stand in the query of a list, as the document says it."""

from typing import Any

from guestbook.storage.models import comment as comments
from guestbook.storage.models import delivery as deliveries
from guestbook.storage.models import webhook as webhooks
from guestbook.web.api import schemas
from guestbook.web.api.json_schema import Schema, one_of

PAGE_SIZES = range(1, 101)  # rows of one answer


def _in_query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _limit(default: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": PAGE_SIZES[0], "maximum": PAGE_SIZES[-1], "default": default}
    return _in_query("limit", schema, "How many at most.")


BEFORE_PARAMETER = _in_query("before", schemas.ID_SCHEMA, "Only those older than the one with this id.")
COMMENT_QUERY = (
    _limit(20),
    BEFORE_PARAMETER,
    _in_query("after", schemas.ID_SCHEMA, "Only those newer than the one with this id."),
    _in_query(
        "status",
        one_of("all", *comments.STATUSES, default="published"),
        "Others than published need a token.",
    ),
)
DELIVERY_QUERY = (
    _limit(20),
    BEFORE_PARAMETER,
    _in_query("status", one_of(*deliveries.STATUSES), "Only those."),
    _in_query("webhook", schemas.ID_SCHEMA, "Only those to the webhook with this id."),
    _in_query("event", one_of(*webhooks.EVENTS), "Only those of this event."),
    _in_query("since", schemas.TIME_SCHEMA, "Only those made at this moment or later."),
    _in_query("until", schemas.TIME_SCHEMA, "Only those made before this moment."),
)
INBOX_QUERY = (
    _limit(20),
    BEFORE_PARAMETER,
    _in_query("status", one_of(*deliveries.STATUSES), "Only those."),
    _in_query("source", schemas.ID_SCHEMA, "Only those of the source with this id."),
)
