"""The JSON Schemas of the call that sends a webhook past events."""

from guestbook.comments.past_events import BACKFILLED_EVENTS
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    or_null,
    request,
)
from guestbook.web.api.bulk_schemas import DRY_RUN

MOST_BACKFILLED = 1000  # deliveries that a call makes, or a few more
BACKFILL_REQUESTS: dict[str, Schema] = {
    "Backfill": request(
        {
            "since": described(TIME_SCHEMA, "Events since then."),
            "pruned_too": {
                "type": "boolean",
                "default": False,
                "description": "Also events whose old deliveries may have been pruned.",
            },
            "after": described(
                or_null(ID_SCHEMA), "`next_after` of the last answer: go on after the comment with this id."
            ),
            **DRY_RUN,
        },
        required=("since",),
    )
}
BACKFILL_ANSWERS: dict[str, Schema] = {
    "Backfilled": answer({
        "deliveries": described(NUMBER_SCHEMA, "How many deliveries were made, or would be."),
        "comments": described(NUMBER_SCHEMA, "How many comments they are about."),
        "events": described(
            answer(
                dict.fromkeys(BACKFILLED_EVENTS, NUMBER_SCHEMA), optional=BACKFILLED_EVENTS
            ),
            "How many of each event.",
        ),
        "left": described(NUMBER_SCHEMA, "How many are left. A count ends soon after 10,000."),
        "next_after": described(
            or_null(ID_SCHEMA), "`after` for the next call; null when this one reached the end of the book."
        ),
        "there_already": described(NUMBER_SCHEMA, "Events of which the webhook has a delivery."),
        "maybe_pruned": described(
            NUMBER_SCHEMA, "Events that were left out, because their deliveries may have been pruned."
        ),
    })
}  # fmt: skip
