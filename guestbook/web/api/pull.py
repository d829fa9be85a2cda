"""/webhooks/ID/pending and /commit: receivers fetch their deliveries. /receiver-links: links to their pages.

Making such a link needs the owner's password, so that stays on the admin pages.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from flask import abort, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict

from guestbook.lib import clock
from guestbook.lib import json_schema as schema
from guestbook.outbound import pull, receiver_links, webhook_shapes
from guestbook.outbound.pull import PulledResult, Replaced, Taken
from guestbook.outbound.webhook_shapes import RECEIVER_LINK_SCHEMA
from guestbook.storage.database import db, writing
from guestbook.storage.models import ReceiverLink, Webhook
from guestbook.web import request_context
from guestbook.web.api import idempotency, request_reader, row_calls
from guestbook.web.api.api_call import FULL_PAGE_QUERY, Calls, list_of
from guestbook.web.row_lookup import find, find_locked

# In seconds. Proxies give up after thirty.
LONGEST_POLL = 25
PENDING_QUERY = {
    "limit": schema.integer(
        "The maximum number of deliveries.", minimum=1, maximum=pull.MOST_TAKEN, default=10
    ),
    "wait": schema.integer(
        "Wait so many seconds for the first one.", minimum=0, maximum=LONGEST_POLL, default=0
    ),
    "first_token": schema.id_(
        "The token of your first answer. Deliveries that you had leased before it are handed out at once."
    ),
}

LONGEST_ATTEMPT = 24 * 3600 * 1000  # milliseconds
ERROR_TEXT_LIMIT = 300  # characters
RESULT_SCHEMA = schema.request(
    id=schema.ID,
    ok=schema.boolean("True if the receiver has it and needs no other attempt."),
    status_code=schema.or_null(schema.integer(minimum=100, maximum=999)),
    error=schema.or_null(schema.text("Why it failed.", maxLength=ERROR_TEXT_LIMIT)),
    milliseconds=schema.number(maximum=LONGEST_ATTEMPT, default=0),
    required=("id", "ok"),
)

calls = Calls(
    "pull",
    Commit=schema.request(
        token=schema.id_("The one that came with the deliveries."),
        results=schema.array(RESULT_SCHEMA, minItems=1, maxItems=pull.MOST_TAKEN),
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

# In seconds, between two looks while a request waits.
LOOK_AGAIN = 0.5
# In seconds, for those who may not wait here.
ASK_AGAIN = 5
# So many requests of this process may wait at once: each occupies a thread.
MOST_POLLS = 2
DISABLED = "This webhook is disabled. Enable it, and its deliveries can be fetched again."
may_wait = threading.BoundedSemaphore(MOST_POLLS)


@calls.serve(
    "GET /webhooks/{webhook_id}/pending", {200: "TakenDeliveries"}, errors=(409,), query=PENDING_QUERY
)
def take_deliveries(webhook_id: str) -> ResponseReturnValue:
    """Fetch the next deliveries of a pull: webhook and lease them."""
    token, query = pull.new_token(g.token_id), request_reader.query()
    _require_pulled(find(Webhook, webhook_id))
    replaced = Replaced(g.token_id, query["first_token"]) if "first_token" in query else None
    with _turn_to_wait(query["wait"]) as seconds:
        until = time.monotonic() + seconds
        while not (found := _is_pending(webhook_id, replaced)) and time.monotonic() + LOOK_AGAIN <= until:
            time.sleep(LOOK_AGAIN)
    taken: list[Taken] = []
    if found and request.method == "GET":  # HEAD could not hand them over.
        with writing() as session:
            webhook, settings = find_locked(Webhook, webhook_id), request_context.settings()
            _require_pulled(webhook)
            taken = pull.take(session.connection(), webhook, settings, token, query["limit"], replaced)
    return {
        "token": token,
        "lease_seconds": int(pull.PULL_LEASE.total_seconds()),
        # Another listener may have been faster. Then asking again at once could go on and on.
        "retry_after": 0 if taken or (seconds and not found) else ASK_AGAIN,
        "deliveries": [asdict(one) for one in taken],
    }


@calls.serve("POST /webhooks/{webhook_id}/commit", {200: "Committed"}, errors=(409,), body="Commit")
def commit_deliveries(webhook_id: str) -> ResponseReturnValue:
    """Say what came of the fetched deliveries."""
    body = request_reader.body()
    results = [PulledResult(**one) for one in body["results"]]
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        if not webhook.is_pulled:
            raise Conflict(pull.NOT_PULLED)
        recorded = pull.commit(
            session.connection(), webhook, request_context.settings(), body["token"], results
        )
        late = len({one.id for one in results}) - recorded
        return idempotency.keep(session, {"recorded": recorded, "late": late})


def _is_pending(webhook_id: str, replaced: Replaced | None) -> bool:
    found = pull.anything_pending(db.session(), webhook_id, clock.now(), replaced)
    db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
    return found


@contextmanager
def _turn_to_wait(seconds: int) -> Iterator[int]:
    """Give the seconds for which this request may wait: none where it would keep visitors from the book."""
    has_threads = request.environ.get("wsgi.multithread", False)
    waits = seconds > 0 and has_threads and may_wait.acquire(blocking=False)
    try:
        yield seconds if waits else 0
    finally:
        if waits:
            may_wait.release()


def _require_pulled(webhook: Webhook) -> None:
    if not webhook.is_pulled:
        raise Conflict(pull.NOT_PULLED)
    if webhook.disabled_at:
        raise Conflict(DISABLED)
    if webhook.is_unreadable(clock.now()):
        raise Conflict(pull.CANNOT_SIGN)


@calls.serve("GET /webhooks/{webhook_id}/receiver-links", {200: "ReceiverLinks"}, query=FULL_PAGE_QUERY)
def list_receiver_links(webhook_id: str) -> ResponseReturnValue:
    """List the links to the page of its receiver, without their addresses."""
    mine = ReceiverLink.webhook_id == find(Webhook, webhook_id).id
    return row_calls.rows("receiver_links", ReceiverLink, webhook_shapes.receiver_link, mine)


@calls.serve("POST /webhooks/{webhook_id}/receiver-links/{link_id}/revoke", {200: "ReceiverLink"})
def revoke_receiver_link(webhook_id: str, link_id: str) -> ResponseReturnValue:
    """Revoke a link to the page of its receiver."""
    with writing() as session:
        link = find_locked(ReceiverLink, link_id)
        if link.webhook_id != webhook_id:
            abort(404)
        receiver_links.revoke(session, link)
        return idempotency.keep(session, webhook_shapes.receiver_link(link))
