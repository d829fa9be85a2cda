"""The deliveries: what was sent, what waits and what failed, and send again."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug.exceptions import Conflict

from guestbook import again, browse, clock, erasure
from guestbook.database import db, writing
from guestbook.models import Attempt, Delivery
from guestbook.web.api import asked, shapes
from guestbook.web.common import find

calls = Blueprint("deliveries", __name__, url_prefix="/deliveries")

IN_HAND = "A pass is sending this delivery just now. Look again when it is done."


@calls.get("")
def index() -> ResponseReturnValue:
    """List them, without their payloads."""
    query = asked.query()
    wanted = browse.Deliveries(
        status=query.get("status"),
        webhook_id=query.get("webhook"),
        event=query.get("event"),
        since=asked.moment(query.get("since")),
        until=asked.moment(query.get("until")),
    )
    page = browse.deliveries(db.session(), wanted, before=query.get("before"), limit=query["limit"])
    rows = [shapes.delivery(row) for row in page.rows]
    return shapes.page("deliveries", "/deliveries", query, rows, page.older)


@calls.get("/<delivery_id>")
def one(delivery_id: str) -> ResponseReturnValue:
    """Show one with its exact payload and every attempt."""
    delivery = find(Delivery, delivery_id)
    query = select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number)
    return shapes.delivery_with_attempts(delivery, db.session.scalars(query).all())


@calls.post("/<delivery_id>/redeliver")
def redeliver(delivery_id: str) -> ResponseReturnValue:
    """Send it again with the next pass, with the same id and payload."""
    with writing() as session:
        delivery = find(Delivery, delivery_id)
        free = again.make_due(session, Delivery, [delivery.id], clock.now())
        if not free:
            raise Conflict(erasure.ERASED if delivery.erased_at else IN_HAND)
        return shapes.delivery(free[0]), 202
