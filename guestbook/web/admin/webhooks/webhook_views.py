"""The webhooks: add, change, try, and see how they are doing."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import webhooks
from guestbook.outbound.formats import FORMATS
from guestbook.queries import listing, webhook_status
from guestbook.queries.listing import Deliveries
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, Webhook
from guestbook.web import current, row_lookup
from guestbook.web.admin import responses, secret_pages, undo
from guestbook.web.admin.webhooks import payload_preview, ping_result
from guestbook.web.admin.webhooks.payload_preview import PayloadPreview
from guestbook.web.admin.webhooks.webhook_form import EVENT_MEANINGS, WebhookForm

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")

CHAT_FORMATS = FORMATS.keys() - {"json", "template"}
DELIVERIES_SHOWN = 20  # deliveries on a webhook's page


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them, and how they are doing."""
    session, now = db.session(), clock.now()
    return render_template(
        "admin/webhooks.html",
        standings=webhook_status.all_of(session, now),
        failed=listing.failed_lately(session, Delivery, now),
    )


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for another one."""
    return _form(WebhookForm(key=ids.new()))


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add one, and show its secret."""
    typed = WebhookForm.read()
    return responses.add(lambda: _add(typed), lambda error: _form(typed, error))


@pages.post("/preview")
def preview_new() -> ResponseReturnValue:
    """Show what another one would be sent, and add nothing."""
    typed = WebhookForm.read()
    return _form(typed, preview=payload_preview.of(typed))


@pages.get("/<webhook_id>")
def show(webhook_id: str) -> ResponseReturnValue:
    """Show one: how it is doing, its latest deliveries, what can be done."""
    webhook = row_lookup.find(Webhook, webhook_id)
    session, now = db.session(), clock.now()
    sent = ping_result.of(webhook, request.args.get("ping", ""), now)
    latest = listing.deliveries(session, Deliveries(webhook_id=webhook.id), limit=DELIVERIES_SHOWN).rows
    return render_template(
        "admin/webhook.html",
        standing=webhook_status.of(session, webhook, now),
        template=webhooks.template_of(session, webhook),
        deliveries=[row for row in latest if sent is None or row is not sent.delivery],
        ping=sent,
        secret=secret_pages.just_made(webhook),
        overlap_end=secret_pages.overlap_end(webhook, now),
        overlaps=secret_pages.OVERLAPS,
        mark=secret_pages.mark(webhook),
    )


@pages.get("/<webhook_id>/edit")
def edit(webhook_id: str) -> ResponseReturnValue:
    """Show the form with what is set."""
    webhook = row_lookup.find(Webhook, webhook_id)
    return _form(WebhookForm.of(webhook, webhooks.template_of(db.session(), webhook)), webhook=webhook)


@pages.post("/<webhook_id>/preview")
def preview(webhook_id: str) -> ResponseReturnValue:
    """Show what it would be sent, and change nothing."""
    typed = WebhookForm.read()
    return _form(typed, webhook=row_lookup.find(Webhook, webhook_id), preview=payload_preview.of(typed))


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
    changed = responses.done("The webhook is changed.", "admin.webhooks.show", webhook_id=webhook_id)
    _warn(url)
    return changed


@pages.post("/<webhook_id>/enable")
def enable(webhook_id: str) -> ResponseReturnValue:
    """Send to it again, also before a pause is over."""
    with writing():
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        webhook.enable()
        shown = secret_pages.still_shown(webhook)
    sentence = "The webhook is enabled. What waits for it goes out with the next pass of cron."
    return responses.done(sentence, "admin.webhooks.show", webhook_id=webhook_id, shown=shown)


@pages.post("/<webhook_id>/disable")
def disable(webhook_id: str) -> ResponseReturnValue:
    """Send nothing more to it."""
    with writing() as session:
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        was_enabled = webhook.disabled_at is None
        webhook.disable(clock.now(), "by_hand")
        back = url_for("admin.webhooks.show", webhook_id=webhook_id)
        undo_id = undo.of_disabling(session, webhook, back) if was_enabled else None
    sentence = "The webhook is disabled. Its deliveries wait until it is enabled again."
    return responses.done(sentence, "admin.webhooks.show", undo=undo_id, webhook_id=webhook_id)


