"""Manage webhooks. Commands, pages and the API call these functions, which raise Refused for wrong input."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import body_encoding, clock, conditions, ids, validate
from guestbook.lib.encryption import Unreadable
from guestbook.lib.errors import Refused, only_here, refusing
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.validate import PULL_URL, VISITORS_URL
from guestbook.outbound import (
    event_publisher,
    formats,
    payload_versions,
    receiver_links,
    visitor_mail,
    webhook_signatures,
    webhook_urls,
)
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS, FORMATS_WITH_LINKS, FormatError, bodies, chats
from guestbook.outbound.formats.bodies import MENTIONING_EVENTS, MENTIONING_URL
from guestbook.outbound.webhook_fields import DEFAULT_EVENTS, WEBHOOK_FIELDS
from guestbook.queries import filtered_lists
from guestbook.settings import Settings
from guestbook.storage import audit_log, preferences, row_changes
from guestbook.storage.models import Attempt, Comment, Delivery, Webhook
from guestbook.storage.models.delivery import UNSIGNED_FORMATS, Template
from guestbook.transport import urls

WITHOUT_HEADERS = {**UNSIGNED_FORMATS, PULL_URL: "A fetched message"}  # These carry none.


def refuse_unused(format_name: str, url: str, webhook: Webhook, changes: Mapping[str, Any]) -> None:
    """Refuse headers that no request carries, and a rate limit where a receiver fetches; raises Refused."""
    what = WITHOUT_HEADERS.get(format_name) or WITHOUT_HEADERS.get(url)
    headers, wrong = changes.get("headers", webhook.headers), {}
    if what and headers:
        wrong["headers"] = f"{what} carries no headers of yours: remove {', '.join(headers)}."
    if url == PULL_URL and changes.get("rate", webhook.rate):
        wrong["rate"] = "Its receiver fetches the messages at its own speed: remove the rate limit."
    if wrong:
        raise Refused.of(wrong)


def read_headers(lines: Sequence[str], old: Mapping[str, str]) -> dict[str, str]:
    """Return the headers from the lines, with the old headers' values for hidden ones; raises Refused."""
    known = {name.lower(): value for name, value in old.items()}
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Refused(f"The header {name[:40]!r} needs the form 'Name: value'.", field="headers")
        name, value = name.strip(), value.strip()
        if value == HIDDEN and name.lower() not in known:
            sentence = f"{HIDDEN} stands for a value that is not shown; write the value itself."
            raise Refused(sentence, field="headers", only_here=True)
        pairs.append((name, known[name.lower()] if value == HIDDEN else value))
    with refusing("headers", ValueError):
        checked = urls.check_headers(pairs)
    # One that cannot be decrypted now is kept as it is stored.
    unreadable = {name: value for name, value in pairs if isinstance(value, Unreadable)}
    return checked | unreadable


def refuse_kept_headers(lines: Sequence[str] | None, old: Mapping[str, str]) -> None:
    """Refuse to keep old header values: all of them if `lines` is None, else the `(hidden)` ones."""
    pairs = (line.partition(":") for line in lines or ())
    kept = old if lines is None else [name.strip() for name, _, value in pairs if value.strip() == HIDDEN]
    if kept:
        sentence = f"The new URL is on another host. Give the value of {', '.join(kept)} again, or remove it."
        raise Refused(sentence, field="headers")


DEFAULT_FORMAT = "json"
PING = "ping"


def add(
    session: Session,
    fields: Mapping[str, Any],
    settings: Settings,
    *,
    row_id: str | None = None,
    disabled: bool = False,
) -> Webhook:
    """Add a webhook from `url` and optional other fields, which `_checked` lists."""
    webhook, wording = made(session, fields, settings, row_id=row_id)
    if disabled:
        webhook.disable(clock.now(), "by_hand")
    row_changes.add(session, webhook)
    _keep_template(session, webhook, wording)
    return webhook


