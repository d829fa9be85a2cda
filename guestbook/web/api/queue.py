"""/deliveries and /inbox: list, show, redeliver, reprocess; /redeliver and /reprocess do it to many rows."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from werkzeug.exceptions import Conflict

from guestbook.inbound import source_json
from guestbook.inbound.source_json import INBOUND_EVENT_SCHEMA, VERIFICATION_SCHEMA
from guestbook.lib import body_encoding, clock, json_schema as schema, redaction
from guestbook.lib.errors import Refused
from guestbook.lib.json_schema import Schema
from guestbook.outbound import webhook_json
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.webhook_json import ATTEMPT_SCHEMA, DELIVERY_SCHEMA
from guestbook.queries.filtered_lists import Deliveries, InboundEvents, QueueFilter
from guestbook.queue import comment_order, deleted_comments, redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.web import request_context
from guestbook.web.api import authentication, idempotency, request_reader, row_calls
from guestbook.web.api.api_call import DRY_RUN, LOOKS_BACK, PAGE_QUERY, Answer, Calls, list_of, word
from guestbook.web.row_lookup import find

TEXT_QUERY = {
    "text": word(
        "Only rows with this text in the payload, or in what became of it; needs the scope `manage`, because "
        f"payloads may have addresses that work like passwords. {LOOKS_BACK}"
    )
}


def _status_query(wanted: type[QueueFilter], words: str) -> dict[str, Schema]:
    said = f"Only rows with this status, or that are {words}."
    return {"status": schema.one_of(*wanted.statuses(), description=said)}


DELIVERY_QUERY = {
    **PAGE_QUERY,
    **_status_query(Deliveries, "waiting, retrying, delivered or given up"),
    "webhook": schema.id_("Only deliveries to this webhook."),
    "event": schema.one_of(*EVENTS, description="Only deliveries of this event."),
    "since": schema.time("Only deliveries created at this time or later."),
    "until": schema.time("Only deliveries created before this time."),
    "comment": schema.id_("Only deliveries about this comment."),
    **TEXT_QUERY,
}
INBOX_QUERY = {
    **PAGE_QUERY,
    **_status_query(InboundEvents, "waiting, processed or failed"),
    "source": schema.id_("Only events of this source."),
    "event": word("Only events of this name; `issues` is `issues.opened` too."),
    "sender": word("Only events whose sender has this in its name."),
    "external_id": word("Only the event with this id of the sender."),
    "since": schema.time("Only events received at this time or later."),
    "until": schema.time("Only events received before this time."),
    **TEXT_QUERY,
}

MOST_REQUEUED = 500  # ids in one request
PERIOD = ("since", "until")


def _requeue_schema(rows: str, owner: str) -> Schema:
    """Return the schema of a request that has either ids, or `failed` or `all`, with which the rest goes."""
    nothing: Schema = {"not": {}}
    fields = {
        "ids": schema.array(
            schema.ID, f"These {rows}.", minItems=1, maxItems=MOST_REQUEUED, uniqueItems=True
        ),
        "failed": schema.boolean(f"All failed {rows}, in place of ids."),
        "all": schema.boolean(f"All {rows} of one {owner} since a time, whatever their status."),
        owner: schema.id_(f"With failed or all: only those of this {owner}."),
        "since": schema.time("With failed or all: only those made at this time or later."),
        "until": schema.time("With failed or all: only those made before this time."),
        **DRY_RUN,
    }
    never = {"const": False}
    with_ids = {"properties": {"failed": never, "all": never} | dict.fromkeys((owner, *PERIOD), nothing)}
    failed = {"properties": {"failed": {"const": True}, "all": never}, "required": ["failed"]}
    with_all = {"all": {"const": True}, "failed": never, owner: {}, "since": {}}
    every = {"properties": with_all, "required": ["all", owner, "since"]}
    has_ids = {"properties": {"ids": {}}, "required": ["ids"]}
    return schema.request(fields) | {"if": has_ids, "then": with_ids, "else": {"anyOf": [failed, every]}}


REQUEUE_GROUP = schema.answer(
    name=schema.text("The name of the webhook or source."),
    disabled=schema.boolean("Whether they wait until it is enabled."),
    pulled=schema.boolean("Whether no pass sends them, but its receiver fetches them."),
    count=schema.number("How many of its rows are or would be due."),
    later=schema.number("Those of them that follow others about the same comment."),
    leased=schema.number("Rows that stay as they are, because a pass works on them."),
    erased=schema.number("Rows that stay as they are, because their comment was deleted."),
    mailed=schema.number("Those of `count` that are e-mails and were sent: they go out a second time."),
)

calls = Calls(
    "queue",
    Redelivery=_requeue_schema("deliveries", "webhook"),
    Reprocessing=_requeue_schema("inbound events", "source"),
    Requeued=schema.answer(
        count=schema.number("How many rows are due now, or would be."),
        groups=schema.array(REQUEUE_GROUP, "The forecast for each webhook or source, made just before."),
    ),
    Delivery=schema.answer(DELIVERY_SCHEMA),
    DeliveryWithAttempts=schema.answer(
        DELIVERY_SCHEMA,
        payload=schema.text("The exact body of each attempt."),
        attempts_made=schema.array(schema.ref("Attempt")),
    ),
    Deliveries=list_of("deliveries", "Delivery"),
    Attempt=schema.answer(ATTEMPT_SCHEMA),
    InboundEvent=schema.answer(INBOUND_EVENT_SCHEMA),
    InboundEventInFull=schema.answer(
        INBOUND_EVENT_SCHEMA,
        headers=schema.headers("The stored headers; secrets are hidden."),
        payload=schema.text("The exact bytes received, in the encoding."),
        encoding=schema.one_of(*body_encoding.ENCODINGS, description="Base64 if it is not UTF-8 text."),
        verification=schema.described(
            schema.answer(VERIFICATION_SCHEMA),
            "Whether its signature is valid with the source's present settings.",
        ),
    ),
    InboundEvents=list_of("inbound_events", "InboundEvent"),
)

BEING_SENT = "A pass is sending this delivery now. Try again in a moment."
BEING_PROCESSED = "A pass is processing this event now. Try again in a moment."
M = TypeVar("M", Delivery, InboundEvent)
BEING_FETCHED = "Its receiver has fetched this delivery and not answered yet. Try again in a minute."


@calls.serve("GET /deliveries", {200: "Deliveries"}, query=DELIVERY_QUERY)
def list_deliveries() -> Answer:
    """List deliveries."""
    names, shape = {"webhook": "webhook_id", "comment": "comment_id"}, webhook_json.delivery
    return row_calls.filtered("deliveries", Deliveries, shape, **names)


@calls.serve("GET /deliveries/{delivery_id}", {200: "DeliveryWithAttempts"})
def get_delivery(delivery_id: str) -> Answer:
    """Show a delivery with its attempts."""
    row = find(Delivery, delivery_id)
    shape = webhook_json.delivery_with_attempts(db.session(), row)
    # A receiver may repeat the URL or the payload.
    url, may_see_all = db.session.get_one(Webhook, row.webhook_id).url, authentication.may("manage")
    shown: Callable[[str], str] = str if may_see_all else partial(redaction.parts_of_url, whole=url)
    for made in shape["attempts_made"]:
        body, headers = made["response_body"], made["response_headers"]
        made["response_headers"] = headers and {name: shown(value) for name, value in headers.items()}
        made["response_body"] = body and shown(body)
    return shape | {"payload": shown(shape["payload"])}


@calls.serve("POST /deliveries/{delivery_id}/redeliver", {202: "Delivery"})
def redeliver(delivery_id: str) -> Answer:
    """Make a delivery due again, with the same id and payload.

    All later deliveries about the same comment to the same webhook follow it. An e-mail that was sent already
    goes out a second time: `mailed` of a dry run of `/redeliver` says so before.
    """
    with writing() as session:
        delivery = find(Delivery, delivery_id)
        free = redelivery.make_due(session, Delivery, [delivery.id], clock.now())
        if not free:
            is_over = delivery.erased_at is not None or comment_order.is_over(session, delivery.id)
            busy = BEING_FETCHED if find(Webhook, delivery.webhook_id).is_pulled else BEING_SENT
            raise Conflict(deleted_comments.DELIVERY_ERASED if is_over else busy)
        return idempotency.keep(session, webhook_json.delivery(free[0]), 202)


@calls.serve("GET /inbox", {200: "InboundEvents"}, query=INBOX_QUERY)
def list_inbound_events() -> Answer:
    """List inbound events."""
    shape = source_json.inbound_event
    return row_calls.filtered("inbound_events", InboundEvents, shape, source="source_id")


@calls.serve("GET /inbox/{event_id}", {200: "InboundEventInFull"})
def get_inbound_event(event_id: str) -> Answer:
    """Show an inbound event with its payload and how it was verified."""
    event = find(InboundEvent, event_id)
    source, settings = find(Source, event.source_id), request_context.settings()
    shape = source_json.inbound_event_in_full(event, source, settings)
    return shape | authentication.packed("payload", event.body)


@calls.serve("POST /inbox/{event_id}/reprocess", {202: "InboundEvent"})
def reprocess_inbound_event(event_id: str) -> Answer:
    """Reprocess with the next pass.

    The pass uses the source's settings of that time.
    """
    with writing() as session:
        event = find(InboundEvent, event_id)
        free = redelivery.make_due(session, InboundEvent, [event.id], clock.now())
        if not free:
            raise Conflict(deleted_comments.INBOUND_ERASED if event.erased_at else BEING_PROCESSED)
        return idempotency.keep(session, source_json.inbound_event(free[0]), 202)


@calls.serve("POST /redeliver", {200: "Requeued", 202: "Requeued"}, body="Redelivery")
def redeliver_many() -> Answer:
    """Redeliver many deliveries, all that failed, or all of a time range; or only count them."""
    return _requeue(Delivery, request_reader.body())


@calls.serve("POST /reprocess", {200: "Requeued", 202: "Requeued"}, body="Reprocessing")
def reprocess_many() -> Answer:
    """Reprocess many inbound events, all that failed, or all of a time range; or only count them."""
    return _requeue(InboundEvent, request_reader.body())


def _requeue(model: type[M], given: dict[str, Any]) -> Answer:
    which = _condition(model, given)
    groups = redelivery.forecast(db.session(), model, which, clock.now())
    if given["dry_run"]:
        return {"count": redelivery.total(groups), "groups": groups}, 200
    db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
    return {"count": redelivery.run(model, which), "groups": groups}, 202


def _condition(model: type[M], given: dict[str, Any]) -> ColumnElement[bool]:
    """Return the condition for the chosen rows; refuses fields that do not go together."""
    owner = "webhook" if model is Delivery else "source"
    everything = given.get("all", False)
    if ("ids" in given) + given.get("failed", False) + everything != 1:
        raise Refused("Give either ids, or failed for all that failed, or all.", field="ids")
    if "ids" in given:
        if wrong := {name: "This goes with failed or all." for name in (owner, *PERIOD) if name in given}:
            raise Refused.of(wrong)
        return model.id.in_(given["ids"])
    if everything and (wrong := {name: "All needs it." for name in (owner, "since") if name not in given}):
        raise Refused.of(wrong)
    owner_id, status = given.get(owner), None if everything else "failed"
    period = {name: given.get(name) for name in PERIOD}
    if owner_id and db.session.get(Webhook if model is Delivery else Source, owner_id) is None:
        raise Refused(f"No {owner} has this id.", field=owner)
    if model is Delivery:
        return Deliveries(status=status, webhook_id=owner_id, **period).condition()
    return InboundEvents(status=status, source_id=owner_id, **period).condition()
