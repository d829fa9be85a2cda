"""The body that a webhook would receive, shown before anything is saved."""

from dataclasses import dataclass
from typing import Any

from guestbook.lib import byte_view, clock
from guestbook.outbound import formats, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS, FormatError, chat_urls, template
from guestbook.queries import lists
from guestbook.storage import preferences
from guestbook.storage.database import db
from guestbook.web import current
from guestbook.web.admin.webhooks.webhook_form import WebhookForm


@dataclass(frozen=True, slots=True)
class PayloadPreview:
    """A body, or the error that prevents it."""

    format: str
    event: str
    is_real: bool  # made from a comment in the book, not from sample data
    body: str = ""  # indented JSON
    error: str = ""


def of(typed: WebhookForm) -> PayloadPreview:
    """Return what the form would send for the first of its events."""
    event = next((name for name in typed.events if name in EVENTS), webhooks.DEFAULT_EVENTS[0])
    data, is_real = _data(event)
    wording = typed.template or None
    name = typed.format or (
        "template" if wording else chat_urls.suggest(typed.url) or webhooks.DEFAULT_FORMAT
    )
    if name not in FORMATS:
        return PayloadPreview(name, event, is_real, error=f"There is no format {name!r}.")
    try:
        body = formats.render(
            name, formats.FormatInput(event, clock.now(), data, url=typed.url, template=wording)
        )
        if name == "template" and wording:
            template.check(wording, [one for one in typed.events if one in EVENTS])
    except FormatError as error:
        return PayloadPreview(name, event, is_real, error=str(error))
    return PayloadPreview(name, event, is_real, byte_view.view(body.encode()).text)


def _data(event: str) -> tuple[dict[str, Any], bool]:
    """Return data for the event, and whether they contain the newest comment of the book."""
    session, base_url = db.session(), current.settings().base_url
    title = preferences.read(session.connection()).title
    data = {**EVENTS[event].sample_data(), "guestbook": {"title": title, "url": base_url}}
    newest = next(iter(lists.comments(session, "published", limit=1).rows), None)
    if newest is None or "comment" not in data:
        return data, False
    data["comment"] = newest.public(base_url)
    if "reply" in data and newest.reply:
        data["reply"] = newest.reply.public()
    return data, True
