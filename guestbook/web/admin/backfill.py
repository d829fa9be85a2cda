"""The page that sends a webhook past events: it counts them first."""

from datetime import datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.comments import backfill
from guestbook.comments.backfill import LOOKED_AT_ONCE, BackfillRange, BackfillReport, BackfillRules
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.queries.statistics import COUNT_LIMIT
from guestbook.storage.models import Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import responses

pages = Blueprint("backfill", __name__, url_prefix="/webhooks")

SENT_AT_ONCE = 500  # deliveries: a request must end soon, so the rest waits for the next click


@pages.get("/<webhook_id>/backfill")
def ask(webhook_id: str) -> ResponseReturnValue:
    """Ask since when, or say how many events it would be."""
    webhook = row_lookup.find(Webhook, webhook_id)
    if not request.args.get("since", "").strip():
        return _page(webhook)
    try:
        rules = _rules()
        found = backfill.forecast(webhook_id, rules, _from(COUNT_LIMIT + 1))
        # The count has ended the transaction in which the webhook was read.
        return _page(row_lookup.find(Webhook, webhook_id), rules, found)
    except Refused as error:
        return _page(row_lookup.find(Webhook, webhook_id), error=error), 422


@pages.post("/<webhook_id>/backfill")
def send(webhook_id: str) -> ResponseReturnValue:
    """Send the first of them. If some are left, the page says so."""
    row_lookup.find(Webhook, webhook_id)
    try:
        rules = _rules()
        done = backfill.run(webhook_id, rules, _from(SENT_AT_ONCE))
    except Refused as error:
        return _page(row_lookup.find(Webhook, webhook_id), error=error), 422
    made = done.deliveries
    sentence = f"{counted(made, 'past event')} {'is' if made == 1 else 'are'} on the way."
    if done.next_after is None:
        return responses.done(sentence, "admin.webhooks.show", webhook_id=webhook_id)
    kept = {"since": rules.since.isoformat(), "pruned_too": "1" if rules.pruned_too else None}
    kept["after"] = done.next_after
    return responses.done(sentence, ".ask", webhook_id=webhook_id, **kept)


def _rules() -> BackfillRules:
    return BackfillRules(_since(), request_context.settings(), bool(request.values.get("pruned_too")))


def _from(deliveries: int) -> BackfillRange:
    """Go on where the last click ended."""
    after = request.values.get("after", "")
    return BackfillRange(after if ids.ID.fullmatch(after) else "", deliveries, LOOKED_AT_ONCE)


def _since() -> datetime:
    """Return the typed time; raises Refused."""
    try:
        return clock.typed(request.values.get("since", "").strip()[:40])
    except ValueError as error:
        raise Refused(str(error), field="since") from None


def _page(
    webhook: Webhook,
    rules: BackfillRules | None = None,
    found: BackfillReport | None = None,
    error: Refused | None = None,
) -> str:
    return render_template(
        "admin/backfill.html",
        webhook=webhook,
        rules=rules,
        found=found,
        typed=request.values.get("since", ""),
        problem="" if error is None or error.fields else str(error),
        reasons=error.fields if error else {},
        at_once=SENT_AT_ONCE,
        count_limit=COUNT_LIMIT,
    )
