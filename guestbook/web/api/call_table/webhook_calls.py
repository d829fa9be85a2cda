"""The API's calls for webhooks, and for receivers that fetch their deliveries, with their schemas."""

from guestbook.comments.backfill import BACKFILLED_EVENTS
from guestbook.lib.json_schema import (
    HEADERS_SCHEMA,
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    or_null,
    ref,
    request,
)
from guestbook.outbound import pull
from guestbook.web.api.api_call import FULL_PAGE_QUERY, PENDING, PENDING_QUERY, Call
from guestbook.web.api.call_table.queue_calls import DRY_RUN

LONGEST_ATTEMPT = 24 * 3600 * 1000  # milliseconds
ERROR_TEXT_LIMIT = 300  # characters

RESULT_SCHEMA = request(
    {
        "id": ID_SCHEMA,
        "ok": described({"type": "boolean"}, "True if the receiver has it and needs no other attempt."),
        "status_code": or_null({"type": "integer", "minimum": 100, "maximum": 999}),
        "error": described(or_null({**TEXT_SCHEMA, "maxLength": ERROR_TEXT_LIMIT}), "Why it failed."),
        "milliseconds": {**NUMBER_SCHEMA, "maximum": LONGEST_ATTEMPT, "default": 0},
    },
    required=("id", "ok"),
)
PULL_REQUEST_SCHEMAS: dict[str, Schema] = {
    "Commit": request(
        {
            "token": described(ID_SCHEMA, "The one that came with the deliveries."),
            "results": {"type": "array", "items": RESULT_SCHEMA, "minItems": 1, "maxItems": pull.MOST_TAKEN},
        },
        required=("token", "results"),
    )
}
PULL_ANSWER_SCHEMAS: dict[str, Schema] = {
    "TakenDelivery": answer(
        {
            "id": ID_SCHEMA,
            "event": TEXT_SCHEMA,
            "payload": described(TEXT_SCHEMA, "The exact body."),
            "headers": described(HEADERS_SCHEMA, "The headers of the request, with the signatures."),
        }
    ),
    "TakenDeliveries": answer(
        {
            "token": described(ID_SCHEMA, "Send it with the commit."),
            "lease_seconds": described(NUMBER_SCHEMA, "Commit within it, or they are handed out again."),
            "retry_after": described(NUMBER_SCHEMA, "Ask again after so many seconds."),
            "deliveries": {"type": "array", "items": ref("TakenDelivery")},
        }
    ),
    "Committed": answer(
        {
            "recorded": described(NUMBER_SCHEMA, "The number of results that count."),
            "late": described(NUMBER_SCHEMA, "The number of those whose lease had run out."),
        }
    ),
}


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


WEBHOOK_CALLS = {
    "GET /webhooks": Call("listWebhooks", "List the webhooks", {200: "Webhooks"}, query=FULL_PAGE_QUERY),
    "POST /webhooks": Call("createWebhook", "Add a webhook", {201: "WebhookWithSecret"}, body="NewWebhook"),
    "GET /webhooks/{webhook_id}": Call("getWebhook", "Show a webhook", {200: "Webhook"}),
    "PATCH /webhooks/{webhook_id}": Call(
        "updateWebhook",
        "Change a webhook; other fields stay",
        {200: "Webhook"},
        body="WebhookChanges",
        may_match=True,
    ),
    "DELETE /webhooks/{webhook_id}": Call(
        "deleteWebhook", "Delete a webhook with all its deliveries", {204: None}, may_match=True
    ),
    "POST /webhooks/{webhook_id}/test": Call(
        "testWebhook",
        "Send a ping, or an example of an event: its delivery is due at once",
        {202: "Delivery"},
        body="Test",
        needs_body=False,
    ),
    "POST /webhooks/{webhook_id}/backfill": Call(
        "backfillWebhook",
        "Send a webhook past events that it has not had, or only count them",
        {200: "Backfilled", 202: "Backfilled"},
        body="Backfill",
    ),
    "POST /webhooks/{webhook_id}/rotate-secret": Call(
        "rotateWebhookSecret",
        "Rotate the secret; the old one also signs for some hours",
        {200: "WebhookWithSecret"},
        body="Rotation",
        needs_body=False,
    ),
    "POST /webhooks/{webhook_id}/reveal-secret": Call(
        "revealWebhookSecret",
        "Show the secret of a webhook; it needs the owner's password",
        {200: "Secret"},
        (409, 429),
        body="Reveal",
    ),
    "POST /webhooks/{webhook_id}/rotate-key": Call(
        "rotateWebhookKey",
        "Rotate the key pair; the old key also signs for some hours",
        {200: "Webhook"},
        body="KeyRotation",
        needs_body=False,
    ),
    "GET /webhooks/{webhook_id}/receiver-links": Call(
        "listReceiverLinks",
        "List the links to the page of its receiver, without their addresses",
        {200: "ReceiverLinks"},
        query=FULL_PAGE_QUERY,
    ),
    "POST /webhooks/{webhook_id}/receiver-links/{link_id}/revoke": Call(
        "revokeReceiverLink", "Revoke a link to the page of its receiver", {200: "ReceiverLink"}
    ),
    PENDING: Call(
        "takeDeliveries",
        "Fetch the next deliveries of a pull: webhook and lease them",
        {200: "TakenDeliveries"},
        (409,),
        query=PENDING_QUERY,
    ),
    "POST /webhooks/{webhook_id}/commit": Call(
        "commitDeliveries",
        "Say what came of the fetched deliveries",
        {200: "Committed"},
        (409,),
        body="Commit",
    ),
}
