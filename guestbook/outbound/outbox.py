"""The outbox: publish an event, ping a webhook. What it stores, `dispatch` sends."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from guestbook.lib import clock, ids, unit_of_work
from guestbook.outbound import formats
from guestbook.outbound.formats import FormatError
from guestbook.settings import Settings
from guestbook.storage import preferences
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.webhook import Template

REASON_LIMIT = 250  # characters of what is wrong with a format, kept with the delivery
AT_ONCE: Mapping[str, datetime] = MappingProxyType({})


class Body(NamedTuple):
    """What a body depends on beside the event; webhooks that agree in it are told the same."""

    format: str
    url: str  # "" where the format does not read it
    template: str | None


def publish(
    connection: Connection,
    event: str,
    data: dict[str, Any],
    settings: Settings,
    *,
    comment_id: str | None = None,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
    not_before: Mapping[str, datetime] = AT_ONCE,
) -> str:
    """Store one delivery for each webhook that wants the event, and return the event's id.

    The payload is fixed here. Disabled webhooks get theirs too: it waits for them. The caller's
    transaction commits, so an event is stored with what caused it or not at all.
    `leave_out` has the ids of webhooks that are not told; of `only` those, where it is given, some are.
    `not_before` says by webhook's id when its delivery may leave at the earliest.
    """
    # In the order in which a pass locks them: on MariaDB the rows' foreign keys lock the webhooks too.
    # All of them at the first event of a transaction, or a second event would go back to one with a lower id
    # and deadlock with that pass; and under a lock none is deleted before its delivery refers to it.
    query = select(Webhook.id, Webhook.format, Webhook.url, Webhook.events).order_by(Webhook.id)
    query = query.with_for_update(read=True, key_share=True)
    rows = connection.execute(query)
    wanted = [row for row in rows if event in row.events.split() and row.id not in leave_out]
    if only is not None:
        wanted = [row for row in wanted if row.id in only]
    return _store(connection, event, data, settings, _bodies(connection, wanted), comment_id, not_before)


def webhooks_notified(
    connection: Connection, event: str, comment_id: str, last_at: datetime | None, settings: Settings
) -> set[str]:
    """Return the ids of the webhooks that have had that event about a comment before, last at that time.

    They have a delivery of it. When it may have been pruned, those count that were there at that time.
    """
    mine = select(Delivery.webhook_id).where(Delivery.comment_id == comment_id, Delivery.event == event)
    found = set(connection.scalars(mine))
    kept = timedelta(days=min(settings.keep_processed_days, settings.keep_failed_days))
    if last_at and last_at <= clock.now() - kept:
        found |= set(connection.scalars(select(Webhook.id).where(Webhook.created_at <= last_at)))
    return found


def ping(connection: Connection, webhook: Webhook, settings: Settings) -> str:
    """Store the test delivery for one webhook, whatever its filter, and return the event's id."""
    data = {"webhook": {"id": webhook.id, "name": webhook.name}}
    return _store(connection, "ping", data, settings, _bodies(connection, [webhook]), None)


def _bodies(connection: Connection, webhooks: Sequence[Any]) -> dict[str, Body]:
    """Return for each webhook, or row of one, what its body depends on."""
    templated = [webhook.id for webhook in webhooks if webhook.format == "template"]
    texts: dict[str, str] = {}
    if templated:
        query = select(Template.webhook_id, Template.text).where(Template.webhook_id.in_(templated))
        texts = {row.webhook_id: row.text for row in connection.execute(query)}
    return {
        webhook.id: Body(
            webhook.format,
            webhook.url if webhook.format in formats.ADDRESSED else "",
            texts.get(webhook.id),
        )
        for webhook in webhooks
    }


def _store(
    connection: Connection,
    event: str,
    data: dict[str, Any],
    settings: Settings,
    bodies: dict[str, Body],
    comment_id: str | None,
    not_before: Mapping[str, datetime] = AT_ONCE,
) -> str:
    now, event_id = unit_of_work.now(), ids.new()
    if not bodies:
        return event_id
    title = preferences.read(connection).title
    data = {**data, "guestbook": {"title": title, "url": settings.base_url}}
    due_at = now + timedelta(seconds=settings.retry_schedule[0])
    fates = {body: _fate(body, event, now, data, due_at) for body in set(bodies.values())}
    same = {
        "event_id": event_id,
        "comment_id": comment_id,
        "event": event,
        "attempts": 0,
        "claims": 0,
        "schedule_start": 0,
        "created_at": now,
    }
    rows = [
        {"id": ids.new(), "webhook_id": webhook_id, **same, **fates[body]}
        for webhook_id, body in bodies.items()
    ]
    for row in rows:
        if row["due_at"]:
            row["due_at"] = max(row["due_at"], not_before.get(row["webhook_id"], row["due_at"]))
    connection.execute(insert(Delivery), rows)
    return event_id


def _fate(body: Body, event: str, now: datetime, data: dict[str, Any], due_at: datetime) -> dict[str, Any]:
    """Return the columns of a delivery. An owner's template is never run while the transaction is open."""
    make = partial(_made, body, event, now, data, due_at)
    if body.format != "template":
        return make()
    key = ("body", body.template, event, now, due_at, json.dumps(data))
    try:
        return unit_of_work.ask(key, make, _waiting("", due_at))
    except unit_of_work.StillChanging as error:
        return _failed(body, event, now, data, error)


def _made(body: Body, event: str, now: datetime, data: dict[str, Any], due_at: datetime) -> dict[str, Any]:
    """Return the columns of a delivery that is due; or failed, when its format cannot make a body."""
    try:
        payload = formats.render(body.format, event, now, data, url=body.url, template=body.template)
    except Exception as error:  # a format's mistake must not cost the visitor's comment
        return _failed(body, event, now, data, error)
    return _waiting(payload, due_at)


def _waiting(payload: str, due_at: datetime) -> dict[str, Any]:
    return {"payload": payload, "status": "new", "due_at": due_at, "finished_at": None, "last_error": None}


def _failed(body: Body, event: str, now: datetime, data: dict[str, Any], error: Exception) -> dict[str, Any]:
    return {
        "payload": formats.render("json", event, now, data),
        "status": "failed",
        "due_at": None,
        "finished_at": now,
        "last_error": _why(body.format, error),
    }


def _why(format_name: str, error: Exception) -> str:
    if isinstance(error, FormatError | unit_of_work.StillChanging):
        return f"{str(error)[:REASON_LIMIT]} Nothing was sent; kept as json."
    return f"The format {format_name} failed ({type(error).__name__}), so nothing was sent; kept as json."
