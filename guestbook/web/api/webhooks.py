"""/webhooks: add, change, test, rotate the secret, send past events, delete.

Then /webhooks/ID/pending and /commit: receivers fetch their deliveries; and /receiver-links to their pages.
Making such a link needs the owner's password, so that stays on the admin pages.
"""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import abort, g, request
from werkzeug.exceptions import Conflict

from guestbook.comments import backfill
from guestbook.comments.backfill import BACKFILLED_EVENTS, LOOKED_AT_ONCE, BackfillReport, BackfillRules
from guestbook.lib import clock, json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.outbound import pulled_deliveries, receiver_links, webhook_json, webhook_urls, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.pulled_deliveries import MOST_TAKEN, PulledResult, Replaced, Taken
from guestbook.outbound.webhook_fields import WEBHOOK_FIELDS
from guestbook.outbound.webhook_json import RECEIVER_LINK_SCHEMA, WEBHOOK_SCHEMA
from guestbook.outbound.webhook_signatures import rotate_key, rotate_secret
from guestbook.queries.statistics import COUNT_LIMIT
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import ReceiverLink, Webhook
from guestbook.web import request_context, response_headers
from guestbook.web.api import authentication, idempotency, request_reader, row_calls
from guestbook.web.api.api_call import DRY_RUN, FULL_PAGE_QUERY, OVERLAP_FIELD, Answer, Calls, list_of
from guestbook.web.row_lookup import changing, find

# A call makes so many deliveries, or a few more.
MOST_BACKFILLED = 1000

WEBHOOK_CHANGES: Schema = {
    **{name: field.described for name, field in WEBHOOK_FIELDS.items() if name != "secret"},
    "disabled": schema.boolean("Send nothing; deliveries wait until it is enabled. false ends a pause, too."),
}
GIVEN_SECRET: Schema = {"secret": WEBHOOK_FIELDS["secret"].described}
WARNED = "Warnings about the accepted URL: its name resolves to a private address."
WARNINGS: Schema = {"warnings": schema.array(schema.TEXT, WARNED)}
NEW_SECRET = schema.text("The receiver verifies with it. It is shown in this answer only.")

# In seconds. Proxies give up after thirty.
LONGEST_POLL = 25
PULL_QUERY = {
    "limit": schema.integer("The maximum number of deliveries.", minimum=1, maximum=MOST_TAKEN, default=10),
    "wait": schema.number("Wait so many seconds for the first one.", maximum=LONGEST_POLL, default=0),
    "first_token": schema.id_(
        "The token of your first answer. Deliveries that you had leased before it are handed out at once."
    ),
}
RESULT = schema.request(
    id=schema.ID,
    ok=schema.boolean("True if the receiver has it and needs no other attempt."),
    status_code=schema.or_null(schema.integer(minimum=100, maximum=999)),
    error=schema.text_or_null("Why it failed.", maxLength=300),
    milliseconds=schema.number(maximum=24 * 3600 * 1000, default=0),
    required=("id", "ok"),
)

# In seconds, between two looks while a request waits.
LOOK_AGAIN = 0.5
# In seconds, for those who may not wait here.
ASK_AGAIN = 5
# So many requests of this process may wait at once: each occupies a thread.
MOST_POLLS = 2
DISABLED = "This webhook is disabled. Enable it, and its deliveries can be fetched again."
may_wait = threading.BoundedSemaphore(MOST_POLLS)

