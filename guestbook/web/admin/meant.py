"""Which deliveries a request means: those that the filters of the list let by, or those that were chosen."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import abort, request
from sqlalchemy import ColumnElement

from guestbook import browse, clock, text
from guestbook.database import db
from guestbook.models import Delivery, Webhook
from guestbook.models.delivery import STATUSES
from guestbook.models.webhook import EVENTS
from guestbook.refusal import Refused
from guestbook.web import common

MOST_IDS = 500  # in one request
LIMIT = 200  # characters of a filter that are read


def filtered() -> browse.Deliveries:
    """Read the filters; what is wrong is refused, field by field."""
    values = read(FILTERS)
    return browse.Deliveries(webhook_id=values.pop("webhook"), **values)


def read(filters: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Return the value of each filter, or None; each says by a ValueError what is wrong."""
    values: dict[str, Any] = {}
    reasons = {}
    for name, meaning in filters.items():
        typed = request.args.get(name, "")[:LIMIT].strip()
        try:
            values[name] = (typed and meaning(typed)) or None
        except ValueError as error:
            reasons[name] = str(error)
    if reasons:
        raise Refused.of(reasons)
    return values


def ticked(noun: str, to_be: str) -> list[str]:
    """Return the ids of the rows that were ticked, in the order of the page; refuse none and too many."""
    row_ids = list(dict.fromkeys(request.values.getlist("id")))
    if not row_ids:
        raise Refused(f"Tick the {noun} that are to be {to_be} first.")
    if len(row_ids) > MOST_IDS:
        raise Refused(f"{len(row_ids)} {noun} were ticked; at most {MOST_IDS} can be at once.")
    if not all(map(common.ID.fullmatch, row_ids)):
        abort(404)
    return row_ids


def status(typed: str) -> str:
    """Return a status that there is; ValueError for what is none."""
    if typed not in STATUSES:
        raise ValueError(f"There is no status {typed!r}.")
    return typed


def chosen() -> tuple[ColumnElement[bool], list[tuple[str, str]]]:
    """Read which are to be redelivered; return the condition, and the fields of a form that mean the same."""
    if request.values.get("failed"):
        return _failed()
    row_ids = ticked("deliveries", "redelivered")
    return Delivery.id.in_(row_ids), [("id", row_id) for row_id in row_ids]


def _failed() -> tuple[ColumnElement[bool], list[tuple[str, str]]]:
    webhook_id, since = (request.values.get(name, "").strip() for name in ("webhook", "since"))
    try:
        wanted = browse.Deliveries(
            status="failed",
            webhook_id=_webhook(webhook_id) if webhook_id else None,
            since=clock.typed(since[:LIMIT]) if since else None,
        )
    except ValueError as error:
        raise Refused(str(error)) from None
    since = wanted.since.isoformat() if wanted.since else ""  # `2d` ago would be another time on sending
    return wanted.condition(), [("failed", "1"), ("webhook", webhook_id), ("since", since)]


def _webhook(typed: str) -> str:
    if not common.ID.fullmatch(typed) or db.session.get(Webhook, typed) is None:
        raise ValueError("There is no such webhook any more.")
    return typed


def _event(typed: str) -> str:
    if typed not in EVENTS:
        raise ValueError(f"There is no event {typed!r}.")
    return typed


FILTERS: dict[str, Callable[[str], Any]] = {
    "status": status,
    "webhook": _webhook,
    "event": _event,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}
