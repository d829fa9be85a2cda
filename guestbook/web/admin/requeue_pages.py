"""Redeliver and reprocess many rows: first a page that says how many, then the action."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.queue import requeue
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent
from guestbook.web.admin import responses
from guestbook.web.admin.list_filters import FILTER_LENGTH

MOST_IDS = 500  # in one request

M = TypeVar("M", Delivery, InboundEvent)
Fields = list[tuple[str, str]]  # of a form
Selection = tuple[ColumnElement[bool], Fields]  # the rows, and the form fields that select them again


def selected(model: type[M], noun: str, to_be: str) -> Selection:
    """Read which rows were selected, in the order of the page; refuse none and too many."""
    row_ids = list(dict.fromkeys(request.values.getlist("id")))
    if not row_ids:
        raise Refused(f"First select the {noun} to be {to_be}.")
    if len(row_ids) > MOST_IDS:
        raise Refused(f"You selected {len(row_ids)} {noun}. At most {MOST_IDS} are possible at a time.")
    if not all(map(ids.ID.fullmatch, row_ids)):
        abort(404)
    return model.id.in_(row_ids), [("id", row_id) for row_id in row_ids]


def all_failed(name: str, parse: Callable[[str], str]) -> tuple[str | None, datetime | None, Fields]:
    """Read whose failed rows, from the field `name`, and since when; return these and their form fields."""
    owner_id, since = (request.values.get(field, "").strip() for field in (name, "since"))
    try:
        owner = parse(owner_id) if owner_id else None
        moment = clock.typed(since[:FILTER_LENGTH]) if since else None
    except ValueError as error:
        raise Refused(str(error)) from None
    since = moment.isoformat() if moment else ""  # `2d` would be another time when the form is sent
    return owner, moment, [("failed", "1"), (name, owner_id), ("since", since)]


def confirm(model: type[M], read: Callable[[], Selection], template: str) -> ResponseReturnValue:
    """Say how many rows it would be, before anything happens."""
    try:
        which, fields = read()
    except Refused as error:
        return render_template(template, reason=str(error)), 422
    parts = requeue.forecast(db.session(), model, which, clock.now())
    return render_template(template, parts=parts, total=requeue.total(parts), fields=fields)


def requeue_many(
    model: type[M], read: Callable[[], Selection], template: str, sentence: Callable[[int], str]
) -> ResponseReturnValue:
    """Make many rows due now, and say how many."""
    try:
        which, _ = read()
    except Refused as error:
        return render_template(template, reason=str(error)), 422
    return responses.done(sentence(requeue.run(model, which)), ".index")
