"""The pages of webhooks: add, edit, test, and see how they are doing."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from guestbook.lib import clock, fields, ids, text
from guestbook.lib.errors import Refused
from guestbook.lib.redaction import HIDDEN
from guestbook.outbound import payload_versions, receiver_links, webhook_signatures, webhook_urls, webhooks
from guestbook.outbound.event_catalogue import EVENTS, own_fields, shared_fields
from guestbook.outbound.formats import CHAT_FORMATS
from guestbook.outbound.webhook_fields import WEBHOOK_FIELDS, WebhookFields
from guestbook.outbound.webhook_urls import REBUILD_PRESETS
from guestbook.queries import cron_status, statistics, webhook_status
from guestbook.queries.filtered_lists import Deliveries
from guestbook.queue import comment_order
from guestbook.storage.column_types import UNREADABLE
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, ReceiverLink, Webhook
from guestbook.storage.models.delivery import REFUSED_WITH
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import chart, queue, responses, row_actions
from guestbook.web.admin.row_actions import RowActions

# An empty one of these is wrong, or removes what was there.
EVEN_EMPTY = ("url", "name", "events", "headers", "rate", "template", "event_condition")


@dataclass(frozen=True, slots=True)
class WebhookForm(WebhookFields):
    """The form of a webhook."""

    key: str = ""  # The new webhook gets this id, so that a form sent twice adds one.
    disabled: bool = False
    preset: str = ""  # It is chosen and not yet filled in.

    @classmethod
    def read(cls) -> Self:
        """Read the form."""
        preset = request.form.get("preset", "")
        return cls(
            **fields.typed(WEBHOOK_FIELDS, request.form.getlist),
            key=responses.form_key(),
            disabled="disabled" in request.form,
            preset=preset if preset in REBUILD_PRESETS else "",
        )

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """Return the form of an existing webhook."""
        same = ("url", "name", "event_condition", "format", "version", "rate", "sign_with")
        values: dict[str, Any] = {name: getattr(webhook, name) or "" for name in same}
        # A value may be a password. One that cannot be decrypted says so.
        is_readable = UNREADABLE not in webhook.headers
        headers = dict.fromkeys(webhook.headers, HIDDEN) if is_readable else webhook.headers
        return cls(
            **values,
            events=webhook.events.split(),
            headers="\n".join(map(": ".join, headers.items())),
            template=webhooks.template_of(db.session(), webhook) or "",
            moderation_links=fields.as_typed(webhook.moderation_links_since is not None),
            github_headers=fields.as_typed(webhook.github_headers_since is not None),
        )

    def with_preset(self) -> Self:
        """Return the form with the chosen preset filled in; a URL and headers that are typed already stay."""
        if not self.preset:
            return self
        preset = REBUILD_PRESETS[self.preset]
        return replace(
            self,
            url=self.url or preset.url,
            format="template",
            events=webhook_urls.REBUILD_EVENTS,
            headers=self.headers or "\n".join(preset.headers),
            template=preset.template,
            preset="",
        )

    def columns(self) -> dict[str, Any]:
        """Return the fields as `outbound.webhooks` takes them; the template only for its format.

        Raises Refused where a preset waits to be filled in or completed.
        """
        if self.preset:
            raise Refused("Press “Use preset” first, or choose no preset.", field="preset")
        for field, typed in (("url", self.url), ("headers", self.headers)):
            if found := webhook_urls.placeholder_in(typed):
                raise Refused(f"Write yours in place of {found}.", field=field)
        given: dict[str, Any] = {
            name: typed for name in WEBHOOK_FIELDS if (typed := getattr(self, name)) or name in EVEN_EMPTY
        }
        given["headers"] = [line for line in self.headers.splitlines() if line.strip()]
        for name in ("moderation_links", "github_headers"):
            if name in given:
                given[name] = given[name] == "yes"
        if self.format not in ("", "template"):
            del given["template"]
        return given


ANSWER_EXCERPT = 500  # characters
CRON_IS_LATE = timedelta(minutes=2)


def ping_result(webhook: Webhook, delivery_id: str, now: datetime) -> dict[str, Any] | None:
    """Return the ping whose delivery has that id, with its answer or why it waits."""
    session = db.session()
    delivery = session.get(Delivery, delivery_id) if ids.ID.fullmatch(delivery_id) else None
    if delivery is None or delivery.webhook_id != webhook.id:
        return None
    attempt = webhooks.last_attempt(session, delivery)
    answer = text.clean_text(attempt.response_body or "")[:ANSWER_EXCERPT] if attempt else ""
    says_the_code_alone = attempt and delivery.last_error == f"{REFUSED_WITH}{attempt.status_code}."
    error = None if says_the_code_alone else delivery.last_error
    wait = _why_it_waits(webhook, delivery, now)
    return {"delivery": delivery, "attempt": attempt, "answer": answer, "wait": wait, "error": error}


def _why_it_waits(webhook: Webhook, delivery: Delivery, now: datetime) -> str:
    if hindrance := webhook_status.hindrance(webhook, now):
        return hindrance
    settings = request_context.settings()
    cron = cron_status.in_words(db.session(), now, after_requests=settings.send_after_requests)
    last = cron_status.last_end(db.session(), now)
    if cron.word == "never":
        return "Cron has never run, so nothing is sent yet. The Overview says what to do."
    if last and cron.word != "running" and not settings.send_after_requests and now - last > CRON_IS_LATE:
        return f"Cron last ran {clock.ago(last)}. The ping goes out when it runs again."
    if delivery.attempts and delivery.due_at:
        return f"The next attempt is due {clock.ago(delivery.due_at)}."
    if settings.send_after_requests:
        return "It goes out at the end of a request, at most once a minute."
    return "It goes out with the next pass of cron, usually within a minute."


pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")

DELIVERIES_SHOWN = 20  # deliveries on a webhook's page


@pages.get("/")
def index() -> ResponseReturnValue:
    """List the webhooks and how they are doing."""
    session, now = db.session(), clock.now()
    return render_template(
        "admin/webhooks.html",
        standings=webhook_status.all_of(session, now),
        failed=statistics.failed_lately(session, Delivery, now),
    )


@pages.get("/new", endpoint="new")
@pages.get("/<webhook_id>/edit")
def edit(webhook_id: str | None = None, typed: WebhookForm | None = None, **more: object) -> str:
    """Show the form for a new webhook, or with the settings of one; or a sent form again."""
    webhook = row_lookup.find(Webhook, webhook_id) if webhook_id else None
    stored = WebhookForm.of(webhook) if webhook else WebhookForm(key=ids.new())
    return render_template(
        "admin/webhook_form.html",
        typed=typed or (WebhookForm.read() if request.method == "POST" else stored),
        webhook=webhook,
        fields=WEBHOOK_FIELDS,
        presets_of_hosts=[(name, preset.title) for name, preset in REBUILD_PRESETS.items()],
        **more,
    )


@pages.post("/preview")
@pages.post("/<webhook_id>/preview")
@responses.form_on(edit)
def preview(webhook_id: str | None = None) -> ResponseReturnValue:
    """Show what a new or a changed webhook would receive, or fill in a preset, without saving."""
    typed, session, base_url = WebhookForm.read(), db.session(), request_context.settings().base_url
    if "fill" in request.form:
        return edit(webhook_id, typed.with_preset(), used_preset=REBUILD_PRESETS.get(typed.preset))
    body = typed.url, typed.format, typed.events, typed.template, typed.version
    condition = WEBHOOK_FIELDS["event_condition"].check(typed.event_condition)
    tried = webhooks.tried(session, base_url, condition, typed.events)
    return edit(webhook_id, typed, tried=tried, preview=webhooks.preview_of(session, base_url, *body))


@pages.post("/", endpoint="add")
@pages.post("/<webhook_id>")
@responses.form_on(edit)
def change(webhook_id: str | None = None) -> ResponseReturnValue:
    """Add a webhook, and show its secret; or change one."""
    typed, shown, settings = WebhookForm.read(), None, request_context.settings()
    with writing() as session:
        if webhook_id:
            webhook, sentence = row_lookup.find_locked(Webhook, webhook_id), "The webhook is changed."
            webhooks.update(session, webhook, typed.columns(), settings)
        else:
            webhook, sentence = _added(session, typed)
            needs_secret = webhook.sign_with != "key" and webhooks.is_verified(webhook)
            if row_actions.is_new(webhook) and not typed.secret and needs_secret:
                shown = row_actions.seal(webhook)
        row_id, url = webhook.id, webhook.url
    saved = responses.done(sentence, ".show", webhook_id=row_id, shown=shown)
    for warning in webhook_urls.warnings(url, settings):
        flash(f"Warning: {warning}")
    return saved


def _added(session: Session, typed: WebhookForm) -> tuple[Webhook, str]:
    """Add it, unless this form has added it already; the form's key is its id. Return what to say, too."""
    if known := session.get(Webhook, typed.key):
        return known, "This form was sent before. It added this webhook."
    values = typed.columns()
    if not typed.name:
        del values["name"]  # Then it is named after its host.
    settings = request_context.settings()
    webhook = webhooks.add(session, values, settings, row_id=typed.key, disabled=typed.disabled)
    then = "enable it" if typed.disabled else "send a ping"
    signs_with_key = webhook.sign_with == "key"
    if not webhooks.is_verified(webhook):
        is_guessed = not typed.format and webhook.format in CHAT_FORMATS
        form = f" in the format {webhook.format}, as its URL suggests" if is_guessed else ""
        return webhook, f"The webhook is added{form}. Now {then}."
    if values.get("signing_key" if signs_with_key else "secret"):
        return webhook, f"The webhook is added with your {'key' if signs_with_key else 'secret'}. Now {then}."
    given = "public key" if signs_with_key else "secret"
    return webhook, f"The webhook is added. Give its {given} to the receiver, then {then}."


