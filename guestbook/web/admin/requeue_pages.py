"""Shared by the lists of deliveries and of inbound events: their filters, and requeueing."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from flask import abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.queries.listing import Page
from guestbook.queue import requeue
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.delivery import STATUSES
from guestbook.web.admin import responses

MOST_IDS = 500  # in one request
FILTER_LENGTH = 200  # characters of a filter that are read

M = TypeVar("M", Delivery, InboundEvent)
W = TypeVar("W")
Filters = Mapping[str, Callable[[str], Any]]  # what each means; a ValueError says what is wrong
Fields = list[tuple[str, str]]  # of a form
Selection = tuple[ColumnElement[bool], Fields]  # the rows that are meant, and the fields that mean the same


def list_page(
    filters: Filters,
    filtered: Callable[[], W],
    look: Callable[[Session, W, str | None], Page[Any]],
    everything: W,
) -> dict[str, Any]:
    """Return what a list shows: the page that the address asks for, or what is wrong with the filters."""
    before = request.args.get("before")
    if before is not None and not ids.ID.fullmatch(before):
        abort(404)
    try:
        wanted, reasons = filtered(), {}
        page = look(db.session(), wanted, before)
    except Refused as error:
        wanted, reasons = everything, error.fields
        page = Page([], None)
    return {
        "page": page,
        "wanted": wanted,
        "reasons": reasons,
        "newest": _address(filters) if before else None,
        "older": _address(filters, page.older) if page.older else None,
    }


def read(filters: Filters) -> dict[str, Any]:
    """Return the value of each filter, or None; what is wrong is refused, field by field."""
    values: dict[str, Any] = {}
    reasons = {}
    for name, meaning in filters.items():
        typed = request.args.get(name, "")[:FILTER_LENGTH].strip()
        try:
            values[name] = (typed and meaning(typed)) or None
        except ValueError as error:
            reasons[name] = str(error)
    if reasons:
        raise Refused.of(reasons)
    return values


def status(typed: str) -> str:
    """Return a status that there is; ValueError for what is none."""
    if typed not in STATUSES:
        raise ValueError(f"There is no status {typed!r}.")
    return typed


def owner(model: type[Webhook] | type[Source], typed: str) -> str:
    """Return the id of one that there is; ValueError for what is none."""
    if not ids.ID.fullmatch(typed) or db.session.get(model, typed) is None:
        raise ValueError(f"There is no such {model.__name__.lower()} any more.")
    return typed


def selected(model: type[M], noun: str, to_be: str) -> Selection:
    """Read which rows were ticked, in the order of the page; refuse none and too many."""
    row_ids = list(dict.fromkeys(request.values.getlist("id")))
    if not row_ids:
        raise Refused(f"Tick the {noun} that are to be {to_be} first.")
    if len(row_ids) > MOST_IDS:
        raise Refused(f"{len(row_ids)} {noun} were ticked; at most {MOST_IDS} can be at once.")
    if not all(map(ids.ID.fullmatch, row_ids)):
        abort(404)
    return model.id.in_(row_ids), [("id", row_id) for row_id in row_ids]


def failed(name: str, meaning: Callable[[str], str]) -> tuple[str | None, datetime | None, Fields]:
    """Read whose failed rows are meant, by the field of that name, since when, and the fields for that."""
    owner_id, since = (request.values.get(field, "").strip() for field in (name, "since"))
    try:
        whose = meaning(owner_id) if owner_id else None
        moment = clock.typed(since[:FILTER_LENGTH]) if since else None
    except ValueError as error:
        raise Refused(str(error)) from None
    since = moment.isoformat() if moment else ""  # `2d` ago would be another time on sending
    return whose, moment, [("failed", "1"), (name, owner_id), ("since", since)]


def confirm(model: type[M], chosen: Callable[[], Selection], template: str) -> ResponseReturnValue:
    """Say how many it would be, before anything happens."""
    try:
        which, fields = chosen()
    except Refused as error:
        return render_template(template, reason=str(error)), 422
    parts = requeue.forecast(db.session(), model, which, clock.now())
    return render_template(template, parts=parts, total=requeue.total(parts), fields=fields)


def requeue_many(
    model: type[M], chosen: Callable[[], Selection], template: str, told: Callable[[int], str]
) -> ResponseReturnValue:
    """Make many due at once, and tell of their number."""
    try:
        which, _ = chosen()
    except Refused as error:
        return render_template(template, reason=str(error)), 422
    return responses.done(told(requeue.run(model, which)), ".index")


def _address(filters: Filters, before: str | None = None) -> str:
    """Return the address of this list, with the same filters, from its start or from there on."""
    kept = {name: value for name in filters if (value := request.args.get(name))}
    return url_for(".index", before=before, **kept)  # type: ignore[arg-type]  # as in actions
