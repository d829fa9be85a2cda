"""The pages of webhooks: add, edit, test, and see how they are doing."""

from functools import partial

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.outbound import rebuild_presets, sample_delivery, webhook_signatures, webhook_urls, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import CHAT_FORMATS, FORMATS
from guestbook.outbound.payload_preview import PayloadPreview
from guestbook.queries import bounded_counts, lists, webhook_attempts, webhook_status
from guestbook.queries.lists import Deliveries
from guestbook.queue import comment_order
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, Webhook
from guestbook.web import current, row_lookup
from guestbook.web.admin import chart, responses, secret_pages
from guestbook.web.admin.deliveries import delivery_outlook
from guestbook.web.admin.row_actions import RowActions
from guestbook.web.admin.webhooks import ping_result, receiver_link_views
from guestbook.web.admin.webhooks.webhook_form import WebhookForm

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")

DELIVERIES_SHOWN = 20  # deliveries on a webhook's page

RowActions(
    model=Webhook,
    enabled=lambda webhook: (
        "The webhook is enabled. "
        + ("Its receiver fetches" if webhook.is_pulled else "The next pass of cron sends")
        + " the deliveries that wait."
    ),
    disabled="The webhook is disabled. Its deliveries wait until you enable it.",
    owner_id=Delivery.webhook_id,
    delete_row=webhooks.delete,
    noun=("delivery", "deliveries"),
).add_rules(pages)
pages.register_blueprint(receiver_link_views.pages)


@pages.get("/")
def index() -> ResponseReturnValue:
    """List the webhooks and how they are doing."""
    session, now = db.session(), clock.now()
    return render_template(
        "admin/webhooks.html",
        standings=webhook_status.all_of(session, now),
        failed=bounded_counts.failed_lately(session, Delivery, now),
    )


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for a new webhook."""
    return _form(WebhookForm(key=ids.new()))


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add a webhook, and show its secret."""
    typed = WebhookForm.read()
    return responses.save(lambda: _add(typed), lambda error: _form(typed, error))


@pages.get("/<webhook_id>")
def show(webhook_id: str) -> ResponseReturnValue:
    """Show a webhook: how it is doing, its latest deliveries and its actions."""
    return _page(row_lookup.find(Webhook, webhook_id))


@pages.get("/<webhook_id>/edit")
def edit(webhook_id: str) -> ResponseReturnValue:
    """Show the form with its settings."""
    webhook = row_lookup.find(Webhook, webhook_id)
    return _form(WebhookForm.of(webhook, webhooks.template_of(db.session(), webhook)), webhook=webhook)


@pages.post("/preview")
@pages.post("/<webhook_id>/preview")
def preview(webhook_id: str | None = None) -> ResponseReturnValue:
    """Show what a new or a changed webhook would receive, or fill in a preset, without saving."""
    typed = WebhookForm.read()
    webhook = row_lookup.find(Webhook, webhook_id) if webhook_id else None
    if "fill" in request.form:
        return _form(typed.with_preset(), webhook=webhook, used_preset=typed.preset)
    return _form(typed, webhook=webhook, preview=typed.preview())


@pages.post("/<webhook_id>")
def change(webhook_id: str) -> ResponseReturnValue:
    """Change it as the form says."""
    typed = WebhookForm.read()
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            webhooks.update(session, webhook, typed.fields(), current.settings())
            url = webhook.url
    except Refused as error:
        return _form(typed, error, row_lookup.find(Webhook, webhook_id)), 422
    changed = responses.done("The webhook is changed.", ".show", webhook_id=webhook_id)
    _warn(url)
    return changed


@pages.post("/<webhook_id>/ping")
def ping(webhook_id: str) -> ResponseReturnValue:
    """Queue a ping, and show its result."""
    with writing() as session:
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        delivery_id = webhooks.ping(session, webhook, current.settings()).id
        shown = secret_pages.keep_shown(webhook)
    there = url_for(".show", webhook_id=webhook_id, ping=delivery_id, shown=shown, _anchor="ping")
    return redirect(there, 303)


@pages.post("/<webhook_id>/example")
def example(webhook_id: str) -> ResponseReturnValue:
    """Queue an example of an event, and show its delivery."""
    event = request.form.get("event", "")
    if event not in EVENTS:
        abort(422, f"There is no event {event[:60]!r}. Nothing was sent.")
    with writing() as session:
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        delivery_id = sample_delivery.store(session, webhook, event, current.settings()).id
        is_pulled = webhook.is_pulled
    sentence = (
        "The example waits until its receiver fetches it."
        if is_pulled
        else "The example goes out with the next pass of cron."
    )
    return responses.done(sentence, "admin.deliveries.show", delivery_id=delivery_id)