@pages.post("/<webhook_id>/ping")
def ping(webhook_id: str) -> ResponseReturnValue:
    """Queue a ping, and show what becomes of it."""
    with writing() as session:
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        delivery_id = webhooks.ping(session, webhook, current.settings()).id
        shown = secret_pages.still_shown(webhook)
    there = url_for(".show", webhook_id=webhook_id, ping=delivery_id, shown=shown, _anchor="ping")
    return redirect(there, 303)


@pages.post("/<webhook_id>/rotate")
def rotate(webhook_id: str) -> ResponseReturnValue:
    """Make a new secret, and show it. The second click of two would end the one that the receiver has."""
    overlap = secret_pages.overlap("go on signing")
    with writing() as session:
        webhook = row_lookup.find(Webhook, webhook_id)
        session.refresh(webhook, with_for_update={"key_share": True})
        if secret_pages.was_replaced(webhook):
            return responses.done(secret_pages.REPLACED_BEFORE, "admin.webhooks.show", webhook_id=webhook_id)
        webhook.rotate_secret(clock.now(), overlap)
        shown = secret_pages.seal(webhook)
    sentence = "There is a new secret. Give it to the receiver."
    return responses.done(sentence, "admin.webhooks.show", webhook_id=webhook_id, shown=shown)


@pages.get("/<webhook_id>/secret")
def secret(webhook_id: str) -> ResponseReturnValue:
    """Ask for the password before the secret is shown."""
    return secret_pages.ask(Webhook, webhook_id, "admin/webhook_secret.html")


@pages.post("/<webhook_id>/secret")
def reveal(webhook_id: str) -> ResponseReturnValue:
    """Show the secret to who knows the password."""
    return secret_pages.reveal(Webhook, webhook_id, "admin/webhook_secret.html")


@pages.get("/<webhook_id>/delete")
def before_delete(webhook_id: str) -> ResponseReturnValue:
    """Say what goes with it."""
    webhook = row_lookup.find(Webhook, webhook_id)
    count = listing.count(db.session(), Deliveries(webhook_id=webhook.id))
    return render_template("admin/webhook_delete.html", webhook=webhook, count=count)


@pages.post("/<webhook_id>/delete")
def delete(webhook_id: str) -> ResponseReturnValue:
    """Delete it with all its deliveries."""
    name = row_lookup.find(Webhook, webhook_id).name
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = webhooks.delete(db.engine, webhook_id)
    sentence = f"“{name}” is deleted, and {counted(count, 'delivery', 'deliveries')} with it."
    return responses.done(sentence, "admin.webhooks.index")


def _form(
    typed: WebhookForm,
    error: Refused | None = None,
    webhook: Webhook | None = None,
    preview: PayloadPreview | None = None,
) -> str:
    return render_template(
        "admin/webhook_form.html",
        typed=typed,
        reasons=error.fields if error else {},
        webhook=webhook,
        events=EVENT_MEANINGS,
        formats=list(FORMATS),
        preview=preview,
    )


def _add(typed: WebhookForm) -> ResponseReturnValue:
    """Add it, unless this very form has done so before; its key is the webhook's id."""
    with writing() as session:
        webhook = session.get(Webhook, typed.key)
        sentence = "This form was sent before; here is the webhook that it added."
        if webhook is None:
            fields, settings = typed.fields(), current.settings()
            if not typed.name:
                del fields["name"]  # then it is named after its host
            webhook = webhooks.add(session, fields, settings, row_id=typed.key, disabled=typed.disabled)
            then = "enable it" if typed.disabled else "send a ping"
            sentence = f"The webhook is added. Give its secret to the receiver, then {then}."
            if not typed.format and webhook.format in CHAT_FORMATS:
                sentence = (
                    f"The webhook is added in the format {webhook.format}, as its URL suggests. Now {then}."
                )
        shown = secret_pages.seal(webhook) if secret_pages.is_new(webhook) else None
        url = webhook.url
    added = responses.done(sentence, "admin.webhooks.show", webhook_id=typed.key, shown=shown)
    _warn(url)
    return added


def _warn(url: str) -> None:
    """Say on the next page what is doubtful about a URL that was taken."""
    for warning in webhooks.warnings(url, current.settings()):
        flash(f"Warning: {warning}")
