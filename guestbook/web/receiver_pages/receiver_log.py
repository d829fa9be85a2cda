"""What a receiver sees: the log of its webhook, each delivery with its attempts, and how to verify it."""

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from guestbook.lib import byte_view, clock, redaction
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import filtered_lists, webhook_status
from guestbook.queue import comment_order, erasure
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES
from guestbook.web import response_headers
from guestbook.web.admin import deliveries, responses, secret_pages, signatures
from guestbook.web.admin.deliveries import DELIVERY_LIST
from guestbook.web.receiver_pages import receiver_access, receiver_actions, shown_payload

pages = Blueprint("log", __name__)


@pages.get("/<receiver_token>")
def open_link(receiver_token: str) -> ResponseReturnValue:
    """Exchange a link for a cookie, and lead to the page."""
    return receiver_access.exchange(receiver_token)


@pages.get("/<link_id>/")
def index(link_id: str) -> ResponseReturnValue:
    """Show how the webhook is doing and its deliveries, newest first, and offer its actions."""
    admission = receiver_access.admit(link_id)
    session, now, webhook = db.session(), clock.now(), admission.webhook
    status = request.args.get("status", "")
    wanted = admission.deliveries(status if status in QUEUE_STATUSES else None)
    found = filtered_lists.deliveries(session, wanted, response_headers.page_before())
    kept = {"status": wanted.status} if wanted.status else {}
    return receiver_access.page(
        "log",
        admission,
        standing=webhook_status.of(session, webhook, now),
        url=redaction.url(webhook.url),
        page=found,
        wanted=wanted,
        statuses=DELIVERY_LIST.statuses,
        events=EVENTS,
        periods=receiver_actions.PERIODS,
        overlaps=secret_pages.OVERLAPS,
        mark=secret_pages.mark(webhook),
        secret=secret_pages.new_secret(webhook, admission.cookie.form_key),
        overlap_end=secret_pages.overlap_end(webhook, now),
        key_overlap_end=secret_pages.key_overlap_end(webhook, now),
        **response_headers.page_links(found.older, link_id=link_id, **kept),
    )


@pages.get("/<link_id>/deliveries/<delivery_id>/")
def show(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    admission = receiver_access.admit(link_id)
    session, now, webhook = db.session(), clock.now(), admission.webhook
    delivery = admission.delivery(delivery_id)
    attempts, earlier = deliveries.latest_attempts(delivery, request.args.get("before"))
    is_behind = bool(comment_order.behind(session, [delivery.id]))
    return receiver_access.page(
        "delivery",
        admission,
        delivery=delivery,
        views=byte_view.views(delivery.body),
        attempts=attempts,
        earlier=earlier,
        outlook=deliveries.outlook_of(delivery, webhook, now, is_behind),
        is_live=deliveries.is_live(delivery, webhook, now),
        withheld=_withheld(delivery, admission.webhook),
        erased=erasure.DELIVERY_ERASED,
    )


@pages.get("/<link_id>/deliveries/<delivery_id>/payload")
def payload(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Return the exact bytes that are sent."""
    admission = receiver_access.admit(link_id)
    delivery = admission.delivery(delivery_id)
    if _withheld(delivery, admission.webhook):
        abort(404)
    return responses.download(delivery.body, f"{delivery.id}.json")


@pages.get("/<link_id>/deliveries/<delivery_id>/verify")
def verify(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show how its signature is made, step by step, with programs that verify it."""
    admission = receiver_access.admit(link_id)
    delivery, webhook = admission.delivery(delivery_id), admission.webhook
    attempt = webhooks.last_attempt(db.session(), delivery)
    explained = signatures.of(delivery, webhook, attempt, clock.now())
    withheld = erasure.DELIVERY_ERASED if delivery.erased_at else _withheld(delivery, admission.webhook)
    return receiver_access.page(
        "signature",
        admission,
        delivery=delivery,
        attempt=attempt,
        explanation=None if withheld else explained,
        withheld=withheld,
    )


def _withheld(delivery: Delivery, webhook: Webhook) -> str | None:
    """Return why the payload is not shown, if it is not."""
    is_withheld = shown_payload.is_withheld(db.session(), delivery, webhook)
    return shown_payload.WITHHELD if is_withheld else None
