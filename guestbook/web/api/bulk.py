"""/redeliver, /reprocess and /moderate: do the same to many rows.

Their paths stand beside the lists, so that no path could be taken for one with an id.
"""

from typing import Any, TypeVar

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement

from guestbook.comments import book, moderation_actions
from guestbook.lib import clock, json_schema
from guestbook.lib.errors import Refused
from guestbook.queries.filtered_lists import Deliveries, InboundEvents
from guestbook.queue import redelivery
from guestbook.queue.redelivery import RequeueGroup
from guestbook.storage import engine_setup
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.web import request_context
from guestbook.web.api import idempotency, request_reader
from guestbook.web.api.call_table import queue_calls

M = TypeVar("M", Delivery, InboundEvent)

calls = Blueprint("bulk", __name__)

IDS_OR_FAILED = "Give either ids, or failed for all that failed."
GOES_WITH_FAILED = "This goes with failed."


@calls.post("/redeliver")
def redeliver() -> ResponseReturnValue:
    """Make deliveries due, with all that follow them about the same comment."""
    return _requeue(Delivery, request_reader.body())


@calls.post("/reprocess")
def reprocess() -> ResponseReturnValue:
    """Make inbound events due."""
    return _requeue(InboundEvent, request_reader.body())


@calls.post("/moderate")
def moderate() -> ResponseReturnValue:
    """Do the same to many comments."""
    given = request_reader.body()
    with writing() as session:
        found = book.lock(session, given["ids"])
        done = [comment.id for comment in found]
        for comment in found:
            moderation_actions.run(session, comment, given["action"], request_context.settings())
        missing = [row_id for row_id in given["ids"] if row_id not in done]
        answer = idempotency.keep(session, {"done": done, "missing": missing})
    if given["action"] == "delete":
        engine_setup.clear_wal(db.engine)
    return answer


def _requeue(model: type[M], given: dict[str, Any]) -> ResponseReturnValue:
    which = _condition(model, given)
    groups = redelivery.forecast(db.session(), model, which, clock.now())
    if given.get("dry_run"):
        return _answer(redelivery.total(groups), groups), 200
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    return _answer(redelivery.run(model, which), groups), 202


def _answer(count: int, groups: list[RequeueGroup]) -> dict[str, Any]:
    return {
        "count": count,
        "groups": [json_schema.of_row(group, queue_calls.REQUEUE_GROUP) for group in groups],
    }


def _condition(model: type[M], given: dict[str, Any]) -> ColumnElement[bool]:
    """Return the condition for the chosen rows; refuses fields that do not go together."""
    owner = "webhook" if model is Delivery else "source"
    if ("ids" in given) == given.get("failed", False):
        raise Refused(IDS_OR_FAILED, field="ids")
    if "ids" in given:
        if wrong := {name: GOES_WITH_FAILED for name in (owner, "since") if name in given}:
            raise Refused.of(wrong)
        return model.id.in_(given["ids"])
    since, owner_id = request_reader.moment(given.get("since")), given.get(owner)
    if owner_id and db.session.get(Webhook if model is Delivery else Source, owner_id) is None:
        raise Refused(f"No {owner} has this id.", field=owner)
    if model is Delivery:
        return Deliveries(status="failed", since=since, webhook_id=owner_id).condition()
    return InboundEvents(status="failed", since=since, source_id=owner_id).condition()
