"""The form of a source: read, shown again, and given to `inbound.sources`."""

from dataclasses import dataclass, replace
from typing import Any, Self

from flask import request

from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import LINE_ENDS, clean_line
from guestbook.storage.models import Source
from guestbook.storage.models.source import BUDGET_MB, MENTIONS

ACTION_CHOICES = {
    "log": ("Keep it", "it stays in the inbox, and nothing else happens"),
    "comment": ("Write a comment", "a template turns it into a comment"),
    "forward": ("Forward it", "to your webhooks that subscribe to inbound.received"),
}
ACTION_WORDS = {**ACTION_CHOICES, MENTIONS: ("Read the page", "it becomes a comment if it links to the book")}
PRESET_NAMES = {
    "github": "all GitHub events below",
    "github-push": "GitHub: pushes and tags",
    "github-issues": "GitHub: issues",
    "github-pull_request": "GitHub: pull requests",
    "github-release": "GitHub: releases",
    "github-star": "GitHub: stars",
    "guestbook": "comments of another guestbook",
    "plain": "the fields name, website and message",
}
PRESET_AND_TEMPLATE = (
    "You chose a preset, but there is a template of yours too. Press “Use preset”, or choose no preset."
)


@dataclass(frozen=True, slots=True)
class SourceForm:
    """The fields of the form."""

    key: str = ""  # the id of the new source, so that a form sent twice adds one
    name: str = ""
    verify: str = "github"
    secret: str = ""
    header: str = ""
    action: str = "log"
    ready: str = ""  # the name of a preset that is chosen and not yet in the template field
    template: str = ""
    relayed: bool = False
    budget_mb: str = str(BUDGET_MB)

    @classmethod
    def read(cls) -> Self:
        """Read the form, without the invisible characters that copying a secret may add."""
        sent = request.form
        key, ready = sent.get("key", ""), sent.get("ready", "")
        return cls(
            key=key if ids.ID.fullmatch(key) else ids.new(),
            name=clean_line(sent.get("name", "")),
            verify=sent.get("verify", ""),
            secret=clean_line(sent.get("secret", "")),
            header=clean_line(sent.get("header", "")),
            action=sent.get("action", ""),
            ready=ready if ready in PRESETS else "",
            template=LINE_ENDS.sub("\n", sent.get("template", "")),
            relayed="relayed" in sent,
            budget_mb=clean_line(sent.get("budget_mb", str(BUDGET_MB))),
        )

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the form of an existing source, without its secret."""
        return cls(
            name=source.name,
            verify=source.verify,
            header=source.header or "",
            action=source.action,
            template=source.template or "",
            relayed=source.relayed_since is not None,
            budget_mb=str(source.budget_mb),
        )

    def with_preset(self) -> Self:
        """Return the form with the chosen preset in the template field."""
        return replace(self, template=PRESETS[self.ready], ready="") if self.ready else self

    def chosen_template(self) -> str:
        """Return the template or the preset; raises Refused where a preset would replace the owner's own."""
        if not self.ready:
            return self.template
        if self.template.strip() not in ("", *map(str.strip, PRESETS.values())):
            raise Refused(PRESET_AND_TEMPLATE, field="template")
        return PRESETS[self.ready]

    def fields(self, *, built_in: bool = False) -> dict[str, Any]:
        """Return the fields as `inbound.sources` takes them, without those that the choices exclude."""
        if built_in:
            return {"name": self.name, "budget_mb": self.budget_mb, "relayed": self.relayed}
        fields: dict[str, Any] = {"name": self.name, "verify": self.verify, "action": self.action}
        fields["budget_mb"] = self.budget_mb
        if self.verify != "none":
            fields["secret"] = self.secret
        if self.verify == "token":
            fields["header"] = self.header
        if self.action == "comment":
            fields |= {"template": self.chosen_template(), "relayed": self.relayed}
        return fields
