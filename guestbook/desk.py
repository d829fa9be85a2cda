"""The desk: manage webhooks. Commands and buttons call these; what is wrong is refused in one sentence."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from guestbook import clock, database, outbox, retention, text, transport
from guestbook.formats import FORMATS
from guestbook.models import DELIVERIES, Delivery, Webhook
from guestbook.models.webhook import EVENTS
from guestbook.refusal import Refused
from guestbook.settings import Settings

DEFAULT_EVENTS = ("comment.created",)
NAME_LIMIT = 80


def add(session: Session, fields: Mapping[str, Any], settings: Settings) -> Webhook:
    """Add a webhook from `url` and, where given, `name`, `format_name`, `events` and `headers`."""
    url = _url(fields["url"], settings)
    host = urlsplit(url).hostname or ""
    webhook = Webhook(url=url, name=host[:NAME_LIMIT], format="json", events="", headers={})
    update(session, webhook, {"events": DEFAULT_EVENTS, **fields}, settings)
    return webhook


def update(session: Session, webhook: Webhook, fields: Mapping[str, Any], settings: Settings) -> None:
    """Change the named fields, all or, when one is wrong, none."""
    changes: dict[str, Any] = {}
    url = _url(fields["url"], settings) if "url" in fields else webhook.url
    if "name" in fields:
        changes["name"] = _name(fields["name"])
    if "format_name" in fields:
        changes["format"] = _format(fields["format_name"])
    if "events" in fields:
        changes["events"] = _events(fields["events"])
    if "headers" in fields:
        changes["headers"] = _headers(fields["headers"])
    webhook.move(url)
    for name, value in changes.items():
        setattr(webhook, name, value)
    session.add(webhook)
    session.flush()


def ping(session: Session, webhook: Webhook, settings: Settings) -> Delivery:
    """Store a test delivery and return it."""
    event_id = outbox.ping(session.connection(), webhook, settings)
    return session.scalars(select(Delivery).where(Delivery.event_id == event_id)).one()


def delete(engine: Engine, webhook_id: str) -> int:
    """Remove a webhook; its deliveries go first, in bites, so that nobody waits. Returns how many."""
    count = 0
    mine = DELIVERIES.c.webhook_id == webhook_id
    while removed := retention.bite(engine, DELIVERIES, mine):
        count += removed
    with database.write(engine) as connection:
        left = connection.scalar(select(func.count()).select_from(DELIVERIES).where(mine)) or 0
        connection.execute(delete_rows(Webhook).where(Webhook.id == webhook_id))
    return count + left


def state(webhook: Webhook, now: datetime) -> str:
    """Say in words how it is doing."""
    if webhook.disabled_at:
        return {
            "by_hand": "disabled by hand",
            "failing": "disabled: no success for days",
            "gone": "disabled: the receiver said it is gone",
        }[webhook.disabled_reason or "by_hand"]
    if webhook.paused_until and webhook.paused_until > now:
        return f"paused until {clock.to_text(webhook.paused_until)}"
    if webhook.failing_since:
        return f"failing since {clock.to_text(webhook.failing_since)}"
    return "well"


def _url(value: str, settings: Settings) -> str:
    try:
        return transport.check_url(value, require_https=settings.require_https_webhooks)
    except ValueError as error:
        raise Refused(str(error), field="url") from None


def _name(value: str) -> str:
    name = text.clean_line(value)
    if not name or len(name) > NAME_LIMIT:
        raise Refused(f"The name must have 1 to {NAME_LIMIT} characters.", field="name")
    return name


def _format(name: str) -> str:
    if name not in FORMATS:
        raise Refused(f"There is no format {name!r}. The formats are {', '.join(FORMATS)}.", field="format")
    return name


def _events(names: Sequence[str]) -> str:
    for name in names:
        if name not in EVENTS:
            known = ", ".join(EVENTS)
            raise Refused(f"There is no event {name!r}. The events are {known}.", field="events")
    return " ".join(dict.fromkeys(names))


def _headers(lines: Sequence[str]) -> dict[str, str]:
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Refused(f"The header {name!r} needs the form 'Name: value'.", field="headers")
        pairs.append((name.strip(), value.strip()))
    if len({name.lower() for name, _ in pairs}) < len(pairs):
        raise Refused("A header is named twice.", field="headers")
    try:
        return transport.check_headers(dict(pairs))
    except ValueError as error:
        raise Refused(str(error), field="headers") from None
