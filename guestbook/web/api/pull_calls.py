"""/webhooks/ID/pending and /commit: receivers without a public address fetch their deliveries."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict

from guestbook.lib import clock
from guestbook.outbound import pull
from guestbook.outbound.pull import PulledResult, Replaced
from guestbook.storage.database import db, writing
from guestbook.storage.models import Webhook
from guestbook.web import request_context
from guestbook.web.api import idempotency, request_reader
from guestbook.web.row_lookup import find, find_locked

calls = Blueprint("pull", __name__, url_prefix="/webhooks/<webhook_id>")

LOOK_AGAIN = 0.5  # seconds between two looks while a request waits
ASK_AGAIN = 5  # seconds, for those who may not wait here
MOST_POLLS = 2  # requests of this process that wait at once: each of them occupies a thread
DISABLED = "This webhook is disabled. Enable it, and its deliveries can be fetched again."

may_wait = threading.BoundedSemaphore(MOST_POLLS)


@calls.get("/pending")
def pending(webhook_id: str) -> ResponseReturnValue:
    """Lease the next deliveries, and wait for the first one as long as asked."""
    token, query = pull.new_token(g.token_id), request_reader.query()
    _require_pulled(find(Webhook, webhook_id))
    first = query.get("first_token")
    replaced = Replaced(g.token_id, first) if first else None
    with _turn_to_wait(query["wait"]) as seconds:
        found = _wait_for_any(webhook_id, seconds, replaced)
    may_take = found and request.method == "GET"  # HEAD could not hand them over
    taken = _take(webhook_id, token, query["limit"], replaced) if may_take else []
    return {
        "token": token,
        "lease_seconds": int(pull.PULL_LEASE.total_seconds()),
        # Another listener may have been faster. Then asking again at once could go on and on.
        "retry_after": 0 if taken or (seconds and not found) else ASK_AGAIN,
        "deliveries": [asdict(one) for one in taken],
    }


@calls.post("/commit")
def commit(webhook_id: str) -> ResponseReturnValue:
    """Record what came of the deliveries whose lease is still the caller's."""
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


def _take(webhook_id: str, token: str, limit: int, replaced: Replaced | None) -> list[pull.Taken]:
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        _require_pulled(webhook)
        return pull.take(session.connection(), webhook, request_context.settings(), token, limit, replaced)


def _wait_for_any(webhook_id: str, seconds: float, replaced: Replaced | None) -> bool:
    """Whether something may be taken, looking again and again for so many seconds."""
    until = time.monotonic() + seconds
    while True:
        found = pull.anything_pending(db.session(), webhook_id, clock.now(), replaced)
        db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
        if found or time.monotonic() + LOOK_AGAIN > until:
            return found
        time.sleep(LOOK_AGAIN)


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
