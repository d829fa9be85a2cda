"""The lists of deliveries and of inbound events: filters, exact payloads, requeueing one or many rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.queries.filtered_lists import Deliveries, InboundEvents, RowPage
from guestbook.queue import comment_order, redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES
from guestbook.web import response_headers, row_lookup
from guestbook.web.admin import responses

FILTER_LENGTH = 200  # characters of a filter that are read
MOST_IDS = 500  # in one request

M = TypeVar("M", Delivery, InboundEvent)
Fields = list[tuple[str, str]]  # Names and values of a form.


@dataclass(frozen=True, slots=True)
class QueueList(Generic[M]):
    """One of the two lists."""

    model: type[M]
    owner: type[Webhook] | type[Source]
    conditions: type[Deliveries] | type[InboundEvents]
    find: Callable[[Session, Any, str | None], RowPage[M]]
    filters: Mapping[str, Callable[[str], Any]]  # `_parsers` adds those that both lists have.
    statuses: list[tuple[str, str]]  # Each has its words.
    payload_suffix: str  # The name of the file with the exact bytes ends so.
    noun: tuple[str, str]
    verb: str  # "redeliver" or "reprocess"
    sends: str  # "sends" or "processes"
    sending: str  # "sending" or "processing"
    requeued: str  # This is said of a requeued row.
    replaced: str  # This is added for a row that was waiting already.
    erased: str  # This says why an erased row stays as it is.

    def add_rules(self, pages: Blueprint) -> None:
        """Add the pages that both lists have."""
        row = f"/<{self.noun[0]}_id>"
        pages.add_url_rule(f"{row}/payload", view_func=self.payload)
        pages.add_url_rule(f"{row}/{self.verb}", view_func=self.requeue, methods=["POST"])
        pages.add_url_rule(f"/{self.verb}", view_func=self.requeue_many, methods=["GET", "POST"])

    @property
    def owner_name(self) -> str:
        """Return `webhook` or `source`: the name of the filter; the column adds `_id`."""
        return self.owner.__name__.lower()

    def show(self, template: str, **more: Any) -> ResponseReturnValue:
        """Show the rows that match the filters, newest first, or what is wrong with the filters."""
        before, reasons = response_headers.page_before(), {}
        try:
            wanted = self._read_filters(*self._parsers)
            page = self.find(db.session(), wanted, before)
        except Refused as error:
            wanted, page, reasons = self.conditions(), RowPage([], None), error.fields
        query = select(self.owner).order_by(self.owner.name, self.owner.id)
        owners: Iterable[Webhook | Source] = db.session.scalars(query)
        by_id = {owner.id: owner for owner in owners}
        kept = {name: value for name in self._parsers if (value := request.args.get(name))}
        html = render_template(
            template,
            page=page,
            wanted=wanted,
            reasons=reasons,
            statuses=self.statuses,
            owners=by_id,
            owner_choices=[(owner.id, owner.name) for owner in by_id.values()],
            behind=self._behind(page.rows),
            **response_headers.page_links(page.older, **kept),
            **more,
        )
        return html, 422 if reasons else 200

    def payload(self, **address: str) -> Response:
        """Return the exact bytes that are sent or were received."""
        row = self._row(address)
        return responses.download(row.body, f"{row.id}.{self.payload_suffix}")

    def requeue(self, **address: str) -> ResponseReturnValue:
        """Make one row due now, and say so."""
        return responses.done(self.requeue_row(self._row(address).id), ".show", **address)

    def requeue_many(self) -> ResponseReturnValue:
        """Say how many rows it would be, before anything happens; POST makes them due now."""
        template = f"admin/{self.verb}.html"
        try:
            which, fields = self._selection()
        except Refused as error:
            return render_template(template, reason=str(error)), 422
        if request.method != "POST":
            parts = redelivery.forecast(db.session(), self.model, which, clock.now())
            return render_template(template, parts=parts, total=redelivery.total(parts), fields=fields)
        return responses.done(self.requeue_all(which), ".index")

    def requeue_all(self, which: ColumnElement[bool]) -> str:
        """Make these rows due now, in transactions of its own, and return what to say about them."""
        are_pulled = redelivery.are_pulled(redelivery.forecast(db.session(), self.model, which, clock.now()))
        db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
        count = redelivery.run(self.model, which)
        one, many = self.noun
        number, them = (f"1 {one} is", "it") if count == 1 else (f"{count:,} {many} are", "them")
        who = f"A listener fetches {them}" if are_pulled else f"The next pass {self.sends} {them}"
        return f"{number} due now. {who}."

    def requeue_row(self, row_id: str) -> str:
        """Make one row due now, and return what to say about it."""
        with writing() as session:
            row = row_lookup.find(self.model, row_id)
            was_new = row.status == "new"
            free = redelivery.make_due(session, self.model, [row.id], clock.now())
            is_over = row.erased_at is not None or comment_order.is_over(session, row.id)
            owner = row_lookup.find(self.owner, getattr(row, f"{self.owner_name}_id"))
            is_disabled = owner.disabled_at is not None
            is_pulled = isinstance(owner, Webhook) and owner.is_pulled
        if is_over:
            return self.erased
        if not free:
            busy = "Its receiver has fetched it" if is_pulled else f"A pass is {self.sending} it now"
            return f"{busy}, so nothing was changed. Look again in a moment."
        if is_disabled:
            return f"It is due now, and waits until its {self.owner_name} is enabled."
        said = "It is due now. Its receiver fetches it." if is_pulled else self.requeued
        said = said + self.replaced if was_new else said
        return f"{said} The later ones about the same comment follow it." if len(free) > 1 else said

    def _row(self, address: dict[str, str]) -> M:
        return row_lookup.find(self.model, address[f"{self.noun[0]}_id"])

    def _behind(self, rows: Iterable[Delivery | InboundEvent]) -> set[str]:
        """Return the ids of the deliveries that wait behind an earlier one."""
        waiting = [row.id for row in rows if isinstance(row, Delivery) and row.due_at and row.sequence]
        return comment_order.behind(db.session(), waiting)

    @property
    def _parsers(self) -> dict[str, Callable[[str], Any]]:
        """Return the function that reads each filter; a ValueError says what is wrong."""
        first = {"status": _status, self.owner_name: self._owner, **self.filters}
        return {**first, "since": clock.typed, "until": clock.typed, "text": clean_line}

    def _read_filters(self, *names: str) -> Deliveries | InboundEvents:
        """Return the filters with these names; raises Refused with a sentence for each wrong one."""
        values: dict[str, Any] = {}
        reasons = {}
        for name in names:
            typed = request.values.get(name, "")[:FILTER_LENGTH].strip()
            try:
                values[name] = (typed and self._parsers[name](typed)) or None
            except ValueError as error:
                reasons[name] = str(error)
        if reasons:
            raise Refused.of(reasons)
        return self.conditions(**{f"{self.owner_name}_id": values.pop(self.owner_name)}, **values)

    def _selection(self) -> tuple[ColumnElement[bool], Fields]:
        """Return which rows to requeue, and the form fields that select them again."""
        if request.values.get("failed"):
            return self._all_failed()
        row_ids, many = list(dict.fromkeys(request.values.getlist("id"))), self.noun[1]
        if not row_ids:
            raise Refused(f"First select the {many} to be {self.verb}ed.")
        if len(row_ids) > MOST_IDS:
            raise Refused(f"You selected {len(row_ids)} {many}. At most {MOST_IDS} are possible at a time.")
        if not all(map(ids.ID.fullmatch, row_ids)):
            abort(404)
        return self.model.id.in_(row_ids), [("id", row_id) for row_id in row_ids]

    def _all_failed(self) -> tuple[ColumnElement[bool], Fields]:
        """Select the failed rows of one webhook or source, or of all, since a time, or always."""
        name = self.owner_name
        wanted = replace(self._read_filters(name, "since"), status="failed")
        owner_id = getattr(wanted, f"{name}_id") or ""
        # The exact time, because `2d` would be another time when the form is sent.
        since = wanted.since.isoformat() if wanted.since else ""
        return wanted.condition(), [("failed", "1"), (name, owner_id), ("since", since)]

    def _owner(self, typed: str) -> str:
        if not ids.ID.fullmatch(typed) or db.session.get(self.owner, typed) is None:
            raise ValueError(f"This {self.owner_name} no longer exists.")
        return typed


def _status(typed: str) -> str:
    if typed not in QUEUE_STATUSES:
        raise ValueError(f"There is no status {typed!r}.")
    return typed
