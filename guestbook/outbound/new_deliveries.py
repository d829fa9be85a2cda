"""New rows of the outbox: one event for each webhook that wants it, with the payload fixed."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from guestbook.lib import clock, ids, unit_of_work
from guestbook.outbound import formats
from guestbook.outbound.formats import FormatError, FormatInput
from guestbook.settings import Settings

FORMAT_ERROR_LIMIT = 250  # characters of a format's error, stored with the delivery
NOT_TRIED = {"attempts": 0, "claims": 0, "schedule_start": 0}
NO_DELAY: Mapping[str, datetime] = MappingProxyType({})


class BodyInput(NamedTuple):
    """The parts of a webhook that its body depends on; webhooks with equal parts get the same body."""

    format: str
    url: str  # "" if the format does not use it
    template: str | None
    for_owner: bool = False  # with a link to moderate a held comment, and the note


class StoredEvent(NamedTuple):
    """What all deliveries of an event have in common."""

    event: str
    happened_at: datetime
    created_at: datetime
    event_id: str
    comment_id: str | None
    sequence: int | None


def rows(
    stored: StoredEvent,
    data: dict[str, Any],
    for_owner: dict[str, Any] | None,
    inputs: dict[str, BodyInput],
    title: str,
    settings: Settings,
    not_before: Mapping[str, datetime] = NO_DELAY,
) -> list[dict[str, Any]]:
    """Return the deliveries of an event, with their payloads."""
    more: dict[str, Any] = {} if stored.sequence is None else {"sequence": stored.sequence}
    more["guestbook"] = {"title": title, "url": settings.base_url}
    both = {False: data | more, True: (for_owner or data) | more}
    due_at = stored.created_at + timedelta(seconds=settings.retry_schedule[0])
    given = partial(FormatInput, stored.event, stored.happened_at)
    columns = {
        one: _columns(one.format, given(both[one.for_owner], one.url, one.template), due_at)
        for one in set(inputs.values())
    }
    same = {**stored._asdict(), **NOT_TRIED}
    del same["happened_at"]
    return [
        {"id": ids.new(), "webhook_id": key, **same, **_postponed(columns[one], not_before.get(key))}
        for key, one in inputs.items()
    ]


def _postponed(columns: dict[str, Any], earliest: datetime | None) -> dict[str, Any]:
    """Return the columns with a due time that is not before the earliest; a final row has none."""
    if earliest is None or columns["due_at"] is None:
        return columns
    return {**columns, "due_at": max(columns["due_at"], earliest)}


def _columns(format_name: str, given: FormatInput, due_at: datetime) -> dict[str, Any]:
    """Return the columns with the payload. An owner's template never runs while the transaction is open."""
    make = partial(_rendered, format_name, given, due_at)
    if format_name != "template":
        return make()
    key = ("body", given.template, given.event, given.happened_at, due_at, json.dumps(given.data))
    try:
        return unit_of_work.ask(key, make, _waiting("", due_at))
    except unit_of_work.StillChanging as error:
        return _failed(format_name, given, error)


def _rendered(format_name: str, given: FormatInput, due_at: datetime) -> dict[str, Any]:
    """Return the columns of a delivery that is due, or has failed because its format could make no body."""
    try:
        return _waiting(formats.render(format_name, given), due_at)
    except Exception as error:  # a mistake in a format must not cost the visitor's comment
        return _failed(format_name, given, error)


def _waiting(payload: str, due_at: datetime) -> dict[str, Any]:
    return {"payload": payload, "status": "new", "due_at": due_at, "finished_at": None, "last_error": None}


def _failed(format_name: str, given: FormatInput, error: Exception) -> dict[str, Any]:
    why = f"The format {format_name} failed ({type(error).__name__}), so nothing was sent; kept as json."
    if isinstance(error, FormatError | unit_of_work.StillChanging):
        why = f"{str(error)[:FORMAT_ERROR_LIMIT]} Nothing was sent; kept as json."
    final = {"status": "failed", "due_at": None, "finished_at": clock.now(), "last_error": why}
    return {"payload": formats.render("json", given), **final}
