"""The desk: manage webhooks. Commands and buttons call these; what is wrong is refused in one sentence."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from guestbook import clock, database, ids, outbox, retention, text, transport
from guestbook.formats import FORMATS
from guestbook.models import DELIVERIES, Attempt, Delivery, Webhook
from guestbook.models.webhook import EVENTS
from guestbook.refusal import Refused
from guestbook.sender import HIDDEN
from guestbook.settings import Settings

DEFAULT_EVENTS = ("comment.created",)
NAME_LIMIT = 80


def add(
    session: Session,
    fields: Mapping[str, Any],
    settings: Settings,
    *,
    row_id: str | None = None,
    disabled: bool = False,
) -> Webhook:
    """Add a webhook from `url` and, where given, `name`, `format_name`, `events` and `headers`.

    One that is `disabled` is not sent to yet: its deliveries wait.
    """
    values = _checked({"url": "", "events": DEFAULT_EVENTS, **fields}, settings, {})
    host = urlsplit(values["url"]).hostname or ""
    values = {"name": host[:NAME_LIMIT], "format": "json", "headers": {}, **values}
    webhook = Webhook(id=row_id or ids.new(), **values)
    if disabled:
        webhook.disable(clock.now(), "by_hand")
    session.add(webhook)
    session.flush()
    return webhook


def update(session: Session, webhook: Webhook, fields: Mapping[str, Any], settings: Settings) -> None:
    """Change the named fields, all or, when one is wrong, none; a `(hidden)` header keeps its value."""
    values = _checked(fields, settings, webhook.headers)
    webhook.move(values.pop("url", webhook.url))
    for name, value in values.items():
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


def last_attempt(session: Session, delivery: Delivery) -> Attempt | None:
    """Return the latest attempt that was made for a delivery."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id)
    return session.scalars(query.order_by(Attempt.number.desc()).limit(1)).first()


def _checked(fields: Mapping[str, Any], settings: Settings, old_headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns for the named fields; refuses with a sentence for each field that is wrong."""
    checks: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "url": ("url", lambda value: _url(value, settings)),
        "name": ("name", _name),
        "format_name": ("format", _format),
        "events": ("events", _events),
        "headers": ("headers", lambda value: _headers(value, old_headers)),
    }
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, (column, check) in checks.items():
        try:
            if name in fields:
                values[column] = check(fields[name])
        except Refused as error:
            wrong |= error.fields
    if wrong:
        raise Refused.of(wrong)
    return values


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
    if not names:
        raise Refused("Choose at least one event, or nothing will ever be sent.", field="events")
    for name in names:
        if name not in EVENTS:
            known = ", ".join(EVENTS)
            raise Refused(f"There is no event {name!r}. The events are {known}.", field="events")
    return " ".join(dict.fromkeys(names))


def _headers(lines: Sequence[str], old: Mapping[str, str]) -> dict[str, str]:
    known = {name.lower(): value for name, value in old.items()}
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Refused(f"The header {name[:40]!r} needs the form 'Name: value'.", field="headers")
        name, value = name.strip(), value.strip()
        if value == HIDDEN and name.lower() not in known:
            sentence = f"{HIDDEN} stands for a value that is not shown; write the value itself."
            raise Refused(sentence, field="headers")
        pairs.append((name, known[name.lower()] if value == HIDDEN else value))
    if len({name.lower() for name, _ in pairs}) < len(pairs):
        raise Refused("A header is named twice.", field="headers")
    try:
        return transport.check_headers(dict(pairs))
    except ValueError as error:
        raise Refused(str(error), field="headers") from None