@pages.get("/<webhook_id>")
def show(webhook_id: str, **more: object) -> str:
    """Show a webhook: how it is doing, its latest deliveries and its actions; and what was refused."""
    session, now, webhook = db.session(), clock.now(), row_lookup.find(Webhook, webhook_id)
    base_url = request_context.settings().base_url
    sent = ping_result(webhook, request.args.get("ping", ""), now)
    latest = Deliveries(webhook_id=webhook.id).page(session, limit=DELIVERIES_SHOWN)
    made = statistics.attempts_of(session, webhook.id, now)
    coming = webhook_status.coming_deliveries(session, webhook.id)
    return render_template(
        "admin/webhook.html",
        standing=webhook_status.of(session, webhook, now),
        template=webhooks.template_of(session, webhook),
        tried=webhooks.tried(session, base_url, webhook.event_condition, webhook.events.split()),
        deliveries=[row for row in latest.rows if sent is None or row is not sent["delivery"]],
        made=made,
        hours=chart.draw(made.hours, chart.HOUR_LABEL, chart.ATTEMPT_SEGMENTS),
        days=chart.draw(made.days, chart.DAY_LABEL, chart.ATTEMPT_SEGMENTS),
        coming=coming,
        behind=comment_order.behind(session, [row.id for row in coming]),
        outlook=partial(queue.outlook_of, webhook=webhook, now=now),
        ping=sent,
        event_choices=queue.EVENT_CHOICES,
        newest_version=payload_versions.newest(),
        **row_actions.secret_facts(webhook, now),
        **more,
    )


