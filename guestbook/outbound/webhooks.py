"""Manage webhooks. Commands, pages and the API call these functions, which raise Refused for wrong input."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from guestbook import transport
from guestbook.lib import clock, ids, mail_address, text, validate
from guestbook.lib.errors import Refused
from guestbook.lib.pull_url import PULL_URL
from guestbook.lib.sliding_log import RateLimit
from guestbook.outbound import custom_headers, event_catalogue, outbox, webhook_signatures
from guestbook.outbound.formats import FORMATS, FormatError, chat_urls, template
from guestbook.outbound.formats.webmention import MENTIONING_EVENTS, MENTIONING_URL
from guestbook.settings import Settings
from guestbook.storage import audit_log, batch_delete
from guestbook.storage.models import DELIVERIES, Attempt, Delivery, Webhook
from guestbook.storage.models.webhook import Template

DEFAULT_EVENTS = ("comment.created",)
DEFAULT_FORMAT = "json"
NAMES_WITHOUT_HOST = {MENTIONING_URL: "Webmentions", PULL_URL: "Listener"}
WITHOUT_NETWORK = (MENTIONING_URL, PULL_URL)
# Whoever reads a message with a link to moderate can moderate. These formats go to people whom the owner has
# invited. A topic of ntfy is open to all who guess its name. Programs may store and pass on what they get.
FORMATS_WITH_LINKS = ("slack", "discord", "teams", "mattermost", "telegram", "email")


def add(
    session: Session,
    fields: Mapping[str, Any],
    settings: Settings,
    *,
    row_id: str | None = None,
    disabled: bool = False,
) -> Webhook:
    """Add a webhook from `url` and optional other fields, which `_checked` lists.

    The default format is that of the service at the URL, or json; that of `moderation_links` depends on it.
    """
    events = MENTIONING_EVENTS if fields.get("url") == MENTIONING_URL else DEFAULT_EVENTS
    values = _checked({"url": "", "events": events, **fields}, settings, {})
    wording, links = values.pop("template", None), values.pop("moderation_links", None)
    signatures = webhook_signatures.taken_from(values)
    guess = "template" if wording else chat_urls.suggest(values["url"]) or DEFAULT_FORMAT
    values = {"name": _name_of(values["url"]), "format": guess, "headers": {}, **values}
    webhook = Webhook(id=row_id or ids.new(), **values)
    webhook.url = _normalized(webhook.format, webhook.url, settings)
    custom_headers.refuse_where_unused(webhook.format, webhook.url, webhook.headers)
    _check_template(webhook.format, webhook.events, wording)
    webhook.send_moderation_links(has_links(webhook.format) if links is None else links)
    webhook_signatures.change(webhook, signatures)
    if disabled:
        webhook.disable(clock.now(), "by_hand")
    session.add(webhook)
    session.flush()
    _keep_template(session, webhook, wording)
    audit_log.record_row(session, "added", webhook)
    return webhook


def update(session: Session, webhook: Webhook, fields: Mapping[str, Any], settings: Settings) -> None:
    """Change the given fields: all of them, or none when one is wrong.

    A `(hidden)` header keeps its value unless the host changes. Another format has other `moderation_links`.
    """
    values = _checked(fields, settings, webhook.headers)
    old_wording = template_of(session, webhook)
    wording = values.pop("template", None if "template" in fields else old_wording)
    links, signatures = values.pop("moderation_links", None), webhook_signatures.taken_from(values)
    format_name = values.setdefault("format", "template" if wording else webhook.format)
    url = values.pop("url", webhook.url)
    if "url" in fields or format_name != webhook.format:
        url = _normalized(format_name, url, settings)
    custom_headers.refuse_where_unused(format_name, url, values.get("headers", webhook.headers))
    if not _is_same_host(webhook.url, url):
        custom_headers.refuse_kept(fields.get("headers"), webhook.headers)
    if format_name == "template" or wording != old_wording:
        _check_template(format_name, values.get("events", webhook.events), wording)
    webhook.move(url)
    if links is None and format_name != webhook.format:
        links = has_links(format_name)
    if links is not None:
        webhook.send_moderation_links(links)
    if values.get("rate", webhook.rate) != webhook.rate:
        webhook.next_slot_at = None  # the next claim counts anew
    for name, value in values.items():
        setattr(webhook, name, value)
    webhook_signatures.change(webhook, signatures)
    audit_log.record_changes(session, webhook, ["template"] if wording != old_wording else [])
    session.add(webhook)
    session.flush()
    _keep_template(session, webhook, wording)


def has_links(format_name: str) -> bool:
    """Whether messages of the format have links to moderate unless the owner decides otherwise."""
    return format_name in FORMATS_WITH_LINKS


def field_errors(fields: Mapping[str, Any], settings: Settings) -> Mapping[str, str]:
    """Return a sentence for each given field that is wrong by itself."""
    try:
        _checked(fields, settings, {})
    except Refused as error:
        return error.fields
    return {}


def destination(url: str, settings: Settings) -> str:
    """Return the URL in its normal form; raises Refused when nothing may be sent there."""
    try:
        if mail_address.is_mailto(url):
            return _mailto(url, settings)
        if url in WITHOUT_NETWORK:
            return url  # each website is checked when something is sent to it; nothing is sent to a listener
        return transport.check_destination(
            url, require_https=settings.require_https_webhooks, allow_networks=settings.allow_networks
        )
    except ValueError as error:
        raise Refused(str(error), field="url") from None


def _name_of(url: str) -> str:
    """Return a name for a new webhook."""
    parts = urlsplit(url)
    return (NAMES_WITHOUT_HOST.get(url) or parts.hostname or parts.path)[: validate.NAME_LIMIT]


def _mailto(url: str, settings: Settings) -> str:
    if not settings.smtp_url or not settings.mail_from:
        raise ValueError("To send e-mail, first set GUESTBOOK_SMTP_URL and GUESTBOOK_MAIL_FROM.")
    try:
        return mail_address.MAILTO + mail_address.of_url(url)
    except ValueError:
        raise ValueError("The URL must be like mailto:you@example.org.") from None


def warnings(url: str, settings: Settings) -> list[str]:
    """Return what the owner should know about a URL although it is accepted.

    It looks up the host, which may take two seconds, so no transaction may be open.
    """
    if settings.outbound_proxy or mail_address.is_mailto(url) or url in WITHOUT_NETWORK:
        return []  # the proxy looks up the host, perhaps in another network
    warning = transport.private_address_warning(url, settings.allow_networks)
    return [warning] if warning else []


def template_of(session: Session, webhook: Webhook) -> str | None:
    """Return the text of a webhook's template, or None if it has another format."""
    if webhook.format != "template":
        return None
    row = session.get(Template, webhook.id)
    return row.text if row else None


