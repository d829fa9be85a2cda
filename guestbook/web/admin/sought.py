"""Which inbound events a request means: as `meant` for the deliveries."""

from collections.abc import Callable
from typing import Any

from flask import request
from sqlalchemy import ColumnElement

from guestbook import browse, clock, text
from guestbook.database import db
from guestbook.models import InboundEvent, Source
from guestbook.refusal import Refused
from guestbook.web import common
from guestbook.web.admin import meant


def filtered() -> browse.InboundEvents:
    """Read the filters; what is wrong is refused, field by field."""
    values = meant.read(FILTERS)
    return browse.InboundEvents(source_id=values.pop("source"), **values)


def chosen() -> tuple[ColumnElement[bool], list[tuple[str, str]]]:
    """Read which are to be reprocessed; return the condition, and the fields of a form that mean the same."""
    if request.values.get("failed"):
        return _failed()
    row_ids = meant.ticked("events", "reprocessed")
    return InboundEvent.id.in_(row_ids), [("id", row_id) for row_id in row_ids]


def _failed() -> tuple[ColumnElement[bool], list[tuple[str, str]]]:
    source_id, since = (request.values.get(name, "").strip() for name in ("source", "since"))
    try:
        wanted = browse.InboundEvents(
            status="failed",
            source_id=_source(source_id) if source_id else None,
            since=clock.typed(since[: meant.LIMIT]) if since else None,
        )
    except ValueError as error:
        raise Refused(str(error)) from None
    since = wanted.since.isoformat() if wanted.since else ""  # `2d` ago would be another time on sending
    return wanted.condition(), [("failed", "1"), ("source", source_id), ("since", since)]


def _source(typed: str) -> str:
    if not common.ID.fullmatch(typed) or db.session.get(Source, typed) is None:
        raise ValueError("There is no such source any more.")
    return typed


FILTERS: dict[str, Callable[[str], Any]] = {
    "status": meant.status,
    "source": _source,
    "event": text.clean_line,
    "sender": text.clean_line,
    "external_id": text.clean_line,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}
