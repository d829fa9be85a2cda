"""/webhooks/…/backfill: send a webhook past events, some hundred in a call."""

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.comments import backfill
from guestbook.comments.backfill import LOOKED_AT_ONCE, BackfillRange, BackfillReport, BackfillRules
from guestbook.queries.statistics import COUNT_LIMIT
from guestbook.storage.models import Webhook
from guestbook.web import request_context
from guestbook.web.api import request_reader
from guestbook.web.api.call_table.webhook_calls import MOST_BACKFILLED
from guestbook.web.row_lookup import find

calls = Blueprint("backfill", __name__, url_prefix="/webhooks")


@calls.post("/<webhook_id>/backfill")
def send(webhook_id: str) -> ResponseReturnValue:
    """Count the past events that the webhook has not had, and send the first of them."""
    given, _ = request_reader.body(), find(Webhook, webhook_id)
    since = request_reader.moment(given["since"])
    assert since
    rules = BackfillRules(since, request_context.settings(), given.get("pruned_too", False))
    after = given.get("after") or ""
    found = backfill.forecast(webhook_id, rules, BackfillRange(after, COUNT_LIMIT + 1, LOOKED_AT_ONCE))
    if given.get("dry_run") or not found.deliveries:
        return _answer(found, found, left=0), 200
    done = backfill.run(webhook_id, rules, BackfillRange(after, MOST_BACKFILLED, LOOKED_AT_ONCE))
    return _answer(done, found, left=max(0, found.deliveries - done.deliveries)), 202


def _answer(made: BackfillReport, found: BackfillReport, *, left: int) -> dict[str, Any]:
    return {
        "deliveries": made.deliveries,
        "comments": made.comments,
        "events": dict(made.events),
        "left": left,
        "next_after": made.next_after,
        "there_already": found.present,
        "maybe_pruned": found.pruned,
    }
