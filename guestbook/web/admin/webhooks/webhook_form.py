"""The form of a webhook: what was typed, as the form shows it and as it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from flask import request

from guestbook.lib import ids
from guestbook.lib.text import clean_line, clean_text
from guestbook.outbound import webhooks
from guestbook.outbound.custom_headers import HIDDEN
from guestbook.storage.column_types import UNREADABLE
from guestbook.storage.models import Webhook

EVENT_MEANINGS = {  # and when each happens
    "comment.created": "somebody signed the book, and it is no spam",
    "comment.published": "a comment became visible",
    "comment.deleted": "a comment was taken out of the book",
    "comment.replied": "you answered a comment",
    "inbound.received": "a source of yours that forwards was sent a webhook",
    "webhook.disabled": "another webhook was disabled, for it failed for days or its receiver is gone",
    "ping": "the test; “Send a ping” reaches this webhook without it too",
}


@dataclass(frozen=True, slots=True)
class WebhookForm:
    """What stands in the form of a webhook."""

    key: str = ""  # the id of the webhook that it adds: sent twice, it adds one
    url: str = ""
    name: str = ""
    format: str = ""  # "": the one that the URL asks for
    events: Sequence[str] = webhooks.DEFAULT_EVENTS
    headers: str = ""  # a line each
    template: str = ""
    disabled: bool = False

    @classmethod
    def read(cls) -> Self:
        """Read what was sent, without what nobody sees, which comes along when a secret is copied."""
        sent = request.form
        key = sent.get("key", "")
        return cls(
            key=key if ids.ID.fullmatch(key) else ids.new(),
            url=clean_line(sent.get("url", "")),
            name=clean_line(sent.get("name", "")),
            format=sent.get("format", ""),
            events=sent.getlist("events"),
            headers=clean_text(sent.get("headers", "")),
            template=clean_text(sent.get("template", "")),
            disabled="disabled" in sent,
        )

    @classmethod
    def of(cls, webhook: Webhook, template: str | None) -> Self:
        """Return what the form of a webhook that is there shows."""
        return cls(
            url=webhook.url,
            name=webhook.name,
            format=webhook.format,
            events=webhook.events.split(),
            headers="\n".join(f"{name}: {_shown(name, value)}" for name, value in webhook.headers.items()),
            template=template or "",
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields as `outbound.webhooks` takes them; the template only for its format."""
        fields = {
            "url": self.url,
            "name": self.name,
            "events": self.events,
            "headers": [line for line in self.headers.splitlines() if line.strip()],
        }
        if self.format:
            fields["format_name"] = self.format
        if self.format in ("", "template"):
            fields["template"] = self.template
        return fields


def _shown(name: str, value: str) -> str:
    """Return what the form shows for a header: its value may be a password, unless somebody has broken it."""
    return value if name == UNREADABLE else HIDDEN
