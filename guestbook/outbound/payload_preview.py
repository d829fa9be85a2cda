"""The body that a webhook would receive, shown before anything is saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from guestbook.lib import byte_view, clock
from guestbook.outbound import formats, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS, FormatError, chat_urls, template
from guestbook.queries import lists
from guestbook.storage import preferences


@dataclass(frozen=True, slots=True)
class PayloadPreview:
    """A body, or the error that prevents it."""

    format: str
    event: str
    is_real: bool  # made from a comment in the book, not from sample data
    body: str = ""  # indented JSON
    error: str = ""


def of(
    session: Session, base_url: str, *, url: str, format_name: str, events: Sequence[str], wording: str
) -> PayloadPreview:
    """Return what such a webhook would get for the first of its events; `wording` is its template."""
    known = [name for name in events if name in EVENTS]
    event = next(iter(known), webhooks.DEFAULT_EVENTS[0])
    data, is_real = _data(session, base_url, event)
    name = format_name or ("template" if wording else chat_urls.suggest(url) or webhooks.DEFAULT_FORMAT)
    if name not in FORMATS:
        return PayloadPreview(name, event, is_real, error=f"There is no format {name!r}.")
    given = formats.FormatInput(event, clock.now(), data, url=url, template=wording or None)
    try:
        body = formats.render(name, given)
        if name == "template" and wording:
            template.check(wording, known)
    except FormatError as error:
        return PayloadPreview(name, event, is_real, error=str(error))
    return PayloadPreview(name, event, is_real, byte_view.view(body.encode()).text)


def _data(session: Session, base_url: str, event: str) -> tuple[dict[str, Any], bool]:
    """Return data for the event, and whether they contain the newest comment of the book."""
    title = preferences.read(session.connection()).title
    data = EVENTS[event].sample_data(base_url)
    data["guestbook"]["title"] = title
    newest = next(iter(lists.comments(session, "published", limit=1).rows), None)
    if newest is None or "comment" not in data:
        return data, False
    data["comment"] = newest.public(base_url)
    if "reply" in data and newest.reply:
        data["reply"] = newest.reply.public()
    return data, True