def made(
    session: Session, fields: Mapping[str, Any], settings: Settings, *, row_id: str | None = None
) -> tuple[Webhook, str | None]:
    """Return a new webhook that is not stored, and its template; raises Refused.

    The default format is that of the service at the URL, or json; that of `moderation_links` depends on it.
    """
    values = _checked({"url": "", **fields}, settings, {})
    events = MENTIONING_EVENTS if values["url"] == MENTIONING_URL else DEFAULT_EVENTS
    wording, links = values.pop("template", None), values.pop("moderation_links", None)
    signatures = webhook_signatures.taken_from(values)
    guess = "template" if wording else chats.suggest(values["url"]) or DEFAULT_FORMAT
    names = webhook_urls.names_of(values["url"], values.get("format", guess))
    name = row_changes.free_name(session, Webhook, *names)
    values = {"name": name, "format": guess, "events": " ".join(events), "headers": {}, **values}
    webhook = Webhook(id=row_id or ids.new(), **{"version": payload_versions.newest(), **values})
    webhook.url = webhook_urls.for_format(webhook.format, webhook.url, settings)
    refuse_unused(webhook.format, webhook.url, webhook, {})
    _check_template(webhook.format, webhook.events, wording, webhook.version)
    webhook.send_moderation_links(webhook.format in FORMATS_WITH_LINKS if links is None else links)
    webhook_signatures.change(webhook, signatures)
    return webhook, wording


def update(session: Session, webhook: Webhook, fields: Mapping[str, Any], settings: Settings) -> None:
    """Change the given fields: all of them, or none when one is wrong."""
    _refuse_built_in(webhook, fields.keys())
    values, old_wording = _checked(fields, settings, webhook.headers), template_of(session, webhook)
    wording = values.pop("template", None if "template" in fields else old_wording)
    links, signatures = values.pop("moderation_links", None), webhook_signatures.taken_from(values)
    format_name = values.setdefault("format", "template" if wording else webhook.format)
    url: str = values.pop("url", webhook.url)
    with only_here():
        if "url" in fields or format_name != webhook.format:
            url = webhook_urls.for_format(format_name, url, settings)
        refuse_unused(format_name, url, webhook, values)
        if not webhook_urls.is_same_host(webhook.url, url):
            refuse_kept_headers(fields.get("headers"), webhook.headers)
    if format_name == "template" or wording != old_wording:
        shaped = values.get("version", webhook.version)
        _check_template(format_name, values.get("events", webhook.events), wording, shaped)
    if links is None and format_name != webhook.format:
        links = format_name in FORMATS_WITH_LINKS
    receiver_links.webhook_moves(session, webhook, url, format_name)
    webhook.move(url, format_name)
    if links is not None:
        webhook.send_moderation_links(links)
    if values.get("rate", webhook.rate) != webhook.rate:
        webhook.next_slot_at = None  # The next claim counts from zero.
    for name, value in values.items():
        setattr(webhook, name, value)
    row_changes.refuse_taken_name(session, webhook)
    with only_here():
        webhook_signatures.change(webhook, signatures)
    audit_log.record_changes(session, webhook, ["template"] if wording != old_wording else [])
    _keep_template(session, webhook, wording)


def _refuse_built_in(webhook: Webhook, wanted: Set[str]) -> None:
    if webhook.url == VISITORS_URL and not wanted <= {"name", "rate"}:
        raise Refused(visitor_mail.BUILT_IN, only_here=True)


def is_verified(webhook: Webhook) -> bool:
    """Whether its receiver may verify signatures. Chat services, mailboxes and websites do not."""
    return webhook.format in ("json", "template") and not chats.is_known(webhook.url)


def field_errors(fields: Mapping[str, Any], settings: Settings) -> Mapping[str, str]:
    """Return a sentence for each given field that is wrong by itself."""
    try:
        _checked(fields, settings, {})
    except Refused as error:
        return error.fields
    return {}


def template_of(session: Session, webhook: Webhook) -> str | None:
    """Return the text of a webhook's template, or None if it has another format."""
    row = session.get(Template, webhook.id) if webhook.format == "template" else None
    return row.text if row else None


def store_sample(session: Session, webhook: Webhook, settings: Settings, event: str = PING) -> Delivery:
    """Store a test delivery, whatever events the webhook wants, and return it; raises Refused."""
    _refuse_built_in(webhook, {PING})
    validate.one_of(EVENTS, event, field="event", noun="event")
    data = EVENTS[event].sample_data(settings.base_url)
    if event == PING:
        data = {"webhook": {"id": webhook.id, "name": webhook.name}}
    event_id = event_publisher.send(session.connection(), event, data, [webhook], settings)
    return session.scalars(select(Delivery).where(Delivery.event_id == event_id)).one()


