"""The API's calls for deliveries and inbound events, with the schemas of those for many rows."""

from guestbook.comments import moderation_actions
from guestbook.comments.moderation_actions import MODERATION_ACTIONS
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    request,
)
from guestbook.web.api.api_call import DELIVERY_QUERY, DELIVERY_SEARCH, INBOX_QUERY, INBOX_SEARCH, Call

MOST_REQUEUED = 500  # ids in one request
DRY_RUN: Schema = {
    "dry_run": {"type": "boolean", "default": False, "description": "Only count them."},
}


def _ids(most: int) -> Schema:
    return {"type": "array", "items": ID_SCHEMA, "minItems": 1, "maxItems": most, "uniqueItems": True}


def _requeue(rows: str, owner: str) -> Schema:
    """Return the schema of a request that has either ids or `failed`, with which the rest goes."""
    nothing: Schema = {"not": {}}
    fields = {
        "ids": described(_ids(MOST_REQUEUED), f"These {rows}."),
        "failed": {"type": "boolean", "description": f"All failed {rows}, in place of ids."},
        owner: described(ID_SCHEMA, f"With failed: only those of this {owner}."),
        "since": described(TIME_SCHEMA, "With failed: only those made at this time or later."),
        **DRY_RUN,
    }
    with_ids = {"properties": {"failed": {"const": False}, owner: nothing, "since": nothing}}
    without = {"properties": {"failed": {"const": True}}, "required": ["failed"]}
    return {
        **request(fields),
        "if": {"properties": {"ids": {}}, "required": ["ids"]},
        "then": with_ids,
        "else": without,
    }


REQUEUE_GROUP: Schema = {
    "name": described(TEXT_SCHEMA, "The name of the webhook or source."),
    "disabled": described({"type": "boolean"}, "Whether they wait until it is enabled."),
    "pulled": described({"type": "boolean"}, "Whether no pass sends them, but its receiver fetches them."),
    "count": described(NUMBER_SCHEMA, "How many of its rows are or would be due."),
    "later": described(NUMBER_SCHEMA, "Those of them that follow others about the same comment."),
    "leased": described(NUMBER_SCHEMA, "Rows that stay as they are, because a pass works on them."),
    "erased": described(NUMBER_SCHEMA, "Rows that stay as they are, because their comment was deleted."),
}
BULK_REQUESTS: dict[str, Schema] = {
    "Redelivery": _requeue("deliveries", "webhook"),
    "Reprocessing": _requeue("inbound events", "source"),
    "Moderation": request(
        {
            "action": one_of(
                *MODERATION_ACTIONS,
                description="restore moves them from the trash or the spam to where they were, and delete "
                "removes them for good.",
            ),
            "ids": described(_ids(moderation_actions.BULK_LIMIT), "These comments."),
        },
        required=("action", "ids"),
    ),
}
BULK_ANSWERS: dict[str, Schema] = {
    "Requeued": answer(
        {
            "count": described(NUMBER_SCHEMA, "How many rows are due now, or would be."),
            "groups": described(
                {"type": "array", "items": answer(REQUEUE_GROUP)},
                "The forecast for each webhook or source, made just before.",
            ),
        }
    ),
    "Moderated": answer(
        {
            "done": described(
                {"type": "array", "items": ID_SCHEMA}, "The ids of the comments to which it was done."
            ),
            "missing": described({"type": "array", "items": ID_SCHEMA}, "The ids that no comment has."),
        }
    ),
}


QUEUE_CALLS = {
    "GET /deliveries": Call(
        "listDeliveries", "List deliveries", {200: "Deliveries"}, query=DELIVERY_QUERY + DELIVERY_SEARCH
    ),
    "GET /deliveries/{delivery_id}": Call(
        "getDelivery", "Show a delivery with its attempts", {200: "DeliveryWithAttempts"}
    ),
    "POST /deliveries/{delivery_id}/redeliver": Call(
        "redeliver", "Make a delivery due again, with the same id and payload", {202: "Delivery"}, (409,)
    ),
    "POST /redeliver": Call(
        "redeliverMany",
        "Redeliver many deliveries, or all that failed; or only count them",
        {200: "Requeued", 202: "Requeued"},
        body="Redelivery",
    ),
    "GET /inbox": Call(
        "listInboundEvents", "List inbound events", {200: "InboundEvents"}, query=INBOX_QUERY + INBOX_SEARCH
    ),
    "GET /inbox/{event_id}": Call(
        "getInboundEvent",
        "Show an inbound event with its payload and how it was verified",
        {200: "InboundEventInFull"},
    ),
    "POST /inbox/{event_id}/reprocess": Call(
        "reprocessInboundEvent", "Reprocess with the next pass", {202: "InboundEvent"}, (409,)
    ),
    "POST /reprocess": Call(
        "reprocessMany",
        "Reprocess many inbound events, or all that failed; or only count them",
        {200: "Requeued", 202: "Requeued"},
        body="Reprocessing",
    ),
}
