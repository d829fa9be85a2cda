"""The desk: manage webhooks. Commands and buttons call these; what is wrong is refused in one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from guestbook import transport
from guestbook.lib import clock, ids, text, unit_of_work, validate
from guestbook.lib.errors import Refused
from guestbook.outbound import custom_headers, outbox
from guestbook.outbound.formats import FORMATS, FormatError, chat_urls, template
from guestbook.settings import Settings
from guestbook.storage import batch_delete, database
from guestbook.storage.models import DELIVERIES, Attempt, Delivery, Webhook
from guestbook.storage.models.webhook import EVENTS, Template

DEFAULT_EVENTS = ("comment.created",)
DEFAULT_FORMAT = "json"


def add(
    session: Session,
    fields: Mapping[str, Any],
    settings: Settings,
    *,
    row_id: str | None = None,
    disabled: bool = False,
) -> Webhook:
    """Add a webhook from `url` and, where given, `name`, `format_name`, `events`, `headers` and `template`.

    Without a format it gets the one of the service whose URL it has, or json. One that is `disabled` is not
    sent to yet: its deliveries wait.
    """
    values = _checked({"url": "", "events": DEFAULT_EVENTS, **fields}, settings, {})
    wording = values.pop("template", None)
    host = urlsplit(values["url"]).hostname or ""
    guess = "template" if wording else chat_urls.suggest(values["url"]) or DEFAULT_FORMAT
    values = {"name": host[: validate.NAME_LIMIT], "format": guess, "headers": {}, **values}
    webhook = Webhook(id=row_id or ids.new(), **values)
    webhook.url = _settled(webhook.format, webhook.url, settings)
    _check_template(webhook.format, webhook.events, wording)
    if disabled:
        webhook.disable(clock.now(), "by_hand")
    session.add(webhook)
    session.flush()
    _keep_template(session, webhook, wording)
    return webhook


def update(session: Session, webhook: Webhook, fields: Mapping[str, Any], settings: Settings) -> None:
    """Change the named fields, all or, when one is wrong, none.

    A `(hidden)` header keeps its value, except for another host: what one receiver knows is not for the next.
    """
    values = _checked(fields, settings, webhook.headers)
    old_wording = template_of(session, webhook)
    wording = values.pop("template", None if "template" in fields else old_wording)
    format_name = values.setdefault("format", "template" if wording else webhook.format)
    url = values.pop("url", webhook.url)
    if "url" in fields or format_name != webhook.format:
        url = _settled(format_name, url, settings)
    if not _is_same_host(webhook.url, url):
        custom_headers.refuse_kept(fields.get("headers"), webhook.headers)
    if format_name == "template" or wording != old_wording:
        _check_template(format_name, values.get("events", webhook.events), wording)
    webhook.move(url)
    for name, value in values.items():
        setattr(webhook, name, value)
    session.add(webhook)
    session.flush()
    _keep_template(session, webhook, wording)


def faults(fields: Mapping[str, Any], settings: Settings) -> Mapping[str, str]:
    """Return what is wrong with each of the named fields by itself, in a sentence."""
    try:
        _checked(fields, settings, {})
    except Refused as error:
        return error.fields
    return {}


def warnings(url: str, settings: Settings) -> list[str]:
    """Return what the owner should know of a webhook's URL although it was taken.

    Its name is looked up, which may take two seconds: let no transaction be open.
    """
    if settings.outbound_proxy:  # it looks names up itself, and sees other networks
        return []
    warning = transport.private_address_warning(url, settings.allow_networks)
    return [warning] if warning else []


def template_of(session: Session, webhook: Webhook) -> str | None:
    """Return the text of a webhook's template, where that is its format."""
    if webhook.format != "template":
        return None
    row = session.get(Template, webhook.id)
    return row.text if row else None


def ping(session: Session, webhook: Webhook, settings: Settings) -> Delivery:
    """Store a test delivery and return it."""
    event_id = outbox.ping(session.connection(), webhook, settings)
    return session.scalars(select(Delivery).where(Delivery.event_id == event_id)).one()


def delete(engine: Engine, webhook_id: str) -> int:
    """Remove a webhook; its deliveries go first, in bites, so that nobody waits. Returns how many."""
    count = 0
    mine = DELIVERIES.c.webhook_id == webhook_id
    while removed := batch_delete.delete_batch(engine, DELIVERIES, mine):
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
    checks: dict[str, tuple[str, validate.Check]] = {
        "url": ("url", lambda value: _url(value, settings)),
        "name": ("name", validate.name),
        "format_name": ("format", _format),
        "events": ("events", _events),
        "headers": ("headers", lambda value: custom_headers.read(value, old_headers)),
        "template": ("template", lambda value: text.clean_text(value or "") or None),
    }
    return validate.given(fields, checks)


def _url(value: str, settings: Settings) -> str:
    try:
        url = transport.check_destination(
            value,
            require_https=settings.require_https_webhooks,
            allow_networks=settings.allow_networks,
        )
    except ValueError as error:
        raise Refused(str(error), field="url") from None
    if sentence := chat_urls.refusal(url):
        raise Refused(sentence, field="url")
    return url


def _settled(format_name: str, url: str, settings: Settings) -> str:
    """Return the URL as that format needs it."""
    try:
        settled = chat_urls.normalize(format_name, url)
    except FormatError as error:
        raise Refused(str(error), field="url") from None
    return url if settled == url else _url(settled, settings)


def _is_same_host(old: str, new: str) -> bool:
    """Whether the same server gets what is sent, and nobody on the way who did not see it before."""
    before, after = urlsplit(old), urlsplit(new)
    is_weaker = before.scheme == "https" and after.scheme == "http"
    return (before.hostname, before.port) == (after.hostname, after.port) and not is_weaker


def _check_template(format_name: str, events: str, wording: str | None) -> None:
    if format_name != "template":
        if wording:
            sentence = f"The format {format_name} has no template; the format template has."
            raise Refused(sentence, field="template")
        return
    if not wording:
        sentence = "Write the template: it gives the body of each message."
        raise Refused(sentence, field="template")
    try:
        fault = unit_of_work.ask(("webhook's template", wording, events), lambda: _fault(wording, events), "")
    except unit_of_work.StillChanging as error:
        raise Refused(str(error), field="template") from None
    if fault:
        raise Refused(fault, field="template")


def _fault(wording: str, events: str) -> str:
    """Return what is wrong with a template; it is tried, which must not be done in a transaction."""
    try:
        template.check(wording, events.split())
    except FormatError as error:
        return str(error)
    return ""


def _keep_template(session: Session, webhook: Webhook, wording: str | None) -> None:
    row = session.get(Template, webhook.id)
    if row and webhook.format != "template":
        session.delete(row)
    elif webhook.format == "template" and wording:
        session.merge(Template(webhook_id=webhook.id, text=wording))
    session.flush()


def _format(name: str) -> str:
    return validate.one_of(FORMATS, name, field="format", noun="format")


def _events(names: Sequence[str]) -> str:
    if not names:
        raise Refused("Choose at least one event, or nothing will ever be sent.", field="events")
    for name in names:
        validate.one_of(EVENTS, name, field="events", noun="event")
    return " ".join(dict.fromkeys(names))
