"""The form of a source: what was typed, as the form shows it and as it is stored."""

from dataclasses import dataclass, replace
from typing import Any, Self

from flask import request

from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import LINE_ENDS, clean_line
from guestbook.storage.models import Source
from guestbook.storage.models.source import BUDGET_MB

ACTION_CHOICES = {
    "log": ("Keep it", "it stands in the inbox, and nothing else happens"),
    "comment": ("Write a comment", "a template turns it into a comment in the book"),
    "forward": ("Pass it on", "your webhooks that want inbound.received get it"),
}
PRESET_NAMES = {
    "github": "all of GitHub’s below",
    "github-push": "GitHub: pushes and tags",
    "github-issues": "GitHub: issues",
    "github-pull_request": "GitHub: pull requests",
    "github-release": "GitHub: releases",
    "github-star": "GitHub: stars",
    "guestbook": "the comments of another guestbook",
    "plain": "the fields name, website and message",
}
PRESET_AND_TEMPLATE = (
    "You chose a ready-made template, and there is one of your own: press “Put it below”, or choose none."
)


@dataclass(frozen=True, slots=True)
class SourceForm:
    """What stands in the form of a source."""

    key: str = ""  # the id of the source that it adds: sent twice, it adds one
    name: str = ""
    verify: str = "github"
    secret: str = ""
    header: str = ""
    action: str = "log"
    ready: str = ""  # the name of a ready-made template, chosen and not yet put into the field
    template: str = ""
    relayed: bool = False
    budget_mb: str = str(BUDGET_MB)

    @classmethod
    def read(cls) -> Self:
        """Read what was sent, without what nobody sees, which comes along when a secret is copied."""
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
        """Return what the form of a source that is there shows; its secret stays where it is."""
        return cls(
            name=source.name,
            verify=source.verify,
            header=source.header or "",
            action=source.action,
            template=source.template or "",
            relayed=source.relayed_since is not None,
            budget_mb=str(source.budget_mb),
        )

    def filled(self) -> Self:
        """Return it with the chosen ready-made template in the field."""
        return replace(self, template=PRESETS[self.ready], ready="") if self.ready else self

    def wording(self) -> str:
        """Return the template that is meant; a ready-made one does not replace one's own unasked."""
        if self.ready and self.is_own:
            raise Refused(PRESET_AND_TEMPLATE, field="template")
        return PRESETS[self.ready] if self.ready else self.template

    @property
    def is_own(self) -> bool:
        """Whether the template is the owner's work."""
        mine = self.template.strip()
        return bool(mine) and mine not in {ready.strip() for ready in PRESETS.values()}

    def fields(self) -> dict[str, Any]:
        """Return the fields as `inbound.sources` takes them, without those that the choices exclude."""
        fields: dict[str, Any] = {"name": self.name, "verify": self.verify, "action": self.action}
        fields["budget_mb"] = self.budget_mb
        if self.verify != "none":
            fields["secret"] = self.secret
        if self.verify == "token":
            fields["header"] = self.header
        if self.action == "comment":
            fields |= {"template": self.wording(), "relayed": self.relayed}
        return fields
