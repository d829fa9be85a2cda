"""/deliveries: list, show, redeliver."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug.exceptions import Conflict

from guestbook.lib import clock
from guestbook.outbound import webhook_shapes
from guestbook.queries import filtered_lists
from guestbook.queue import comment_order, erasure, redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.web.api import idempotency, request_reader, searches, serializers
from guestbook.web.row_lookup import find

calls = Blueprint("deliveries", __name__, url_prefix="/deliveries")

BEING_SENT = "A pass is sending this delivery now. Try again in a moment."
BEING_FETCHED = "Its receiver has fetched this delivery and not answered yet. Try again in a minute."


@calls.get("")
def index() -> ResponseReturnValue:
    """List deliveries without their payloads."""
    query = request_reader.query()
    wanted = filtered_lists.Deliveries(
        status=query.get("status"),
        webhook_id=query.get("webhook"),
        event=query.get("event"),
        since=request_reader.moment(query.get("since")),
        until=request_reader.moment(query.get("until")),
        text=searches.text(query),
        comment_id=query.get("comment"),
    )
    page = filtered_lists.deliveries(db.session(), wanted, before=query.get("before"), limit=query["limit"])
    return serializers.page("deliveries", page, webhook_shapes.delivery, query)


@calls.get("/<delivery_id>")
def one(delivery_id: str) -> ResponseReturnValue:
    """Show a delivery with its exact payload and every attempt."""
    delivery = find(Delivery, delivery_id)
    query = select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number)
    return serializers.delivery_with_attempts(delivery, db.session.scalars(query).all())


@calls.post("/<delivery_id>/redeliver")
def redeliver(delivery_id: str) -> ResponseReturnValue:
    """Redeliver with the next pass, or to the listener that fetches, with the same id and payload.

    All later deliveries about the same comment to the same webhook follow it.
    """
    with writing() as session:
        delivery = find(Delivery, delivery_id)
        free = redelivery.make_due(session, Delivery, [delivery.id], clock.now())
        if not free:
            is_over = delivery.erased_at is not None or comment_order.is_over(session, delivery.id)
            busy = BEING_FETCHED if find(Webhook, delivery.webhook_id).is_pulled else BEING_SENT
            raise Conflict(erasure.DELIVERY_ERASED if is_over else busy)
        return idempotency.keep(session, webhook_shapes.delivery(free[0]), 202)