calls = Calls(
    "webhooks",
    NewWebhook=schema.request(WEBHOOK_CHANGES | GIVEN_SECRET, required=("url",)),
    WebhookChanges=schema.request(WEBHOOK_CHANGES, least=1),
    Test=schema.request(event=schema.one_of(*EVENTS, default="ping", description="Send an example of it.")),
    Rotation=schema.request(OVERLAP_FIELD | GIVEN_SECRET),
    KeyRotation=schema.request(OVERLAP_FIELD | {"signing_key": WEBHOOK_FIELDS["signing_key"].described}),
    Backfill=schema.request(
        since=schema.time("Events since then."),
        pruned_too=schema.boolean("Also events whose old deliveries may have been pruned.", default=False),
        after=schema.id_or_null("`next_after` of the last answer: go on after the comment with this id."),
        **DRY_RUN,
        required=("since",),
    ),
    Webhook=schema.answer(WEBHOOK_SCHEMA | WARNINGS, optional=("warnings",)),
    WebhookWithSecret=schema.answer(WEBHOOK_SCHEMA | WARNINGS, secret=NEW_SECRET, optional=("warnings",)),
    Backfilled=schema.answer(
        deliveries=schema.number("How many deliveries were made, or would be."),
        comments=schema.number("How many comments they are about."),
        events=schema.described(
            schema.answer(dict.fromkeys(BACKFILLED_EVENTS, schema.NUMBER), optional=BACKFILLED_EVENTS),
            "How many of each event.",
        ),
        left=schema.number("How many are left. A count ends soon after 10,000."),
        next_after=schema.id_or_null("`after` for the next call; null when this one reached the book's end."),
        there_already=schema.number("Events of which the webhook has a delivery."),
        maybe_pruned=schema.number("Events left out because their deliveries may have been pruned."),
    ),
    Commit=schema.request(
        token=schema.id_("The one that came with the deliveries."),
        results=schema.array(RESULT, minItems=1, maxItems=MOST_TAKEN),
        required=("token", "results"),
    ),
    TakenDelivery=schema.answer(
        id=schema.ID,
        event=schema.TEXT,
        payload=schema.text("The exact body."),
        headers=schema.headers("The headers of the request, with the signatures."),
    ),
    TakenDeliveries=schema.answer(
        token=schema.id_("Send it with the commit."),
        lease_seconds=schema.number("Commit within it, or they are handed out again."),
        retry_after=schema.number("Ask again after so many seconds."),
        deliveries=schema.array(schema.ref("TakenDelivery")),
    ),
    Committed=schema.answer(
        recorded=schema.number("The number of results that count."),
        late=schema.number("The number of those whose lease had run out."),
    ),
    ReceiverLink=schema.answer(RECEIVER_LINK_SCHEMA),
    ReceiverLinks=list_of("receiver_links", "ReceiverLink"),
)


def _shown(row: Webhook, *, with_secret: bool = False) -> dict[str, Any]:
    """Return a webhook; its secret only when new, and never the values of its headers."""
    shape = webhook_json.webhook(db.session(), row) | {"url": authentication.shown_url(row.url)}
    return shape | {"secret": row.secret} if with_secret else shape


row_calls.serve(calls, Webhook, _shown, "all its deliveries")


@calls.serve("POST /webhooks", {201: "WebhookWithSecret"}, body="NewWebhook")
def create_webhook() -> Answer:
    """Add a webhook."""
    fields = request_reader.body(_errors)
    url = webhook_urls.checked(fields["url"], request_context.settings())
    # It may take seconds, so it comes before the transaction.
    warnings = webhook_urls.warnings(url, request_context.settings())
    with writing() as session:
        disabled = fields.get("disabled", False)
        webhook = webhooks.add(session, _fields(fields), request_context.settings(), disabled=disabled)
        return idempotency.keep(session, _shown(webhook, with_secret=True) | {"warnings": warnings}, 201)


@calls.serve("PATCH /webhooks/{webhook_id}", {200: "Webhook"}, body="WebhookChanges", may_match=True)
def update_webhook(webhook_id: str) -> Answer:
    """Change a webhook; other fields stay.

    `events` and `headers` replace the old ones.
    """
    changes = request_reader.body(_errors)
    with changing(Webhook, webhook_id) as (session, webhook):
        response_headers.refuse_if_changed(_shown(webhook))
        webhooks.update(session, webhook, _fields(changes), request_context.settings())
        if changes.get("disabled"):
            row_changes.disable(session, webhook)
        elif "disabled" in changes and (webhook.disabled_at or webhook.paused_until):  # It ends a pause, too.
            row_changes.enable(session, webhook)
        shown = _shown(webhook)
    warnings = webhook_urls.warnings(shown["url"], request_context.settings()) if "url" in changes else []
    return shown | {"warnings": warnings}


