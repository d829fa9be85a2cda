"""Deliveries and inbound events: their lists, rows and requeueing; and past events for a webhook.

A `QueueList` is one of the two lists: filters, exact payloads, requeueing one or many rows.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, select

from guestbook.comments import backfill
from guestbook.comments.backfill import LOOKED_AT_ONCE, BackfillRules
from guestbook.inbound import event_reader, verify_and_decide
from guestbook.lib import body_encoding, clock, ids, validate
from guestbook.lib.errors import Refused, refusing
from guestbook.lib.text import clean_line, counted
from guestbook.outbound import signature_explanation, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import statistics, webhook_status
from guestbook.queries.filtered_lists import Deliveries, InboundEvents, QueueFilter, RowPage
from guestbook.queries.statistics import COUNT_LIMIT, WAITING_OR_RETRYING
from guestbook.queue import comment_order, deleted_comments, redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import Attempt, Comment, Delivery, InboundEvent, Source, Webhook
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import curl_command, responses

FILTER_LENGTH = 200  # characters of a filter that are read
MOST_IDS = 500  # in one request
EVENT_CHOICES = [(name, name) for name in EVENTS]

Parser = Callable[[str], Any]  # A Refused or ValueError says what is wrong.


@dataclass(frozen=True, slots=True)
class QueueList:
    """One of the two lists."""

    model: type[Any]
    owner: type[Any]
    conditions: type[Deliveries] | type[InboundEvents]
    filters: Mapping[str, Parser]  # `parsers` adds those that both lists have.
    template: str
    noun: tuple[str, str]
    verb: str  # "redeliver" or "reprocess"
    sends: tuple[str, str]  # What a pass does: "sends" and "sending", or "processes" and "processing".
    requeued: str  # This is said of a requeued row.
    erased: str  # This says why an erased row stays as it is.

    def add_rules(self, pages: Blueprint) -> None:
        """Add the pages that both lists have."""
        row = f"/<{self.noun[0]}_id>"
        pages.add_url_rule("/", "index", self.show)
        pages.add_url_rule(f"{row}/payload", view_func=self.payload)
        pages.add_url_rule(f"{row}/{self.verb}", view_func=self.requeue, methods=["POST"])
        pages.add_url_rule(f"/{self.verb}", view_func=self.requeue_many, methods=["GET", "POST"])

    @property
    def owner_name(self) -> str:
        """Return `webhook` or `source`: the name of the filter; the column adds `_id`."""
        return self.owner.__name__.lower()

    @property
    def parsers(self) -> dict[str, Parser]:
        """Return the function that reads each filter."""
        status = partial(validate.one_of, self.conditions.statuses(), field="status", noun="status")
        times = {"since": clock.typed, "until": clock.typed}
        return {"status": status, self.owner_name: self._owner, **self.filters, **times, "text": clean_line}

    def show(self) -> ResponseReturnValue:
        """Show the rows that match the filters, newest first, or what is wrong with the filters."""
        before, reasons = response_headers.page_before(), {}
        try:
            wanted = self._read_filters(*self.parsers)
            page = wanted.page(db.session(), before)
        except Refused as error:
            wanted, page, reasons = self.conditions(), RowPage([], None), error.fields
        by_name = select(self.owner).order_by(self.owner.name, self.owner.id)
        owners = {owner.id: owner for owner in db.session.scalars(by_name)}
        waiting = [row.id for row in page.rows if self.model is Delivery and row.due_at and row.sequence]
        kept = {name: value for name in self.parsers if (value := request.args.get(name))}
        html = render_template(
            self.template,
            page=page,
            wanted=wanted,
            reasons=reasons,
            statuses=self.statuses,
            instead=[] if page.rows or reasons else self.instead_of(wanted),
            owners=owners,
            owner_choices=[(owner.id, owner.name) for owner in owners.values()],
            behind=comment_order.behind(db.session(), waiting),
            names=_names_of_comments(page.rows) if self.model is Delivery else {},
            events=EVENT_CHOICES,
            outlook=outlook_of,
            answer_of=webhook_status.answer_of,
            now=clock.now(),
            **response_headers.page_links(page.older, **kept),
        )
        return html, 422 if reasons else 200

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """Return the statuses that a filter offers, each with its words for people."""
        words = self.conditions.words
        both = [("new", WAITING_OR_RETRYING)] if list(words.values()).count("new") > 1 else []
        return [*both, *((word, word.replace("-", " ")) for word in words)]

    def instead_of(self, wanted: QueueFilter) -> list[tuple[int, str, str]]:
        """Return what is there where nothing was found: how many, with which words, at which address."""
        wider, counts = statistics.instead_of(db.session(), wanted)
        times = {name: clock.to_text(it) for name in ("since", "until") if (it := getattr(wider, name))}
        kept = {self.owner_name: getattr(wider, f"{self.owner_name}_id"), **times}
        words = dict(self.statuses)
        return [
            (count, words[status], url_for(".index", status=status, **kept))
            for status, count in counts.items()
        ]

    def payload(self, **address: str) -> Response:
        """Return the exact bytes that are sent or were received."""
        row = row_lookup.find(self.model, *address.values())
        return responses.download(row.body, f"{row.id}.{'json' if self.model is Delivery else 'bin'}")

    def requeue(self, **address: str) -> ResponseReturnValue:
        """Make one row due now, and say so. For an e-mail that was sent, ask first."""
        [row_id] = address.values()
        parts = redelivery.forecast(db.session(), self.model, self.model.id == row_id, clock.now())
        if redelivery.mailed(parts):
            return redirect(url_for(".requeue_many", id=row_id), 303)
        return responses.done(self.requeue_row(*address.values()), ".show", **address)

    def requeue_row(self, row_id: str) -> str:
        """Make one row due now, and return what to say about it."""
        with writing() as session:
            row = row_lookup.find(self.model, row_id)
            was_new = row.status == "new"
            free = redelivery.make_due(session, self.model, [row.id], clock.now())
            is_over = row.erased_at is not None or comment_order.is_over(session, row.id)
            owner = row_lookup.find(self.owner, getattr(row, f"{self.owner_name}_id"))
            is_disabled, is_pulled = owner.disabled_at is not None, self.owner is Webhook and owner.is_pulled
        if is_over:
            return self.erased
        if not free:
            busy = "Its receiver has fetched it" if is_pulled else f"A pass is {self.sends[1]} it now"
            return f"{busy}, so nothing was changed. Look again in a moment."
        if is_disabled:
            return f"It is due now, and waits until its {self.owner_name} is enabled."
        said = "It is due now. Its receiver fetches it." if is_pulled else self.requeued
        said += " This replaces the scheduled retry." if was_new and self.model is Delivery else ""
        return f"{said} The later ones about the same comment follow it." if len(free) > 1 else said

    def requeue_many(self) -> ResponseReturnValue:
        """Say how many rows it would be, before anything happens; POST makes them due now."""
        template = f"admin/{self.verb}.html"
        try:
            which, fields = self._selection()
        except Refused as error:
            return render_template(template, reason=str(error)), 422
        if request.method == "POST":
            return responses.done(self.requeue_all(which), ".index")
        parts = redelivery.forecast(db.session(), self.model, which, clock.now())
        instead = [] if parts else self.instead_of(self._read_filters(self.owner_name, "since", "until"))
        total = redelivery.total(parts)
        return render_template(template, parts=parts, total=total, fields=fields, instead=instead)

    def requeue_all(self, which: ColumnElement[bool]) -> str:
        """Make these rows due now, in transactions of its own, and return what to say about them."""
        are_pulled = redelivery.are_pulled(redelivery.forecast(db.session(), self.model, which, clock.now()))
        db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
        count = redelivery.run(self.model, which)
        one, many = self.noun
        number, them = (f"1 {one} is", "it") if count == 1 else (f"{count:,} {many} are", "them")
        who = f"A listener fetches {them}" if are_pulled else f"The next pass {self.sends[0]} {them}"
        return f"{number} due now. {who}."

    def _selection(self) -> tuple[ColumnElement[bool], list[tuple[str, str]]]:
        """Return which rows to requeue, and the form fields that select them again.

        They are the chosen ones, or those of one webhook or source, or of all, that failed in a time range;
        with `all` everything of one since a time.
        """
        name, many = self.owner_name, self.noun[1]
        if request.values.get("failed"):
            everything = request.values.get("all", "")
            status = None if everything else "failed"
            wanted = replace(self._read_filters(name, "since", "until"), status=status)
            owner_id = getattr(wanted, f"{name}_id") or ""
            if everything and not (owner_id and wanted.since):
                raise Refused(
                    f"Choose one {name}, and the time since which all its {many} are {self.verb}ed."
                )
            # The exact time, because `2d` would be another time when the form is sent.
            times = [
                (one, it.isoformat() if (it := getattr(wanted, one)) else "") for one in ("since", "until")
            ]
            return wanted.condition(), [("failed", "1"), ("all", everything), (name, owner_id), *times]
        row_ids = list(dict.fromkeys(request.values.getlist("id")))
        if not row_ids:
            raise Refused(f"First select the {many} to be {self.verb}ed.")
        if len(row_ids) > MOST_IDS:
            raise Refused(f"You selected {len(row_ids)} {many}. At most {MOST_IDS} are possible at a time.")
        if not all(map(ids.ID.fullmatch, row_ids)):
            abort(404)
        return self.model.id.in_(row_ids), [("id", row_id) for row_id in row_ids]

    def _read_filters(self, *names: str) -> Deliveries | InboundEvents:
        """Return the filters with these names; raises Refused with a sentence for each wrong one."""
        values = validate.all_of({name: partial(self._read_filter, name) for name in names})
        return self.conditions(**{f"{self.owner_name}_id": values.pop(self.owner_name)}, **values)

    def _read_filter(self, name: str) -> Any:
        typed = request.values.get(name, "")[:FILTER_LENGTH].strip()
        with refusing(name, ValueError):
            return (typed and self.parsers[name](typed)) or None

    def _owner(self, typed: str) -> str:
        if not ids.ID.fullmatch(typed) or db.session.get(self.owner, typed) is None:
            raise ValueError(f"This {self.owner_name} no longer exists.")
        return typed


DELIVERY_LIST = QueueList(
    model=Delivery,
    owner=Webhook,
    conditions=Deliveries,
    filters={"event": partial(validate.one_of, EVENTS, field="event", noun="event")},
    template="admin/deliveries.html",
    noun=("delivery", "deliveries"),
    verb="redeliver",
    sends=("sends", "sending"),
    requeued="It is due now. The next pass sends it.",
    erased=deleted_comments.DELIVERY_ERASED,
)
EVENT_LIST = QueueList(
    model=InboundEvent,
    owner=Source,
    conditions=InboundEvents,
    filters=dict.fromkeys(("event", "sender", "external_id"), clean_line),
    template="admin/inbox.html",
    noun=("event", "events"),
    verb="reprocess",
    sends=("processes", "processing"),
    requeued="It is due now: the next pass processes it with the source's present settings.",
    erased=deleted_comments.INBOUND_ERASED,
)
delivery_pages = Blueprint("deliveries", __name__, url_prefix="/deliveries")
DELIVERY_LIST.add_rules(delivery_pages)
inbox_pages = Blueprint("inbox", __name__, url_prefix="/inbox")
EVENT_LIST.add_rules(inbox_pages)


def _names_of_comments(rows: Sequence[Delivery]) -> dict[str, str]:
    """Return who wrote the comments that these deliveries are about, by the comment's id."""
    comment_ids = {row.comment_id for row in rows if row.comment_id}
    found = db.session.execute(select(Comment.id, Comment.name).where(Comment.id.in_(comment_ids)))
    return {row.id: row.name for row in found}