@pages.post("/<webhook_id>/rotate")
def rotate(webhook_id: str) -> ResponseReturnValue:
    """Use the typed secret, or a new one that it shows; a double click must not rotate it twice."""
    overlap, typed = secret_pages.overlap("keep signing"), clean_line(request.form.get("new_secret", ""))
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            if secret_pages.was_replaced(webhook):
                return responses.done(secret_pages.ALREADY_ROTATED, ".show", webhook_id=webhook_id)
            webhook_signatures.rotate_secret(session, webhook, overlap, typed)
            shown = None if typed else secret_pages.seal(webhook)
    except Refused as error:
        return _page(row_lookup.find(Webhook, webhook_id), reasons=error.fields, typed=typed), 422
    sentence = (
        "The secret is rotated." if typed else "The secret is rotated. Give the new one to the receiver."
    )
    return responses.done(sentence, ".show", webhook_id=webhook_id, shown=shown)


@pages.post("/<webhook_id>/rotate-key")
def rotate_key(webhook_id: str) -> ResponseReturnValue:
    """Rotate the key pair, whose public key its page shows; a double click must not rotate it twice."""
    overlap = secret_pages.overlap("keep signing", "key")
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            if secret_pages.key_was_replaced(webhook):
                return responses.done(secret_pages.KEY_ROTATED_ALREADY, ".show", webhook_id=webhook_id)
            webhook_signatures.rotate_key(session, webhook, overlap)
    except Refused as error:
        return _page(row_lookup.find(Webhook, webhook_id), problem=str(error)), 422
    sentence = "The key is rotated. Give the new public key to the receiver."
    return responses.done(sentence, ".show", webhook_id=webhook_id)


def _page(webhook: Webhook, **more: object) -> str:
    session, now = db.session(), clock.now()
    sent = ping_result.of(webhook, request.args.get("ping", ""), now)
    latest = lists.deliveries(session, Deliveries(webhook_id=webhook.id), limit=DELIVERIES_SHOWN).rows
    made, coming = webhook_attempts.of(session, webhook.id, now), webhook_attempts.coming(session, webhook.id)
    return render_template(
        "admin/webhook.html",
        standing=webhook_status.of(session, webhook, now),
        template=webhooks.template_of(session, webhook),
        deliveries=[row for row in latest if sent is None or row is not sent.delivery],
        made=made,
        hours=chart.draw(made.hours, chart.HOUR_LABEL, 6, chart.ATTEMPT_SEGMENTS),
        days=chart.draw(made.days, chart.DAY_LABEL, 6, chart.ATTEMPT_SEGMENTS),
        coming=coming,
        behind=comment_order.behind(session, [row.id for row in coming]),
        outlook=partial(delivery_outlook.outlook, webhook=webhook, now=now),
        ping=sent,
        secret=secret_pages.new_secret(webhook),
        overlap_end=secret_pages.overlap_end(webhook, now),
        overlaps=secret_pages.OVERLAPS,
        events=EVENTS,
        mark=secret_pages.mark(webhook),
        key_overlap_end=secret_pages.key_overlap_end(webhook, now),
        **more,
    )


def _form(
    typed: WebhookForm,
    error: Refused | None = None,
    webhook: Webhook | None = None,
    preview: PayloadPreview | None = None,
    used_preset: str = "",
) -> str:
    return render_template(
        "admin/webhook_form.html",
        typed=typed,
        reasons=error.fields if error else {},
        webhook=webhook,
        events=EVENTS,
        formats=list(FORMATS),
        formats_with_links=webhooks.FORMATS_WITH_LINKS,
        preview=preview,
        presets=rebuild_presets.REBUILD_PRESETS,
        used_preset=rebuild_presets.REBUILD_PRESETS.get(used_preset),
    )


def _add(typed: WebhookForm) -> ResponseReturnValue:
    """Add it, unless this form has added it already; the form's key is the webhook's id."""
    with writing() as session:
        webhook = session.get(Webhook, typed.key)
        sentence = "This form was sent before. It added this webhook."
        if webhook is None:
            fields, settings = typed.fields(), current.settings()
            if not typed.name:
                del fields["name"]  # then it is named after its host
            webhook = webhooks.add(session, fields, settings, row_id=typed.key, disabled=typed.disabled)
            then = "enable it" if typed.disabled else "send a ping"
            given = "public key" if webhook.sign_with == "key" else "secret"
            sentence = f"The webhook is added. Give its {given} to the receiver, then {then}."
            if fields.get("secret" if given == "secret" else "signing_key"):
                sentence = f"The webhook is added with your {given.removeprefix('public ')}. Now {then}."
            if not webhooks.is_verified(webhook):
                is_guessed = not typed.format and webhook.format in CHAT_FORMATS
                form = f" in the format {webhook.format}, as its URL suggests" if is_guessed else ""
                sentence = f"The webhook is added{form}. Now {then}."
        needs_secret = webhook.sign_with != "key" and webhooks.is_verified(webhook)
        is_shown = secret_pages.is_new(webhook) and not typed.secret and needs_secret
        shown = secret_pages.seal(webhook) if is_shown else None
        url = webhook.url
    added = responses.done(sentence, ".show", webhook_id=typed.key, shown=shown)
    _warn(url)
    return added


def _warn(url: str) -> None:
    """Show warnings about an accepted URL on the next page."""
    for warning in webhook_urls.warnings(url, current.settings()):
        flash(f"Warning: {warning}")