@pages.post("/<webhook_id>/ping")
def ping(webhook_id: str) -> ResponseReturnValue:
    """Queue a ping, and show its result."""
    with row_lookup.changing(Webhook, webhook_id) as (session, webhook):
        delivery_id = webhooks.store_sample(session, webhook, request_context.settings()).id
        shown = row_actions.keep_shown(webhook)
    there = url_for(".show", webhook_id=webhook_id, ping=delivery_id, shown=shown, _anchor="ping")
    return redirect(there, 303)


@pages.post("/<webhook_id>/example")
@responses.form_on(show)
def example(webhook_id: str) -> ResponseReturnValue:
    """Queue an example of an event, and show its delivery."""
    event = request.form.get("event", "")
    with row_lookup.changing(Webhook, webhook_id) as (session, webhook):
        delivery_id = webhooks.store_sample(session, webhook, request_context.settings(), event).id
        is_pulled = webhook.is_pulled
    what = "waits until its receiver fetches it" if is_pulled else "goes out with the next pass of cron"
    return responses.done(f"The example {what}.", "admin.deliveries.show", delivery_id=delivery_id)


@pages.post("/<webhook_id>/rotate-key")
@responses.form_on(show)
def rotate_key(webhook_id: str) -> ResponseReturnValue:
    """Rotate the key pair, whose public key its page shows; a double click must not rotate it twice."""
    overlap = row_actions.overlap("keep signing", "key")
    with row_lookup.changing(Webhook, webhook_id) as (session, webhook):
        if said := row_actions.rotated_already(webhook, "key"):
            return responses.done(said, ".show", webhook_id=webhook_id)
        webhook_signatures.rotate_key(session, webhook, overlap)
    said = "The key is rotated. Give the new public key to the receiver."
    return responses.done(said, ".show", webhook_id=webhook_id)