ATTEMPTS_SHOWN = 20  # per page; each may hold 16 KiB
LIVE_WINDOW = timedelta(minutes=1)  # A page refreshes itself when the result is due this soon.


@delivery_pages.get("/<delivery_id>", endpoint="show")
def show_delivery(delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    now, file = clock.now(), f"{delivery.id}.json"
    return render_template(
        "admin/delivery.html",
        webhook=webhook,
        curl=curl_command.as_curl(delivery, webhook, request_context.settings().base_url, file, now),
        file=file if curl_command.is_long(delivery.body) else None,
        **delivery_facts(delivery, webhook, now),
    )


def delivery_facts(delivery: Delivery, webhook: Webhook, now: datetime) -> dict[str, Any]:
    """Return what a page says of a delivery, with the latest attempts, or those `before` a number."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number.desc())
    if (before := request.args.get("before")) is not None:
        query = query.where(Attempt.number < _attempt_number(before))
    attempts = db.session.scalars(query.limit(ATTEMPTS_SHOWN + 1)).all()
    until = max(delivery.due_at or now, webhook.paused_until or now)
    may_end_soon = delivery.due_at and not webhook.disabled_at
    is_behind = bool(comment_order.behind(db.session(), [delivery.id]))
    return {
        "delivery": delivery,
        "views": body_encoding.views(delivery.body),
        "attempts": attempts[:ATTEMPTS_SHOWN],
        "earlier": attempts[ATTEMPTS_SHOWN - 1].number if len(attempts) > ATTEMPTS_SHOWN else None,
        "outlook": outlook_of(delivery, webhook, now, is_behind),
        "is_live": may_end_soon and (delivery.is_leased(now) or until <= now + LIVE_WINDOW),
        "erased": deleted_comments.DELIVERY_ERASED,
    }


def outlook_of(delivery: Delivery, webhook: Webhook, now: datetime, is_behind: bool) -> str:
    """Say when it is sent next, details after a comma. `is_behind`: an earlier one of its comment waits."""
    if delivery.due_at is None:
        return ""
    if delivery.is_leased(now):
        return "its receiver has fetched it" if webhook.is_pulled else "a pass is sending it now"
    if webhook.disabled_at:
        return "waits, because the webhook is disabled"
    if webhook.paused_until and webhook.paused_until > max(now, delivery.due_at):
        return f"{clock.ago(webhook.paused_until)}, because the webhook is paused until then"
    if is_behind:
        return "after an earlier one, because the events about a comment are sent in order"
    if delivery.due_at > now:
        return clock.ago(delivery.due_at)
    return "waits until its receiver fetches it" if webhook.is_pulled else "due now, sent with the next pass"


def _attempt_number(typed: str) -> int:
    return int(typed) if re.fullmatch("[0-9]{1,9}", typed) else abort(404)


@delivery_pages.get("/<delivery_id>/explain")
def explain(delivery_id: str) -> ResponseReturnValue:
    """Show how its signature is made, step by step, with programs that verify it."""
    delivery = row_lookup.find(Delivery, delivery_id)
    webhook = row_lookup.find(Webhook, delivery.webhook_id)
    typed = request.args.get("attempt")
    if typed is None:
        attempt = webhooks.last_attempt(db.session(), delivery)
    else:
        attempt = db.session.get(Attempt, (delivery.id, _attempt_number(typed))) or abort(404)
    return render_template(
        "admin/signature_explanation.html",
        delivery=delivery,
        webhook=webhook,
        attempt=attempt,
        introduction=signature_explanation.introduction(attempt),
        explanation=signature_explanation.of(delivery, webhook, attempt, clock.now()),
        unusable=signature_explanation.UNUSABLE,
        erased=deleted_comments.DELIVERY_ERASED,
    )


@inbox_pages.get("/<event_id>", endpoint="show")
def show_event(event_id: str) -> ResponseReturnValue:
    """Show one event: its payload, its verification and its result."""
    event = row_lookup.find(InboundEvent, event_id)
    source = row_lookup.find(Source, event.source_id)
    outlook = "waits because the source is disabled" if source.disabled_at else "with the next pass"
    if event.is_leased(clock.now()):
        outlook = "a pass is processing it now"
    return render_template(
        "admin/inbound_event.html",
        event=event,
        source=source,
        headers=event.shown_headers,
        views=event_reader.views(event.headers, event.body),
        verdict=verify_and_decide.verify(event, source, request_context.settings().secret_keys),
        outlook=outlook if event.due_at else "",
        is_live=event.status == "new" and not source.disabled_at,
        is_forwarded=event.status == "processed" and source.action == "forward",
    )


backfill_pages = Blueprint("backfill", __name__, url_prefix="/webhooks")

SENT_AT_ONCE = 500  # deliveries. A request must end soon, so the rest waits for the next click.


def _backfill_page(webhook_id: str, **more: object) -> str:
    webhook, typed = row_lookup.find(Webhook, webhook_id), request.values.get("since", "")
    limits = {"at_once": SENT_AT_ONCE, "count_limit": COUNT_LIMIT}
    return render_template("admin/backfill.html", webhook=webhook, typed=typed, **limits, **more)


@backfill_pages.get("/<webhook_id>/backfill")
@responses.form_on(_backfill_page)
def ask(webhook_id: str) -> ResponseReturnValue:
    """Ask since when, or say how many events it would be."""
    if not request.args.get("since", "").strip():
        return _backfill_page(webhook_id)
    row_lookup.find(Webhook, webhook_id)
    rules = _rules(COUNT_LIMIT + 1)
    return _backfill_page(webhook_id, rules=rules, found=backfill.forecast(webhook_id, rules))


@backfill_pages.post("/<webhook_id>/backfill")
@responses.form_on(_backfill_page)
def send(webhook_id: str) -> ResponseReturnValue:
    """Send the first of them. If some are left, the page says so."""
    row_lookup.find(Webhook, webhook_id)
    rules = _rules(SENT_AT_ONCE)
    done = backfill.run(webhook_id, rules)
    made = done.deliveries
    sentence = f"{counted(made, 'past event')} {'is' if made == 1 else 'are'} on the way."
    if done.next_after is None:
        return responses.done(sentence, "admin.webhooks.show", webhook_id=webhook_id)
    kept = {"since": rules.since.isoformat(), "pruned_too": "1" if rules.pruned_too else None}
    kept["after"] = done.next_after
    return responses.done(sentence, ".ask", webhook_id=webhook_id, **kept)


def _rules(most: int) -> BackfillRules:
    """Return what was typed, to go on where the last click ended; raises Refused."""
    with refusing("since", ValueError):
        since = clock.typed(request.values.get("since", "").strip()[:40])
    pruned_too, after = bool(request.values.get("pruned_too")), request.values.get("after", "")
    after = after if ids.ID.fullmatch(after) else ""
    return BackfillRules(since, request_context.settings(), pruned_too, after, most, LOOKED_AT_ONCE)