@calls.serve("POST /webhooks/{webhook_id}/test", {202: "Delivery"}, body="Test", needs_body=False)
def test_webhook(webhook_id: str) -> Answer:
    """Send a ping, or an example of an event: its delivery is due at once."""
    event = request_reader.body()["event"]
    with changing(Webhook, webhook_id) as (session, webhook):
        delivery = webhooks.store_sample(session, webhook, request_context.settings(), event)
        return idempotency.keep(session, webhook_json.delivery(delivery), 202)


@calls.serve(
    "POST /webhooks/{webhook_id}/rotate-secret", {200: "WebhookWithSecret"}, body="Rotation", needs_body=False
)
def rotate_webhook_secret(webhook_id: str) -> Answer:
    """Rotate the secret; the old one also signs for some hours."""
    given = request_reader.body()
    with changing(Webhook, webhook_id) as (session, webhook):
        rotate_secret(session, webhook, timedelta(hours=given["overlap_hours"]), given.get("secret"))
        return idempotency.keep(session, _shown(webhook, with_secret=True))


@calls.serve("POST /webhooks/{webhook_id}/rotate-key", {200: "Webhook"}, body="KeyRotation", needs_body=False)
def rotate_webhook_key(webhook_id: str) -> Answer:
    """Rotate the key pair; the old key also signs for some hours."""
    given = request_reader.body()
    with changing(Webhook, webhook_id) as (session, webhook):
        rotate_key(session, webhook, timedelta(hours=given["overlap_hours"]), given.get("signing_key"))
        return idempotency.keep(session, _shown(webhook))


