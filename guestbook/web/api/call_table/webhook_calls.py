"""The API's calls for webhooks, and for receivers that fetch their deliveries."""

from guestbook.web.api.api_call import PENDING, Call
from guestbook.web.api.query_parameters import FULL_PAGE_QUERY, PENDING_QUERY

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
