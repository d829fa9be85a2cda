"""The filters of an admin list: read from the address, with a sentence for each wrong one."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import request
from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.queries.lists import RowPage
from guestbook.storage.database import db
from guestbook.storage.models import Source, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES
from guestbook.web import pagination

FILTER_LENGTH = 200  # characters of a filter that are read

W = TypeVar("W")
Filters = Mapping[str, Callable[[str], Any]]  # name → parser; its ValueError says what is wrong


def list_page(
    filters: Filters,
    read_filters: Callable[[], W],
    find: Callable[[Session, W, str | None], RowPage[Any]],
    no_filters: W,
) -> dict[str, Any]:
    """Return what a list shows: the page that the address asks for, or what is wrong with the filters."""
    before = pagination.before()
    try:
        wanted, reasons = read_filters(), {}
        page = find(db.session(), wanted, before)
    except Refused as error:
        wanted, reasons = no_filters, error.fields
        page = RowPage([], None)
    kept = {name: value for name in filters if (value := request.args.get(name))}
    return {"page": page, "wanted": wanted, "reasons": reasons, **pagination.links(page.older, **kept)}


def read(filters: Filters) -> dict[str, Any]:
    """Return the value of each filter, or None; raises Refused with a sentence for each wrong one."""
    values: dict[str, Any] = {}
    reasons = {}
    for name, parse in filters.items():
        typed = request.args.get(name, "")[:FILTER_LENGTH].strip()
        try:
            values[name] = (typed and parse(typed)) or None
        except ValueError as error:
            reasons[name] = str(error)
    if reasons:
        raise Refused.of(reasons)
    return values


def status(typed: str) -> str:
    """Return a status if it exists; raises ValueError."""
    if typed not in QUEUE_STATUSES:
        raise ValueError(f"There is no status {typed!r}.")
    return typed


def owner(model: type[Webhook] | type[Source], typed: str) -> str:
    """Return the id of a webhook or source if it exists; raises ValueError."""
    if not ids.ID.fullmatch(typed) or db.session.get(model, typed) is None:
        raise ValueError(f"This {model.__name__.lower()} no longer exists.")
    return typed
