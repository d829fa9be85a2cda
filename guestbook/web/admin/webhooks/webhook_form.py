"""The form of a webhook: read, shown again, and given to `outbound.webhooks`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from flask import request

from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.text import clean_line, clean_text
from guestbook.outbound import payload_preview, rebuild_presets, webhooks
from guestbook.outbound.payload_preview import PayloadPreview
from guestbook.outbound.rebuild_presets import REBUILD_PRESETS
from guestbook.storage.column_types import UNREADABLE
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from guestbook.storage.models.webhook import SIGN_WITH
from guestbook.web import current


@dataclass(frozen=True, slots=True)
class WebhookForm:
    """The fields of the form."""

    key: str = ""  # the id of the new webhook, so that a form sent twice adds one
    url: str = ""
    name: str = ""
    format: str = ""  # "": the one that the URL suggests
    events: Sequence[str] = webhooks.DEFAULT_EVENTS
    headers: str = ""  # one per line
    template: str = ""
    rate: str = ""
    moderation_links: str = ""  # yes, no, or "": the format's default
    secret: str = ""  # of a new webhook: the one that the receiver has already
    sign_with: str = SIGN_WITH[0]
    signing_key: str = ""  # the private key whose public half the receiver has already
    github_headers: str = "no"
    disabled: bool = False
    preset: str = ""  # the name of one that is chosen and not yet filled in

    @classmethod
    def read(cls) -> Self:
        """Read the form, without the invisible characters that copying a secret may add."""
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
            rate=clean_line(sent.get("rate", "")),
            moderation_links=sent.get("moderation_links", ""),
            secret=clean_line(sent.get("secret", "")),
            sign_with=sent.get("sign_with", ""),
            signing_key=clean_line(sent.get("signing_key", "")),
            github_headers=sent.get("github_headers", ""),
            disabled="disabled" in sent,
            preset=sent.get("preset", "") if sent.get("preset") in REBUILD_PRESETS else "",
        )

    @classmethod
    def of(cls, webhook: Webhook, template: str | None) -> Self:
        """Return the form of an existing webhook."""
        return cls(
            url=webhook.url,
            name=webhook.name,
            format=webhook.format,
            events=webhook.events.split(),
            headers="\n".join(f"{name}: {_hidden(name, value)}" for name, value in webhook.headers.items()),
            template=template or "",
            rate=webhook.rate or "",
            moderation_links="yes" if webhook.moderation_links_since else "no",
            sign_with=webhook.sign_with,
            github_headers="yes" if webhook.github_headers_since else "no",
        )

    @property
    def has_more(self) -> bool:
        """Whether a field is filled in that most webhooks leave as it is."""
        typed = (self.headers, self.rate, self.secret, self.signing_key, self.moderation_links)
        return any(typed) or self.sign_with in SIGN_WITH[1:] or self.github_headers == "yes"

    def with_preset(self) -> Self:
        """Return the form with the chosen preset filled in; a URL and headers that are typed already stay."""
        if not self.preset:
            return self
        preset = REBUILD_PRESETS[self.preset]
        return replace(
            self,
            url=self.url or preset.url,
            format="template",
            events=rebuild_presets.REBUILD_EVENTS,
            headers=self.headers or "\n".join(preset.headers),
            template=preset.template,
            preset="",
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields as `outbound.webhooks` takes them; the template only for its format.

        Raises Refused where a preset waits to be filled in or completed.
        """
        if self.preset:
            raise Refused("Press “Use preset” first, or choose no preset.", field="preset")
        for field, typed in (("url", self.url), ("headers", self.headers)):
            if found := rebuild_presets.placeholder_in(typed):
                raise Refused(f"Write yours in place of {found}.", field=field)
        fields: dict[str, Any] = {
            "url": self.url,
            "name": self.name,
            "events": self.events,
            "rate": self.rate,
            "headers": [line for line in self.headers.splitlines() if line.strip()],
        }
        if self.format:
            fields["format_name"] = self.format
        for name, chosen in (
            ("moderation_links", self.moderation_links),
            ("github_headers", self.github_headers),
        ):
            if chosen in ("yes", "no"):
                fields[name] = chosen == "yes"
        for name in ("sign_with", "secret", "signing_key"):
            if typed := getattr(self, name):
                fields[name] = typed
        if self.format in ("", "template"):
            fields["template"] = self.template
        return fields

    def preview(self) -> PayloadPreview:
        """Return what the form would send."""
        return payload_preview.of(
            db.session(),
            current.settings().base_url,
            url=self.url,
            format_name=self.format,
            events=self.events,
            wording=self.template,
        )


def _hidden(name: str, value: str) -> str:
    """Hide the value of a header, which may be a password, unless it cannot be decrypted."""
    return value if name == UNREADABLE else HIDDEN
