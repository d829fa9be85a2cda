"""Lists of rows, and the calls that list, show and delete those of a noun."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request
from sqlalchemy import ColumnElement

from guestbook.lib.text import clean_line
from guestbook.queries import filtered_lists
from guestbook.queries.filtered_lists import AuditFilter, L, M, QueueFilter, RowPage
from guestbook.storage import row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Bin, Source, Webhook
from guestbook.web import request_context, response_headers
from guestbook.web.api import request_reader
from guestbook.web.api.api_call import FULL_PAGE_QUERY, Answer, Calls, list_of
from guestbook.web.row_lookup import changing, find

N = TypeVar("N", Bin, Source, Webhook)
Shape = Callable[[M], dict[str, Any]]


def page(key: str, found: RowPage[M], shape: Shape[M]) -> dict[str, Any]:
    """Return a page of a list with the address of the next page, which keeps the other parameters."""
    following = urlencode(request.args.to_dict() | {"before": found.older}) if found.older else None
    this = f"{request_context.settings().base_url}{request.path}"
    return {key: [shape(row) for row in found.rows], "next": following and f"{this}?{following}"}


def rows(key: str, model: type[L], shape: Shape[L], *conditions: ColumnElement[bool]) -> dict[str, Any]:
    """Return a page of the rows of a table that meet the conditions."""
    query = request_reader.query()
    found = filtered_lists.row_page(db.session(), model, query.get("before"), query["limit"], *conditions)
    return page(key, found, shape)


def filtered(
    key: str, wanted: Callable[..., QueueFilter | AuditFilter], shape: Shape[Any], **names: str
) -> dict[str, Any]:
    """Return a page of the rows that the query wants; some parameters have these names in the filter.

    Words without visible letters want nothing.
    """
    query = request_reader.query()
    before, limit = query.pop("before", None), query.pop("limit")
    given = {name: clean_line(one) or None if isinstance(one, str) else one for name, one in query.items()}
    filters = wanted(**{names.get(name, name): one for name, one in given.items()})
    return page(key, filters.page(db.session(), before, limit), shape)


def serve(calls: Calls, model: type[N], shape: Shape[N], also: str) -> None:
    """Serve the calls that list the rows of a noun, show one, and delete one with what belongs to it."""

    def remove(**address: str) -> Answer:
        [row_id] = address.values()
        with changing(model, row_id) as (session, row):
            response_headers.refuse_if_changed(shape(row))
            # The same lock holds, so no change comes between.
            _, is_gone = row_changes.delete_next(session.connection(), model, row_id)
        if not is_gone:
            row_changes.delete_with_rows(db.engine, model, row_id)
        return "", 204

    def get(**address: str) -> Answer:
        return shape(find(model, *address.values()))

    name, noun = model.__name__, model.__name__.lower()
    many, one = f"GET /{noun}s", f"/{noun}s/{{{noun}_id}}"
    calls.schemas[f"{name}s"] = list_of(f"{noun}s", name)
    see_all, answers = partial(rows, f"{noun}s", model, shape), {200: f"{name}s"}
    calls.add(see_all, f"list_{noun}s", f"List the {noun}s.", many, answers, query=FULL_PAGE_QUERY)
    calls.add(get, f"get_{noun}", f"Show a {noun}.", f"GET {one}", {200: name})
    summary = f"Delete a {noun} with {also}."
    calls.add(remove, f"delete_{noun}", summary, f"DELETE {one}", {204: None}, may_match=True)
