"""The pages of deliveries: list, attempts, signature, redelivery; and the page that sends past events."""

import re
from datetime import datetime, timedelta

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.comments import backfill
from guestbook.comments.backfill import LOOKED_AT_ONCE, BackfillReport, BackfillRules
from guestbook.lib import byte_view, clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import filtered_lists
from guestbook.queries.statistics import COUNT_LIMIT
from guestbook.queue import comment_order, erasure
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import curl_command, responses, signatures
from guestbook.web.admin.queue_list import QueueList

ATTEMPTS_SHOWN = 20  # per page; each may hold 16 KiB


def latest_attempts(delivery: Delivery, before: str | None) -> tuple[list[Attempt], int | None]:
    """Return the latest attempts, and the number before which there are more."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number.desc())
    if before is not None:
        query = query.where(Attempt.number < attempt_count(before))
    rows = list(db.session.scalars(query.limit(ATTEMPTS_SHOWN + 1)))
    return rows[:ATTEMPTS_SHOWN], rows[ATTEMPTS_SHOWN - 1].number if len(rows) > ATTEMPTS_SHOWN else None


def attempt_count(typed: str) -> int:
    """Return the number of an attempt in an address; 404 for what is none."""
    return int(typed) if re.fullmatch("[0-9]{1,9}", typed) else abort(404)


LIVE_WINDOW = timedelta(minutes=1)  # A page refreshes itself when the result is due this soon.


def outlook_of(delivery: Delivery, webhook: Webhook, now: datetime, is_behind: bool) -> str:
    """Say when it is sent next: in short, and details after a comma.

    `is_behind` says that it waits behind an earlier one about the same comment.
    """
    if delivery.due_at is None:
        return ""
    if delivery.is_leased(now):
        return "its receiver has fetched it" if webhook.is_pulled else "a pass is sending it now"
    if webhook.disabled_at:
        return "waits, because the webhook is disabled"
    if webhook.paused_until and webhook.paused_until > max(now, delivery.due_at):
        return f"{clock.ago(webhook.paused_until)}, because the webhook is paused until then"
    if is_behind:
        return "after an earlier one, because the events about a comment are sent in order"
    if delivery.due_at > now:
        return clock.ago(delivery.due_at)
    return "waits until its receiver fetches it" if webhook.is_pulled else "due now, sent with the next pass"


def is_live(delivery: Delivery, webhook: Webhook, now: datetime) -> bool:
    """Whether the result may arrive within a minute."""
    if delivery.due_at is None or webhook.disabled_at:
        return False
    until = webhook.paused_until or now
    return delivery.is_leased(now) or max(delivery.due_at, until) <= now + LIVE_WINDOW


pages = Blueprint("deliveries", __name__, url_prefix="/deliveries")


def _event(typed: str) -> str:
    if typed not in EVENTS:
        raise ValueError(f"There is no event {typed!r}.")
    return typed


DELIVERY_LIST = QueueList(
    model=Delivery,
    owner=Webhook,
    conditions=filtered_lists.Deliveries,
    find=filtered_lists.deliveries,
    filters={"event": _event},
    statuses=[("new", "waiting or retrying"), ("processed", "delivered"), ("failed", "given up")],
    payload_suffix="json",
    noun=("delivery", "deliveries"),
    verb="redeliver",
    sends="sends",
    sending="sending",
    requeued="It is due now. The next pass sends it.",
    replaced=" This replaces the scheduled retry.",
    erased=erasure.DELIVERY_ERASED,
)
DELIVERY_LIST.add_rules(pages)


@pages.get("/")
def index() -> ResponseReturnValue:
    """List deliveries, newest first, by the filters."""
    events, outlook = [(name, name) for name in EVENTS], outlook_of
    return DELIVERY_LIST.show("admin/deliveries.html", events=events, outlook=outlook, now=clock.now())


@pages.get("/<delivery_id>")
def show(delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    attempts, earlier = latest_attempts(delivery, request.args.get("before"))
    now, file = clock.now(), f"{delivery.id}.json"
    is_behind = bool(comment_order.behind(db.session(), [delivery.id]))
    return render_template(
        "admin/delivery.html",
        delivery=delivery,
        webhook=webhook,
        views=byte_view.views(delivery.body),
        attempts=attempts,
        earlier=earlier,
        outlook=outlook_of(delivery, webhook, now, is_behind),
        is_live=is_live(delivery, webhook, now),
        curl=curl_command.as_curl(delivery, webhook, request_context.settings().base_url, file, now),
        file=file if curl_command.is_long(delivery.body) else None,
        erased=erasure.DELIVERY_ERASED,
    )


@pages.get("/<delivery_id>/explain")
def explain(delivery_id: str) -> ResponseReturnValue:
    """Show how its signature is made, step by step, with programs that verify it."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    typed = request.args.get("attempt")
    if typed is None:
        attempt = webhooks.last_attempt(db.session(), delivery)
    else:
        attempt = db.session.get(Attempt, (delivery.id, attempt_count(typed))) or abort(404)
    return render_template(
        "admin/signature_explanation.html",
        delivery=delivery,
        webhook=webhook,
        attempt=attempt,
        explanation=signatures.of(delivery, webhook, attempt, clock.now()),
        erased=erasure.DELIVERY_ERASED,
    )


backfill_pages = Blueprint("backfill", __name__, url_prefix="/webhooks")

SENT_AT_ONCE = 500  # deliveries. A request must end soon, so the rest waits for the next click.


@backfill_pages.get("/<webhook_id>/backfill")
def ask(webhook_id: str) -> ResponseReturnValue:
    """Ask since when, or say how many events it would be."""
    webhook = row_lookup.find(Webhook, webhook_id)
    if not request.args.get("since", "").strip():
        return _backfill_page(webhook)
    try:
        rules = _rules(COUNT_LIMIT + 1)
        found = backfill.forecast(webhook_id, rules)
        # The count has ended the transaction in which the webhook was read.
        return _backfill_page(row_lookup.find(Webhook, webhook_id), rules, found)
    except Refused as error:
        return _backfill_page(row_lookup.find(Webhook, webhook_id), error=error), 422


@backfill_pages.post("/<webhook_id>/backfill")
def send(webhook_id: str) -> ResponseReturnValue:
    """Send the first of them. If some are left, the page says so."""
    row_lookup.find(Webhook, webhook_id)
    try:
        rules = _rules(SENT_AT_ONCE)
        done = backfill.run(webhook_id, rules)
    except Refused as error:
        return _backfill_page(row_lookup.find(Webhook, webhook_id), error=error), 422
    made = done.deliveries
    sentence = f"{counted(made, 'past event')} {'is' if made == 1 else 'are'} on the way."
    if done.next_after is None:
        return responses.done(sentence, "admin.webhooks.show", webhook_id=webhook_id)
    kept = {"since": rules.since.isoformat(), "pruned_too": "1" if rules.pruned_too else None}
    kept["after"] = done.next_after
    return responses.done(sentence, ".ask", webhook_id=webhook_id, **kept)


def _rules(most: int) -> BackfillRules:
    """Return what was typed, to go on where the last click ended; raises Refused."""
    try:
        since = clock.typed(request.values.get("since", "").strip()[:40])
    except ValueError as error:
        raise Refused(str(error), field="since") from None
    pruned_too, after = bool(request.values.get("pruned_too")), request.values.get("after", "")
    after = after if ids.ID.fullmatch(after) else ""
    return BackfillRules(since, request_context.settings(), pruned_too, after, most, LOOKED_AT_ONCE)


def _backfill_page(
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
