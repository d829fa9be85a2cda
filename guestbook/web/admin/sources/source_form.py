"""The form of a source: read, shown again, and given to `inbound.sources`."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from flask import request

from guestbook.inbound import sender_presets
from guestbook.inbound.scheme_fields import SCHEME_DEFAULTS
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import LINE_ENDS, clean_line
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.lib.verification.signature_scheme import ED25519
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
    "github-issue_comment": "GitHub: comments on issues and pull requests",
    "github-discussion": "GitHub: discussions",
    "github-pull_request_review": "GitHub: reviews of pull requests",
    "github-fork": "GitHub: forks",
    "github-sponsorship": "GitHub: public sponsorships",
    "github-workflow_run": "GitHub: workflows that failed",
    "github-deployment_status": "GitHub: deployments",
    "gitea": "Gitea and Forgejo: all events above that they send",
    "gitlab": "GitLab: pushes, tags, issues, merge requests, comments, releases, failed pipelines",
    "stripe": "Stripe: payments",
    "shopify": "Shopify: orders and new products",
    "discord": "Discord: the text of a command",
    "guestbook": "comments of another guestbook",
    "plain": "the fields name, website and message (or text, content, title)",
}
PRESET_AND_TEMPLATE = (
    "You chose a preset, but there is a template of yours too. Press “Use preset”, or choose no preset."
)


@dataclass(frozen=True, slots=True)
class SourceForm:
    """The fields of the form."""

    key: str = ""  # the id of the new source, so that a form sent twice adds one
    preset: str = ""  # the name of a known sender that is chosen and whose settings are not yet filled in
    name: str = ""
    verify: str = "github"
    secret: str = ""
    header: str = ""
    scheme: dict[str, str] = field(default_factory=lambda: dict(SCHEME_DEFAULTS))
    action: str = "log"
    ready: str = ""  # the name of a preset that is chosen and not yet in the template field
    template: str = ""
    relayed: bool = False
    in_full: bool = False
    budget_mb: str = str(BUDGET_MB)

    @classmethod
    def read(cls) -> Self:
        """Read the form, without the invisible characters that copying a secret may add."""
        sent = request.form
        key, preset, ready = (sent.get(name, "") for name in ("key", "preset", "ready"))
        return cls(
            key=key if ids.ID.fullmatch(key) else ids.new(),
            preset=preset if preset in SENDER_PRESETS else "",
            name=clean_line(sent.get("name", "")),
            verify=sent.get("verify", ""),
            secret=clean_line(sent.get("secret", "")),
            header=clean_line(sent.get("header", "")),
            scheme={name: clean_line(sent.get(name, word)) for name, word in SCHEME_DEFAULTS.items()},
            action=sent.get("action", ""),
            ready=ready if ready in PRESETS else "",
            template=LINE_ENDS.sub("\n", sent.get("template", "")),
            relayed="relayed" in sent,
            in_full="in_full" in sent,
            budget_mb=clean_line(sent.get("budget_mb", str(BUDGET_MB))),
        )

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the form of an existing source, without its secret."""
        return cls(
            name=source.name,
            verify=source.verify,
            header=source.header or "",
            scheme={**SCHEME_DEFAULTS, **(source.scheme or {})},
            action=source.action,
            template=source.template or "",
            relayed=source.relayed_since is not None,
            in_full=source.forwarded_in_full_since is not None,
            budget_mb=str(source.budget_mb),
        )

    def with_sender(self) -> Self:
        """Return the form with the settings of the chosen sender filled in."""
        if not self.preset:
            return self
        filled = sender_presets.settings_of(self.preset)
        return replace(
            self,
            preset="",
            verify=filled["verify"],
            header=filled.get("header", ""),
            scheme={name: filled.get(name, word) for name, word in SCHEME_DEFAULTS.items()},
            ready=SENDER_PRESETS[self.preset].template if not self.template else self.ready,
        )

    def with_template(self) -> Self:
        """Return the form with the chosen ready-made template in its field."""
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
        form = self.with_sender()
        fields: dict[str, Any] = {"name": form.name, "verify": form.verify, "action": form.action}
        fields |= {"budget_mb": form.budget_mb, "preset": self.preset}
        if form.verify != "none":
            fields["secret"] = form.secret
        has_scheme = form.verify in VERIFICATION_KINDS and VERIFICATION_KINDS[form.verify].has_scheme
        if form.verify == "token" or has_scheme:
            fields["header"] = form.header
        if has_scheme:
            left_out = "hash" if form.verify == ED25519 else ""  # the page hides it then
            fields |= {name: value for name, value in form.scheme.items() if name != left_out}
        if form.action == "comment":
            fields |= {"template": form.chosen_template(), "relayed": form.relayed}
        if form.action == "forward":
            fields["in_full"] = form.in_full
        return fields