def last_attempt(session: Session, delivery: Delivery) -> Attempt | None:
    """Return the latest attempt of a delivery."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id)
    return session.scalars(query.order_by(Attempt.number.desc()).limit(1)).first()


def _checked(fields: Mapping[str, Any], settings: Settings, old_headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns for the given fields; raises Refused with a sentence for each wrong field."""
    checks = {name: field.check for name, field in WEBHOOK_FIELDS.items()}
    checks["url"] = lambda value: webhook_urls.checked(value, settings)
    checks["headers"] = lambda value: read_headers(value, old_headers)
    return validate.all_of({name: partial(checks[name], value) for name, value in fields.items()})


def _check_template(format_name: str, events: str, wording: str | None, version: str) -> None:
    if format_name != "template":
        if wording:
            sentence = f"The format {format_name} has no template; only the format template has one."
            raise Refused(sentence, field="template")
        return
    if not wording:
        raise Refused("Write the template: it makes the body of each message.", field="template")
    with refusing("template", FormatError):
        bodies.check_template(wording, events.split(), version)


def _keep_template(session: Session, webhook: Webhook, wording: str | None) -> None:
    row = session.get(Template, webhook.id)
    if row and webhook.format != "template":
        session.delete(row)
    elif webhook.format == "template" and wording:
        session.merge(Template(webhook_id=webhook.id, text=wording))
    session.flush()


@dataclass(frozen=True, slots=True)
class PayloadPreview:
    """A body, or the error that prevents it."""

    format: str
    event: str
    is_real: bool  # It is made from a comment in the book, not from sample data.
    body: str | None = None  # indented JSON
    error: str | None = None


def preview_of(
    session: Session,
    base_url: str,
    url: str = "",
    format: str = "",
    events: Sequence[str] = DEFAULT_EVENTS,
    template: str = "",
    version: str = "",
) -> PayloadPreview:
    """Return what a webhook with these fields would get for the first of its events."""
    known = [name for name in events if name in EVENTS]
    event = next(iter(known), DEFAULT_EVENTS[0])
    data, is_real = _preview_data(session, base_url, event)
    name = format or ("template" if template else chats.suggest(url) or DEFAULT_FORMAT)
    if name not in FORMATS:
        return PayloadPreview(name, event, is_real, error=f"There is no format {name!r}.")
    shaped = version or payload_versions.newest()
    given = formats.FormatInput(event, clock.now(), data, url, template or None, shaped)
    try:
        body = formats.render(name, given)
        if name == "template" and template:
            bodies.check_template(template, known, shaped)
    except FormatError as error:
        return PayloadPreview(name, event, is_real, error=str(error))
    return PayloadPreview(name, event, is_real, body_encoding.views(body.encode())[0].text)


COMMENTS_TRIED = 20


def tried(
    session: Session, base_url: str, condition: str | None, events: Sequence[str]
) -> list[tuple[Comment, bool, str]]:
    """Return the newest comments, whether each is wanted, and what `conditions.evaluate` says of it."""
    event = next((name for name in events if name in EVENTS and "comment" in EVENTS[name].data), "")
    if not condition or not event:
        return []
    found = []
    for row in filtered_lists.comments(session, "published", limit=COMMENTS_TRIED).rows:
        data = {"comment": row.public(base_url)} | ({"reply": row.reply.public()} if row.reply else {})
        given = formats.FormatInput(event, clock.now(), data)
        said = conditions.evaluate(condition, bodies.values_of(given, {}))
        found.append((row, said != conditions.NOT_WANTED, said))
    return found


def _preview_data(session: Session, base_url: str, event: str) -> tuple[dict[str, Any], bool]:
    """Return data for the event, and whether they contain the newest comment of the book."""
    title = preferences.read(session.connection()).title
    data = EVENTS[event].sample_data(base_url)
    data["guestbook"]["title"] = title
    newest = next(iter(filtered_lists.comments(session, "published", limit=1).rows), None)
    if newest is None or "comment" not in data:
        return data, False
    data["comment"] = newest.public(base_url)
    if "reply" in data and newest.reply:
        data["reply"] = newest.reply.public()
    return data, True
