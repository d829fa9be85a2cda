"""The outbox: publish an event, send a sample. It stores deliveries; the dispatcher sends them.

First comes how rows are made of an event, then who publishes one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, or_, select

from guestbook.lib import clock, conditions, ids, retry_policy
from guestbook.lib.conditions import NOT_WANTED
from guestbook.outbound import formats, payload_versions
from guestbook.outbound.formats import ADDRESSED, FormatError, FormatInput, bodies
from guestbook.queue import claims, comment_order, deleted_comments
from guestbook.settings import Settings
from guestbook.storage import database, plain_sql, preferences
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.delivery import Template

FORMAT_ERROR_LIMIT = 250  # characters of a format's error, stored with the delivery
NO_DELAY: Mapping[str, datetime] = MappingProxyType({})


class BodyInput(NamedTuple):
    """The parts of a webhook that its body depends on; webhooks with equal parts get the same body."""

    format: str
    url: str  # "" if the format does not use it
    template: str | None
    version: str
    for_owner: bool = False  # With a link to moderate a held comment, and the note.


class NewEvent(NamedTuple):
    """An event that is to be published, and its data, once more for webhooks with links to moderate."""

    name: str
    data: dict[str, Any]
    for_owner: dict[str, Any] | None = None


class PastEvent(NamedTuple):
    """When an event happened that a webhook gets later, and its id, if it is known."""

    happened_at: datetime
    event_id: str | None = None


def _new_rows(
    event: NewEvent,
    inputs: dict[str, BodyInput],
    title: str,
    settings: Settings,
    same: dict[str, Any],
    happened_at: datetime,
    not_before: Mapping[str, datetime] = NO_DELAY,
) -> list[dict[str, Any]]:
    """Return the deliveries of an event, with their payloads. `same` is what all of them have in common."""
    more: dict[str, Any] = {} if same["sequence"] is None else {"sequence": same["sequence"]}
    more["guestbook"] = {"title": title, "url": settings.base_url}
    both = {False: event.data | more, True: (event.for_owner or event.data) | more}
    due_at = same["created_at"] + timedelta(seconds=settings.retry_schedule[0])
    given = partial(FormatInput, event.name, happened_at)
    columns = {
        one: _rendered(one.format, given(both[one.for_owner], one.url, one.template, one.version), due_at)
        for one in set(inputs.values())
    }
    same = {"event": event.name, **same, "attempts": 0, "claims": 0, "schedule_start": 0}
    rows = [{"id": ids.new(), "webhook_id": key, **same, **columns[one]} for key, one in inputs.items()]
    for row in rows:
        if row["due_at"]:  # A final row has none.
            row["due_at"] = max(row["due_at"], not_before.get(row["webhook_id"], row["due_at"]))
    return rows


def _rendered(format_name: str, given: FormatInput, due_at: datetime) -> dict[str, Any]:
    """Return the columns of a delivery that is due, or has failed because its format could make no body."""
    try:
        payload = formats.render(format_name, given)
        return {
            "payload": payload,
            "version": given.version,
            "status": "new",
            "due_at": due_at,
            "finished_at": None,
            "last_error": None,
        }
    except FormatError as error:
        why = f"{str(error)[:FORMAT_ERROR_LIMIT]} Nothing was sent; kept as json."
    except Exception as error:  # A mistake in a format must not cost the visitor's comment.
        why = f"The format {format_name} failed ({type(error).__name__}), so nothing was sent; kept as json."
    final = {"status": "failed", "due_at": None, "finished_at": clock.now(), "last_error": why}
    # The newest shape needs no step of a version, which may be at fault.
    kept = replace(given, version=payload_versions.newest())
    return {"payload": formats.render("json", kept), "version": kept.version, **final}


# It locks all webhooks, in the order in which a pass locks them: on MariaDB the deliveries' foreign keys lock
# them too, and another order, also between two events of a transaction, could deadlock with the pass. The
# lock also keeps a webhook from being deleted before its delivery refers to it.
WEBHOOKS = (
    "SELECT id, format, url, events, version, moderation_links_since, event_condition"
    " FROM webhooks ORDER BY id"
)
SHARE_LOCKS = {"postgresql": " FOR KEY SHARE", **dict.fromkeys(("mysql", "mariadb"), " LOCK IN SHARE MODE")}


class LockedWebhook(NamedTuple):
    """The columns of a locked webhook on which its deliveries depend."""

    id: str
    format: str
    url: str
    events: str
    version: str
    moderation_links_since: str | None
    event_condition: str | None


def publish(
    connection: Connection,
    event: str,
    data: dict[str, Any],
    settings: Settings,
    *,
    comment_id: str | None = None,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
    not_before: Mapping[str, datetime] = NO_DELAY,
    for_owner: dict[str, Any] | None = None,
    past: PastEvent | None = None,
) -> int:
    """Store one delivery for each webhook that wants the event; return how many do.

    The payload is fixed here. A delivery for a disabled webhook waits. The caller has locked the comment, and
    commits, so that an event is stored with its cause or not at all.
    `leave_out` and `only` narrow the webhooks down by id. `not_before` gives the earliest time of a delivery
    by webhook id. `for_owner` is the data for webhooks with links to moderate.
    """
    if comment_id:
        not_before = _in_order(connection, event, comment_id, settings) | dict(not_before)
    new = NewEvent(event, data, for_owner)
    wanted = _wanting(locked_webhooks(connection), new, leave_out, only)
    store(connection, new, settings, _inputs(connection, wanted, new), comment_id, not_before, past)
    return len(wanted)


def publish_first(
    connection: Connection, events: Sequence[NewEvent], settings: Settings, comment_id: str, sequence: int
) -> None:
    """Store the deliveries of events of a comment that is new in this transaction, in their order.

    `sequence` counts its events so far. Nobody else knows the comment, so no delivery has to wait.
    """
    now, webhooks = clock.now(), locked_webhooks(connection)
    if not webhooks:
        return
    title, rows = preferences.title(connection), list[dict[str, Any]]()
    for event in events:
        inputs = _inputs(connection, _wanting(webhooks, event), event)
        sequence += bool(inputs)
        same = {"created_at": now, "event_id": ids.new(), "comment_id": comment_id, "sequence": sequence}
        rows += _new_rows(event, inputs, title, settings, same, now)
    if rows:
        comment_order.set_sequence(connection, comment_id, sequence)
        insert(connection, rows)


def _in_order(connection: Connection, event: str, comment_id: str, settings: Settings) -> dict[str, datetime]:
    """Return the earliest time of the next delivery about a comment, by webhook id.

    It waits behind one that is retried. But `comment.deleted` takes the place of all that have not gone out,
    also to webhooks that do not get it: nothing of the comment may be sent any more.
    """
    if event != comment_order.END:
        return comment_order.next_due(connection, comment_id)
    # No webhook is locked yet, because a pass locks deliveries before webhooks.
    return deleted_comments.supersede(
        connection, comment_id, clock.now(), retry_policy.lease(settings.timeout)
    )


def locked_webhooks(connection: Connection) -> list[LockedWebhook]:
    """Lock all webhooks until the caller's transaction ends, and return them."""
    lock = SHARE_LOCKS.get(connection.dialect.name, "")
    return [LockedWebhook(*row) for row in plain_sql.run(connection, WEBHOOKS + lock)]


