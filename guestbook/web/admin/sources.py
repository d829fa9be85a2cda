"""The pages of sources: add, edit, preview, and see what they send."""

from dataclasses import dataclass, replace
from typing import Any, Self

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.inbound import samples, sender_presets, sources
from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS, SENDER_PRESETS
from guestbook.inbound.sources import SOURCE_FIELDS, SourceFields
from guestbook.lib import clock, fields, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import LINE_ENDS, clean_line
from guestbook.lib.verification.kinds import ED25519, VERIFICATION_KINDS
from guestbook.queries import statistics, webhook_status
from guestbook.queries.filtered_lists import InboundEvents
from guestbook.storage import disk_budget_of_source
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import MENTIONS
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import responses, row_actions
from guestbook.web.admin.row_actions import RowActions

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
class SourceForm(SourceFields):
    """The form of a source."""

    key: str = ""  # the id of the new source, so that a form sent twice adds one
    preset: str = ""  # the name of a known sender that is chosen and whose settings are not yet filled in
    ready: str = ""  # the name of a preset that is chosen and not yet in the template field

    @classmethod
    def read(cls) -> Self:
        """Read the form. The template stays as it is, but for the ends of its lines."""
        sent = request.form
        preset, ready = sent.get("preset", ""), sent.get("ready", "")
        template = LINE_ENDS.sub("\n", sent.get("template", ""))
        return cls(
            **fields.typed(SOURCE_FIELDS, sent.getlist) | {"template": template},
            key=responses.form_key(),
            preset=preset if preset in SENDER_PRESETS else "",
            ready=ready if ready in PRESETS else "",
        )

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the form of an existing source, without its secret."""
        same = ("name", "verify", "header", "action", "template", "event_condition", "budget_mb")
        return cls(
            **{name: fields.as_typed(getattr(source, name) or "") for name in same},
            **{**SCHEME_DEFAULTS, **(source.scheme or {})},
            relayed=fields.as_typed(source.relayed_since is not None),
            forwarded_in_full=fields.as_typed(source.forwarded_in_full_since is not None),
        )

    def with_sender(self) -> Self:
        """Return the form with the settings of the chosen sender filled in."""
        if not self.preset:
            return self
        ready = SENDER_PRESETS[self.preset].template if not self.template else self.ready
        filled = {"header": "", **SCHEME_DEFAULTS, **sender_presets.settings_of(self.preset)}
        return replace(self, **filled, preset="", ready=ready)

    def chosen_template(self) -> str:
        """Return the template or the preset; raises Refused where a preset would replace the owner's own."""
        if not self.ready:
            return self.template
        if self.template.strip() not in ("", *map(str.strip, PRESETS.values())):
            raise Refused(PRESET_AND_TEMPLATE, field="template")
        return PRESETS[self.ready]

    def columns(self, *, built_in: bool = False) -> dict[str, Any]:
        """Return the fields as `inbound.sources` takes them, without those that the choices exclude."""
        relayed = self.relayed == "yes"
        if built_in:
            return {"name": self.name, "budget_mb": self.budget_mb, "relayed": relayed}
        form = self.with_sender()
        has_scheme = form.verify in VERIFICATION_KINDS and VERIFICATION_KINDS[form.verify].has_scheme
        wanted = ["name", "verify", "action", "event_condition", "budget_mb"]
        wanted += ["secret"] if form.secret and form.verify != "none" else []
        wanted += ["header"] if form.verify == "token" or has_scheme else []
        wanted += SCHEME_DEFAULTS if has_scheme else []
        given = {name: getattr(form, name) for name in wanted} | {"preset": self.preset}
        if form.verify == ED25519:
            del given["hash"]  # the page hides it then
        if form.action == "comment":
            given |= {"template": form.chosen_template(), "relayed": relayed}
        if form.action == "forward":
            given["forwarded_in_full"] = form.forwarded_in_full == "yes"
        return given


pages = Blueprint("sources", __name__, url_prefix="/sources")

EVENTS_SHOWN = 20  # events on a source's page


@pages.get("/")
def index() -> ResponseReturnValue:
    """List the sources and how they are doing."""
    return render_template(
        "admin/sources.html",
        standings=webhook_status.all_sources(db.session()),
        failed=statistics.failed_lately(db.session(), InboundEvent, clock.now()),
        verifications=VERIFICATION_KINDS,
        actions=ACTION_WORDS,
    )


