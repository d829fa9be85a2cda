"""The pages of deliveries: the list, one with its attempts, its signature explained, and redelivery."""

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.lib import byte_view, clock
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import lists
from guestbook.queue import comment_order, erasure
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.web import current, row_lookup
from guestbook.web.admin import curl_command
from guestbook.web.admin.deliveries import (
    delivery_attempts,
    delivery_outlook,
    delivery_request,
    signature_explanation,
)
from guestbook.web.admin.queue_list import QueueList

pages = Blueprint("deliveries", __name__, url_prefix="/deliveries")


def _event(typed: str) -> str:
    if typed not in EVENTS:
        raise ValueError(f"There is no event {typed!r}.")
    return typed


DELIVERY_LIST = QueueList(
    model=Delivery,
    owner=Webhook,
    conditions=lists.Deliveries,
    find=lists.deliveries,
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
    events, outlook = [(name, name) for name in EVENTS], delivery_outlook.outlook
    return DELIVERY_LIST.show("admin/deliveries.html", events=events, outlook=outlook, now=clock.now())


@pages.get("/<delivery_id>")
def show(delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    attempts, earlier = delivery_attempts.latest(delivery, request.args.get("before"))
    now, file = clock.now(), f"{delivery.id}.json"
    is_behind = bool(comment_order.behind(db.session(), [delivery.id]))
    return render_template(
        "admin/delivery.html",
        delivery=delivery,
        webhook=webhook,
        views=byte_view.views(delivery.body),
        attempts=attempts,
        earlier=earlier,
        outlook=delivery_outlook.outlook(delivery, webhook, now, is_behind),
        is_live=delivery_outlook.is_live(delivery, webhook, now),
        curl=delivery_request.as_curl(delivery, webhook, current.settings().base_url, file, now),
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
        attempt = db.session.get(Attempt, (delivery.id, delivery_attempts.number(typed))) or abort(404)
    return render_template(
        "admin/signature_explanation.html",
        delivery=delivery,
        webhook=webhook,
        attempt=attempt,
        explanation=signature_explanation.of(delivery, webhook, attempt, clock.now()),
        erased=erasure.DELIVERY_ERASED,
    )
