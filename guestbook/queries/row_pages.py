"""Pages of webhooks, sources, bins and tokens, and of the requests of a bin, newest first."""

from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, defer

from guestbook.queries.lists import RowPage
from guestbook.storage.models import Bin, BinRequest, ReceiverLink, Source, Token, Webhook

K = TypeVar("K", Bin, BinRequest, ReceiverLink, Source, Token, Webhook)


def of(
    session: Session, model: type[K], before: str | None, limit: int, *which: ColumnElement[bool]
) -> RowPage[K]:
    """Return a page of those rows."""
    query = select(model).where(*which).order_by(model.id.desc())
    if before:
        query = query.where(model.id < before)
    if issubclass(model, BinRequest):
        query = query.options(defer(model.headers), defer(model.body))  # they may be 300 kB each
    rows = list(session.scalars(query.limit(limit + 1)))
    return RowPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
