"""What may stand in the query of a list, as the document says it."""

from typing import Any

from guestbook.storage.models import comment as comments
from guestbook.storage.models import delivery as deliveries
from guestbook.storage.models import webhook as webhooks
from guestbook.web.api import schemas
from guestbook.web.api.json_schema import Schema, one_of

PAGE = range(1, 101)  # rows of one answer


def _in_query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _limit(default: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": PAGE[0], "maximum": PAGE[-1], "default": default}
    return _in_query("limit", schema, "How many at most.")


BEFORE = _in_query("before", schemas.ID, "Only those older than the one with this id.")
COMMENTS = (
    _limit(20),
    BEFORE,
    _in_query("after", schemas.ID, "Only those newer than the one with this id."),
    _in_query(
        "status",
        one_of("all", *comments.STATUSES, default="published"),
        "Others than published need a token.",
    ),
)
DELIVERIES = (
    _limit(20),
    BEFORE,
    _in_query("status", one_of(*deliveries.STATUSES), "Only those."),
    _in_query("webhook", schemas.ID, "Only those to the webhook with this id."),
    _in_query("event", one_of(*webhooks.EVENTS), "Only those of this event."),
    _in_query("since", schemas.TIME, "Only those made at this moment or later."),
    _in_query("until", schemas.TIME, "Only those made before this moment."),
)
INBOX = (
    _limit(20),
    BEFORE,
    _in_query("status", one_of(*deliveries.STATUSES), "Only those."),
    _in_query("source", schemas.ID, "Only those of the source with this id."),
)
