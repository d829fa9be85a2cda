"""The API's calls for deliveries and inbound events."""

from guestbook.web.api.api_call import Call
from guestbook.web.api.query_parameters import DELIVERY_QUERY, INBOX_QUERY
from guestbook.web.api.search_parameters import DELIVERY_SEARCH, INBOX_SEARCH

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