def _errors(fields: dict[str, Any]) -> Mapping[str, str]:
    """Return the errors of the fields, without headers: a hidden value needs its webhook."""
    alone = {name: value for name, value in fields.items() if name != "headers"}
    return webhooks.field_errors(_fields(alone), request_context.settings())


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as `outbound.webhooks` takes them."""
    fields = {name: value for name, value in given.items() if name != "disabled"}
    if "headers" in fields:
        # Of names that differ only in case, the last counts.
        last = {name.lower(): f"{name}: {value}" for name, value in fields["headers"].items()}
        fields["headers"] = list(last.values())
    return fields


@calls.serve("POST /webhooks/{webhook_id}/backfill", {200: "Backfilled", 202: "Backfilled"}, body="Backfill")
def backfill_webhook(webhook_id: str) -> Answer:
    """Send a webhook past events that it has not had, or only count them."""
    given, _ = request_reader.body(), find(Webhook, webhook_id)
    known = given["since"], request_context.settings(), given["pruned_too"], given.get("after") or ""
    found = backfill.forecast(webhook_id, BackfillRules(*known, COUNT_LIMIT + 1, LOOKED_AT_ONCE))
    if given["dry_run"] or not found.deliveries:
        return _backfilled(found, found, left=0), 200
    done = backfill.run(webhook_id, BackfillRules(*known, MOST_BACKFILLED, LOOKED_AT_ONCE))
    return _backfilled(done, found, left=max(0, found.deliveries - done.deliveries)), 202


def _backfilled(made: BackfillReport, found: BackfillReport, *, left: int) -> dict[str, Any]:
    counted = {"events": dict(made.events), "there_already": found.present, "maybe_pruned": found.pruned}
    return schema.of_row(made, ("deliveries", "comments", "next_after")) | counted | {"left": left}


@calls.serve("GET /webhooks/{webhook_id}/pending", {200: "TakenDeliveries"}, errors=(409,), query=PULL_QUERY)
def take_deliveries(webhook_id: str) -> Answer:
    """Fetch the next deliveries of a pull: webhook and lease them."""
    token, query = pulled_deliveries.new_token(g.token_id), request_reader.query()
    _require_pulled(find(Webhook, webhook_id))
    replaced = Replaced(g.token_id, query["first_token"]) if "first_token" in query else None
    found, has_waited = _wait_for_any(webhook_id, query["wait"], replaced)
    taken: list[Taken] = []
    if found and request.method == "GET":  # HEAD could not hand them over.
        with changing(Webhook, webhook_id) as (session, webhook):
            settings = request_context.settings()
            _require_pulled(webhook)
            taken = pulled_deliveries.take(
                session.connection(), webhook, settings, token, query["limit"], replaced
            )
    return {
        "token": token,
        "lease_seconds": int(pulled_deliveries.PULL_LEASE.total_seconds()),
        # Another listener may have been faster. Then asking again at once could go on and on.
        "retry_after": 0 if taken or (has_waited and not found) else ASK_AGAIN,
        "deliveries": taken,
    }


@calls.serve("POST /webhooks/{webhook_id}/commit", {200: "Committed"}, body="Commit")
def commit_deliveries(webhook_id: str) -> Answer:
    """Say what came of the fetched deliveries."""
    body, settings = request_reader.body(), request_context.settings()
    results = [PulledResult(**one) for one in body["results"]]
    with changing(Webhook, webhook_id) as (session, webhook):
        if not webhook.is_pulled:
            raise Conflict(pulled_deliveries.NOT_PULLED)
        recorded = pulled_deliveries.commit(session.connection(), webhook, settings, body["token"], results)
        late = len({one.id for one in results}) - recorded
        return idempotency.keep(session, {"recorded": recorded, "late": late})


def _wait_for_any(webhook_id: str, seconds: int, replaced: Replaced | None) -> tuple[bool, bool]:
    """Whether something may be taken, after so many seconds at the most, and whether the request might wait.

    It might not where it would keep visitors from the book.
    """
    has_threads = request.environ.get("wsgi.multithread", False)
    waits = seconds > 0 and has_threads and may_wait.acquire(blocking=False)
    until = time.monotonic() + (seconds if waits else 0)
    try:
        while True:
            found = pulled_deliveries.anything_pending(db.session(), webhook_id, clock.now(), replaced)
            db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
            if found or time.monotonic() + LOOK_AGAIN > until:
                return found, waits
            time.sleep(LOOK_AGAIN)
    finally:
        if waits:
            may_wait.release()


def _require_pulled(webhook: Webhook) -> None:
    if not webhook.is_pulled:
        raise Conflict(pulled_deliveries.NOT_PULLED)
    if webhook.disabled_at:
        raise Conflict(DISABLED)
    if webhook.is_unreadable(clock.now()):
        raise Conflict(pulled_deliveries.CANNOT_SIGN)


@calls.serve("GET /webhooks/{webhook_id}/receiver-links", {200: "ReceiverLinks"}, query=FULL_PAGE_QUERY)
def list_receiver_links(webhook_id: str) -> Answer:
    """List the links to the page of its receiver, without their addresses."""
    mine = ReceiverLink.webhook_id == find(Webhook, webhook_id).id
    return row_calls.rows("receiver_links", ReceiverLink, webhook_json.receiver_link, mine)


@calls.serve("POST /webhooks/{webhook_id}/receiver-links/{link_id}/revoke", {200: "ReceiverLink"})
def revoke_receiver_link(webhook_id: str, link_id: str) -> Answer:
    """Revoke a link to the page of its receiver."""
    with changing(ReceiverLink, link_id) as (session, link):
        if link.webhook_id != webhook_id:
            abort(404)
        receiver_links.revoke(session, link)
        return idempotency.keep(session, webhook_json.receiver_link(link))
