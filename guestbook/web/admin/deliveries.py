"""The pages of deliveries: the list, one with its attempts, its signature explained, and redelivery."""

import re
from datetime import datetime, timedelta

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.lib import byte_view, clock
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import filtered_lists
from guestbook.queue import comment_order, erasure
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import curl_command, signatures
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


LIVE_WINDOW = timedelta(minutes=1)  # a page refreshes itself when the result is due this soon


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