def ping(session: Session, webhook: Webhook, settings: Settings) -> Delivery:
    """Store a test delivery and return it."""
    event_id = outbox.ping(session.connection(), webhook, settings)
    return session.scalars(select(Delivery).where(Delivery.event_id == event_id)).one()


def delete(engine: Engine, webhook_id: str) -> int:
    """Delete a webhook with its deliveries; return how many."""
    mine = DELIVERIES.c.webhook_id == webhook_id
    return batch_delete.delete_with_rows(engine, Webhook, webhook_id, DELIVERIES, mine)


def last_attempt(session: Session, delivery: Delivery) -> Attempt | None:
    """Return the latest attempt of a delivery."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id)
    return session.scalars(query.order_by(Attempt.number.desc()).limit(1)).first()


def _checked(fields: Mapping[str, Any], settings: Settings, old_headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns for the given fields; raises Refused with a sentence for each wrong field."""
    checks: dict[str, tuple[str, validate.Check]] = {
        "url": ("url", lambda value: _url(value, settings)),
        "name": ("name", validate.name),
        "format_name": ("format", partial(validate.one_of, FORMATS, field="format", noun="format")),
        "events": ("events", _events),
        "headers": ("headers", lambda value: custom_headers.read(value, old_headers)),
        "rate": ("rate", _rate),
        "moderation_links": ("moderation_links", bool),
        "template": ("template", lambda value: text.clean_text(value or "") or None),
        **webhook_signatures.SIGNATURE_CHECKS,
    }
    return validate.given(fields, checks)


def _url(value: str, settings: Settings) -> str:
    url = destination(value, settings)
    if sentence := chat_urls.refusal(url):
        raise Refused(sentence, field="url")
    return url


def _rate(value: str | None) -> str | None:
    try:
        return str(RateLimit.read(value)) if value and value.strip() else None
    except ValueError as error:
        raise Refused(str(error), field="rate") from None


def _normalized(format_name: str, url: str, settings: Settings) -> str:
    """Return the URL as the format needs it."""
    if (format_name == "email") != mail_address.is_mailto(url):
        raise Refused(
            "The format email needs a URL like mailto:you@example.org, and only it has one.", field="url"
        )
    if (format_name == "webmention") != (url == MENTIONING_URL):
        raise Refused(
            "The format webmention needs the URL webmention: and only it has this URL.", field="url"
        )
    try:
        normal = chat_urls.normalize(format_name, url)
    except FormatError as error:
        raise Refused(str(error), field="url") from None
    return url if normal == url else _url(normal, settings)


def _is_same_host(old: str, new: str) -> bool:
    """Whether the same server gets the headers, and nobody new can read them on the way."""
    before, after = urlsplit(old), urlsplit(new)
    is_weaker = before.scheme == "https" and after.scheme == "http"
    return (before.hostname, before.port) == (after.hostname, after.port) and not is_weaker


def _check_template(format_name: str, events: str, wording: str | None) -> None:
    if format_name != "template":
        if wording:
            sentence = f"The format {format_name} has no template; only the format template has one."
            raise Refused(sentence, field="template")
        return
    if not wording:
        raise Refused("Write the template: it makes the body of each message.", field="template")
    key = ("webhook's template", wording, events)
    validate.template(key, lambda: template.check(wording, events.split()), FormatError)


def _keep_template(session: Session, webhook: Webhook, wording: str | None) -> None:
    row = session.get(Template, webhook.id)
    if row and webhook.format != "template":
        session.delete(row)
    elif webhook.format == "template" and wording:
        session.merge(Template(webhook_id=webhook.id, text=wording))
    session.flush()


def _events(names: Sequence[str]) -> str:
    if not names:
        raise Refused("Choose at least one event, or nothing will ever be sent.", field="events")
    for name in names:
        validate.one_of(event_catalogue.EVENTS, name, field="events", noun="event")
    return " ".join(dict.fromkeys(names))