RowActions(
    model=Webhook,
    show_page=show,
    enabled="The webhook is enabled. {} the deliveries that wait.",
    disabled="The webhook is disabled. Its deliveries wait until you enable it.",
    rotate_secret=webhook_signatures.rotate_secret,
    overlapping="keep signing",
    partner="receiver",
    owner_id=Delivery.webhook_id,
    noun=("delivery", "deliveries"),
).add_rules(pages)

LIFETIMES = {"1d": "1 day", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "a year"}
LINK_SHOWN_ONCE = "This link exists already, and was shown only once. If you did not keep it, revoke it."


@pages.get("/<webhook_id>/receiver-links")
def show_links(webhook_id: str, **more: object) -> str:
    """List the links of a webhook, with the address of one that was just added, and offer a new one."""
    webhook = row_lookup.find(Webhook, webhook_id)
    offered = {"name": webhook.name, "expires": "30d"}
    return render_template(
        "admin/receiver_links.html",
        webhook=webhook,
        typed=responses.typed_lines(offered) if "reasons" in more else offered,
        links=receiver_links.of_webhook(db.session(), webhook.id),
        lifetimes=LIFETIMES,
        now=clock.now(),
        new_id=ids.new(),
        **more,
    )


@pages.post("/<webhook_id>/receiver-links")
@responses.form_on(show_links)
def add_link(webhook_id: str) -> ResponseReturnValue:
    """Add a link and show it in this answer only.

    It needs the password, because a link outlives a stolen login. The form contains the link's id, so that
    reloading the answer adds no second link.
    """
    typed, link_id = responses.typed_lines(("name", "expires")), responses.form_key("id")
    if typed["expires"] not in LIFETIMES:
        raise Refused("Choose how long it works.", field="expires")
    # This comes before an attempt at the password is counted.
    receiver_links.check(row_lookup.find(Webhook, webhook_id), **typed)
    responses.confirm_password()
    with row_lookup.changing(Webhook, webhook_id) as (session, webhook):
        if session.get(ReceiverLink, link_id):
            return responses.done(LINK_SHOWN_ONCE, ".show_links", webhook_id=webhook_id)
        link = receiver_links.add(session, webhook, **typed, link_id=link_id)
        address = receiver_links.url(link, request_context.settings())
    return show_links(webhook_id, address=address)


@pages.post("/<webhook_id>/receiver-links/<link_id>/revoke")
def revoke_link(webhook_id: str, link_id: str) -> ResponseReturnValue:
    """Revoke a link."""
    with row_lookup.changing(ReceiverLink, link_id) as (session, link):
        if link.webhook_id != webhook_id:
            abort(404)
        receiver_links.revoke(session, link)
        name = link.name
    return responses.done(f"The link for {name} is revoked.", ".show_links", webhook_id=webhook_id)


event_pages = Blueprint("events", __name__, url_prefix="/events")


@event_pages.get("/")
def list_events() -> ResponseReturnValue:
    """Show the catalogue of events."""
    as_json = partial(json.dumps, ensure_ascii=False, indent=2)
    shown = [(event, own_fields(event), as_json(event.example())) for event in EVENTS.values()]
    version = payload_versions.newest()
    return render_template("admin/events.html", shared=shared_fields(), events=shown, version=version)