def _wanting(
    webhooks: Sequence[LockedWebhook],
    event: NewEvent,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[LockedWebhook]:
    """Return those of the locked webhooks that want the event."""
    given = FormatInput(event.name, clock.now(), event.data)
    seen = bodies.values_of(given, {}) if any(row.event_condition for row in webhooks) else {}
    return [
        row
        for row in webhooks
        if event.name in row.events.split() and formats.concerns(row.format, event.name, event.data)
        if row.id not in leave_out and (only is None or row.id in only)
        # Once its words are gone, all who may know them must hear of it.
        if event.name == comment_order.END or conditions.evaluate(row.event_condition, seen) != NOT_WANTED
    ]


def webhooks_notified(
    connection: Connection, event: str, comment_id: str, last_at: datetime | None, settings: Settings
) -> set[str]:
    """Return the ids of the webhooks that have a delivery of that event about the comment.

    One that `comment.deleted` has superseded does not count. `last_at` is when it last happened. If its
    deliveries may be pruned, every webhook of that time counts.
    """
    mine = select(Delivery.webhook_id).where(Delivery.comment_id == comment_id, Delivery.event == event)
    reached = or_(Delivery.last_error.is_(None), Delivery.last_error != deleted_comments.SUPERSEDED)
    found = set(connection.scalars(mine.where(reached)))
    kept = timedelta(days=min(settings.keep_processed_days, settings.keep_failed_days))
    if last_at and last_at <= clock.now() - kept:
        found |= set(connection.scalars(select(Webhook.id).where(Webhook.created_at <= last_at)))
    return found


def webhooks_superseded(connection: Connection, event: str, comment_id: str) -> set[str]:
    """Return the ids of the webhooks that did not get that event about the comment, but `comment.deleted`."""
    of_event = Delivery.comment_id == comment_id, Delivery.event == event
    rows = connection.execute(select(Delivery.webhook_id, Delivery.last_error).where(*of_event)).all()
    reached = {row.webhook_id for row in rows if row.last_error != deleted_comments.SUPERSEDED}
    return {row.webhook_id for row in rows} - reached


def send(
    connection: Connection, event: str, data: dict[str, Any], webhooks: Sequence[Webhook], settings: Settings
) -> str:
    """Store a delivery of the event for each of these webhooks, whatever it wants; return the event's id."""
    new = NewEvent(event, data)
    return store(connection, new, settings, _inputs(connection, webhooks, new))


def _inputs(
    connection: Connection, webhooks: Sequence[Webhook | LockedWebhook], event: NewEvent
) -> dict[str, BodyInput]:
    """Return the input for the body of each webhook, by id."""
    templated = [webhook.id for webhook in webhooks if webhook.format == "template"]
    texts: dict[str, str] = {}
    if templated:
        query = select(Template.webhook_id, Template.text).where(Template.webhook_id.in_(templated))
        texts = {row.webhook_id: row.text for row in connection.execute(query)}
    return {
        one.id: BodyInput(
            one.format,
            one.url if one.format in ADDRESSED else "",
            texts.get(one.id),
            payload_versions.known(one.version),
            event.for_owner is not None and one.moderation_links_since is not None,
        )
        for one in webhooks
    }


def store(
    connection: Connection,
    event: NewEvent,
    settings: Settings,
    inputs: dict[str, BodyInput],
    comment_id: str | None = None,
    not_before: Mapping[str, datetime] = NO_DELAY,
    past: PastEvent | None = None,
) -> str:
    """Store a delivery for each webhook id in `inputs`, and return the event's id."""
    now = clock.now()
    at, event_id = (past.happened_at if past else now), (past and past.event_id) or ids.new()
    if inputs:
        sequence = comment_order.next_sequence(connection, comment_id) if comment_id else None
        same = {"created_at": now, "event_id": event_id, "comment_id": comment_id, "sequence": sequence}
        title = preferences.title(connection)
        insert(connection, _new_rows(event, inputs, title, settings, same, at, not_before))
    return event_id


def insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store deliveries with the same columns; their webhooks are locked."""
    claims.run_sql_each(connection, plain_sql.insertion("deliveries", rows[0]), rows)
    database.note_new_work(connection)
