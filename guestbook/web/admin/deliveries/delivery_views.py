"""The pages of deliveries: the list, one with its attempts, its signature explained, and redelivery."""

import re
from datetime import datetime, timedelta

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.lib import byte_view, clock
from guestbook.outbound import webhooks
from guestbook.queries import lists
from guestbook.queue import erasure, requeue
from guestbook.storage.database import db, writing
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.storage.models.webhook import EVENTS
from guestbook.web import row_lookup
from guestbook.web.admin import list_filters, requeue_pages, responses
from guestbook.web.admin.deliveries import delivery_filters, signature_explanation

pages = Blueprint("deliveries", __name__, url_prefix="/deliveries")

ATTEMPTS_SHOWN = 20  # per page; each may hold 16 KiB
DELIVERY_STATUSES = [("new", "waiting or retrying"), ("processed", "delivered"), ("failed", "given up")]
LIVE_WINDOW = timedelta(minutes=1)  # the page refreshes itself when the result is due this soon
REDELIVER_PAGE = "admin/redeliver.html"


@pages.get("/")
def index() -> ResponseReturnValue:
    """List deliveries, newest first, by the filters."""
    shown = list_filters.list_page(
        delivery_filters.DELIVERY_FILTERS,
        delivery_filters.read,
        lists.deliveries,
        lists.Deliveries(),
    )
    webhooks = {row.id: row for row in db.session.scalars(select(Webhook).order_by(Webhook.name, Webhook.id))}
    choices = {
        "status": DELIVERY_STATUSES,
        "webhook": [(webhook.id, webhook.name) for webhook in webhooks.values()],
        "event": list(zip(EVENTS, EVENTS, strict=True)),
    }
    page = render_template(
        "admin/deliveries.html",
        **shown,
        webhooks=webhooks,
        choices=choices,
        outlook=_short_outlook,
        now=clock.now(),
    )
    return page, 422 if shown["reasons"] else 200


@pages.get("/<delivery_id>")
def show(delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    attempts, earlier = _attempts(delivery, request.args.get("before"))
    return render_template(
        "admin/delivery.html",
        delivery=delivery,
        webhook=webhook,
        views=byte_view.views(delivery.body),
        attempts=attempts,
        earlier=earlier,
        outlook=_outlook(delivery, webhook, clock.now()),
        is_live=_is_live(delivery, webhook, clock.now()),
        erased=erasure.DELIVERY_ERASED,
    )


@pages.get("/<delivery_id>/payload")
def payload(delivery_id: str) -> ResponseReturnValue:
    """Return the exact bytes that are sent."""
    delivery = row_lookup.find(Delivery, delivery_id)
    return responses.download(delivery.body, f"{delivery.id}.json")


@pages.get("/<delivery_id>/explain")
def explain(delivery_id: str) -> ResponseReturnValue:
    """Show how its signature is made, step by step, with programs that verify it."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    number = request.args.get("attempt")
    attempt = (
        _attempt(delivery, number) if number is not None else webhooks.last_attempt(db.session(), delivery)
    )
    return render_template(
        "admin/signature_explanation.html",
        delivery=delivery,
        webhook=webhook,
        attempt=attempt,
        explanation=signature_explanation.of(delivery, webhook, attempt, clock.now()),
        erased=erasure.DELIVERY_ERASED,
    )


@pages.post("/<delivery_id>/redeliver")
def redeliver(delivery_id: str) -> ResponseReturnValue:
    """Make one delivery due now."""
    with writing() as session:
        delivery = row_lookup.find(Delivery, delivery_id)
        was_new = delivery.status == "new"
        is_free = bool(requeue.make_due(session, Delivery, [delivery.id], clock.now()))
        is_disabled = row_lookup.find(Webhook, delivery.webhook_id).disabled_at is not None
    sentence = erasure.DELIVERY_ERASED if delivery.erased_at else _requeued(is_free, was_new, is_disabled)
    return responses.done(sentence, "admin.deliveries.show", delivery_id=delivery_id)


@pages.get("/redeliver")
def confirm() -> ResponseReturnValue:
    """Say how many deliveries it would be, before anything happens."""
    return requeue_pages.confirm(Delivery, delivery_filters.selection, REDELIVER_PAGE)


@pages.post("/redeliver")
def redeliver_many() -> ResponseReturnValue:
    """Make many deliveries due now."""
    return requeue_pages.requeue_many(Delivery, delivery_filters.selection, REDELIVER_PAGE, _many_requeued)


def _attempts(delivery: Delivery, before: str | None) -> tuple[list[Attempt], int | None]:
    """Return the latest attempts, and the number before which there are more."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number.desc())
    if before is not None:
        query = query.where(Attempt.number < _number(before))
    rows = list(db.session.scalars(query.limit(ATTEMPTS_SHOWN + 1)))
    return rows[:ATTEMPTS_SHOWN], rows[ATTEMPTS_SHOWN - 1].number if len(rows) > ATTEMPTS_SHOWN else None


def _attempt(delivery: Delivery, number: str) -> Attempt:
    return db.session.get(Attempt, (delivery.id, _number(number))) or abort(404)


def _number(typed: str) -> int:
    return int(typed) if re.fullmatch("[0-9]{1,9}", typed) else abort(404)


def _outlook(delivery: Delivery, webhook: Webhook, now: datetime) -> str:
    """Say when it is sent next: in short, and details after a comma."""
    if delivery.due_at is None:
        return ""
    if delivery.is_leased(now):
        return "a pass is sending it now"
    if webhook.disabled_at:
        return "waits, because the webhook is disabled"
    if webhook.paused_until and webhook.paused_until > max(now, delivery.due_at):
        return f"{clock.ago(webhook.paused_until)}, because the webhook is paused until then"
    return clock.ago(delivery.due_at) if delivery.due_at > now else "due now, sent with the next pass"


def _short_outlook(delivery: Delivery, webhook: Webhook, now: datetime) -> str:
    return _outlook(delivery, webhook, now).partition(",")[0]


def _is_live(delivery: Delivery, webhook: Webhook, now: datetime) -> bool:
    """Whether the result may arrive within a minute."""
    if delivery.due_at is None or webhook.disabled_at:
        return False
    until = webhook.paused_until or now
    return delivery.is_leased(now) or max(delivery.due_at, until) <= now + LIVE_WINDOW


def _requeued(is_free: bool, was_new: bool, is_disabled: bool) -> str:
    if not is_free:
        return "A pass is sending it now, so nothing was changed. Look again in a moment."
    if is_disabled:
        return "It is due now, and waits until its webhook is enabled."
    in_place = " This replaces the scheduled retry." if was_new else ""
    return f"It is due now. The next pass sends it.{in_place}"


def _many_requeued(count: int) -> str:
    number = "1 delivery is" if count == 1 else f"{count:,} deliveries are"
    return f"{number} due now. The next pass sends {'it' if count == 1 else 'them'}."