@pages.get("/new", endpoint="new")
@pages.get("/<source_id>/edit")
def edit(source_id: str | None = None, typed: SourceForm | None = None, **more: object) -> str:
    """Show the form for a new source, or with the settings of one; or a sent form again."""
    source = row_lookup.find(Source, source_id) if source_id else None
    stored = SourceForm.of(source) if source else SourceForm(key=ids.new())
    return render_template(
        "admin/source_form.html",
        typed=typed or (SourceForm.read() if request.method == "POST" else stored),
        source=source,
        verifications={name: (kind.title, kind.hint) for name, kind in VERIFICATION_KINDS.items()},
        actions=ACTION_CHOICES,
        ready_templates=[(name, PRESET_NAMES.get(name, name)) for name in PRESETS],
        senders=[(name, preset.title) for name, preset in SENDER_PRESETS.items()],
        fields=SOURCE_FIELDS,
        **more,
    )


@pages.post("/", endpoint="add")
@pages.post("/<source_id>")
@responses.form_on(edit)
def change(source_id: str | None = None) -> ResponseReturnValue:
    """Add a source, unless this form has added it already, and show what its sender needs; or change one."""
    typed = SourceForm.read()
    with writing() as session:
        if source_id:
            source, sentence = row_lookup.find_locked(Source, source_id), "The source is changed."
            before = source.secret
            sources.update(session, source, typed.columns(built_in=source.is_built_in))
            is_shown = source.secret not in (before, None)
        else:
            known = session.get(Source, typed.key)
            sentence = "This form was sent before. It added this source."
            if known is None:
                sentence = "The source is added. Now give its URL to the sender."
            source = known or sources.add(session, typed.columns(), row_id=typed.key)
            is_ours = source.secret is not None and not VERIFICATION_KINDS[source.verify].secret_from
            is_shown = is_ours and row_actions.is_new(source)
        shown, row_id = row_actions.seal(source) if is_shown else None, source.id
    return responses.done(sentence, ".show", source_id=row_id, shown=shown)


@pages.post("/preview")
@pages.post("/<source_id>/preview")
@responses.form_on(edit)
def preview(source_id: str | None = None) -> ResponseReturnValue:
    """Show what the form's condition and template make of received events, if any, without saving."""
    typed = SourceForm.read()
    if request.form.get("fill") == "sender":
        return edit(source_id, typed.with_sender(), sender=SENDER_PRESETS.get(typed.preset))
    if request.form.get("fill") == "request":
        fitting = sender_presets.fitting(request.form.get("request", ""))
        return edit(source_id, replace(typed, preset=fitting[0]), fitting=fitting)
    if "fill" in request.form and typed.ready:
        typed = replace(typed, template=PRESETS[typed.ready], ready="")
    is_comment = typed.action in ("", "comment")
    wording = sources.template_for(typed.verify, typed.chosen_template()) if is_comment else None
    source = row_lookup.find(Source, source_id) if source_id else None
    base_url = request_context.settings().base_url
    condition = SOURCE_FIELDS["event_condition"].check(typed.event_condition)
    tried = samples.preview_of(db.session(), source, typed.verify, wording, base_url, typed.name, condition)
    return edit(source_id, typed, preview=tried[0] if is_comment else None, tried=tried)


@pages.get("/<source_id>")
def show(source_id: str, **more: object) -> str:
    """Show a source: what its sender needs, its latest events and its actions; and what was refused."""
    session, now, source = db.session(), clock.now(), row_lookup.find(Source, source_id)
    latest = InboundEvents(source_id=source.id).page(session, limit=EVENTS_SHOWN)
    return render_template(
        "admin/source.html",
        standing=webhook_status.of_source(session, source),
        url=source.url(request_context.settings().base_url),
        events=latest.rows,
        **row_actions.secret_facts(source, now),
        verification=VERIFICATION_KINDS[source.verify],
        scheme=source.signature_scheme,
        action=ACTION_WORDS[source.action][0],
        preset=sources.preset_name(source.template),
        taken=disk_budget_of_source.taken(source),
        samples=[(name, name) for name in samples.choices(source)],
        no_samples=samples.hindrance(source),
        **more,
    )


@pages.post("/<source_id>/sample")
@responses.form_on(show)
def send_sample(source_id: str) -> ResponseReturnValue:
    """Send a sample event to it, and show what becomes of it."""
    source, event = row_lookup.find(Source, source_id), clean_line(request.form.get("event", ""))
    event_id = samples.send_sample(source, request_context.settings(), event)
    sentence = "The sample is stored. The next pass of cron processes it like a real event."
    return responses.done(sentence, "admin.inbox.show", event_id=event_id)


RowActions(
    model=Source,
    show_page=show,
    enabled="The source is enabled. The next pass of cron processes its waiting events.",
    disabled="The source is disabled. Its events are stored, and wait until you enable it.",
    rotate_secret=sources.rotate,
    overlapping="stay valid",
    partner="sender",
    owner_id=InboundEvent.source_id,
    noun=("event", "events"),
).add_rules(pages)
