"""The webhooks at the desk: add, change, try, and see how they are doing."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook import browse, clock, desk, ids, standing
from guestbook.browse import Deliveries
from guestbook.database import db, writing
from guestbook.formats import FORMATS
from guestbook.models import Delivery, Webhook
from guestbook.refusal import Refused
from guestbook.text import counted
from guestbook.web import common
from guestbook.web.admin import actions, its_secret, undo, webhook_ping, webhook_preview
from guestbook.web.admin.webhook_form import EVENTS, Typed
from guestbook.web.admin.webhook_preview import Preview

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")

CHATS = FORMATS.keys() - {"json", "template"}
LATEST = 20  # deliveries on a webhook's page


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them, and how they are doing."""
    session, now = db.session(), clock.now()
    return render_template(
        "admin/webhooks.html",
        standings=standing.all_of(session, now),
        failed=browse.failed_lately(session, Delivery, now),
    )


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for another one."""
    return _form(Typed(key=ids.new()))


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add one, and show its secret."""
    typed = Typed.read()
    return actions.add(lambda: _add(typed), lambda error: _form(typed, error))


@pages.post("/preview")
def preview_new() -> ResponseReturnValue:
    """Show what another one would be sent, and add nothing."""
    typed = Typed.read()
    return _form(typed, preview=webhook_preview.of(typed))


@pages.get("/<webhook_id>")
def show(webhook_id: str) -> ResponseReturnValue:
    """Show one: how it is doing, its latest deliveries, what can be done."""
    webhook = common.find(Webhook, webhook_id)
    session, now = db.session(), clock.now()
    sent = webhook_ping.of(webhook, request.args.get("ping", ""), now)
    latest = browse.deliveries(session, Deliveries(webhook_id=webhook.id), limit=LATEST).rows
    return render_template(
        "admin/webhook.html",
        standing=standing.of(session, webhook, now),
        template=desk.template_of(session, webhook),
        deliveries=[row for row in latest if sent is None or row is not sent.delivery],
        ping=sent,
        secret=its_secret.just_made(webhook),
        overlap_end=its_secret.overlap_end(webhook, now),
        overlaps=its_secret.OVERLAPS,
        mark=its_secret.mark(webhook),
    )


@pages.get("/<webhook_id>/edit")
def edit(webhook_id: str) -> ResponseReturnValue:
    """Show the form with what is set."""
    webhook = common.find(Webhook, webhook_id)
    return _form(Typed.of(webhook, desk.template_of(db.session(), webhook)), webhook=webhook)


@pages.post("/<webhook_id>/preview")
def preview(webhook_id: str) -> ResponseReturnValue:
    """Show what it would be sent, and change nothing."""
    typed = Typed.read()
    return _form(typed, webhook=common.find(Webhook, webhook_id), preview=webhook_preview.of(typed))


@pages.post("/<webhook_id>")
def change(webhook_id: str) -> ResponseReturnValue:
    """Change it as the form says."""
    typed = Typed.read()
    try:
        with writing() as session:
            webhook = common.hold(Webhook, webhook_id)
            desk.update(session, webhook, typed.fields(), common.settings())
            url = webhook.url
    except Refused as error:
        return _form(typed, error, common.find(Webhook, webhook_id)), 422
    changed = actions.done("The webhook is changed.", "admin.webhooks.show", webhook_id=webhook_id)
    _warn(url)
    return changed


@pages.post("/<webhook_id>/enable")
def enable(webhook_id: str) -> ResponseReturnValue:
    """Send to it again, also before a pause is over."""
    with writing():
        webhook = common.hold(Webhook, webhook_id)
        webhook.enable()
        shown = its_secret.still_shown(webhook)
    sentence = "The webhook is enabled. What waits for it goes out with the next pass of cron."
    return actions.done(sentence, "admin.webhooks.show", webhook_id=webhook_id, shown=shown)


@pages.post("/<webhook_id>/disable")
def disable(webhook_id: str) -> ResponseReturnValue:
    """Send nothing more to it."""
    with writing() as session:
        webhook = common.hold(Webhook, webhook_id)
        was_enabled = webhook.disabled_at is None
        webhook.disable(clock.now(), "by_hand")
        back = url_for("admin.webhooks.show", webhook_id=webhook_id)
        undo_id = undo.of_disabling(session, webhook, back) if was_enabled else None
    sentence = "The webhook is disabled. Its deliveries wait until it is enabled again."
    return actions.done(sentence, "admin.webhooks.show", undo=undo_id, webhook_id=webhook_id)


@pages.post("/<webhook_id>/ping")
def ping(webhook_id: str) -> ResponseReturnValue:
    """Queue a ping, and show what becomes of it."""
    with writing() as session:
        webhook = common.hold(Webhook, webhook_id)
        delivery_id = desk.ping(session, webhook, common.settings()).id
        shown = its_secret.still_shown(webhook)
    there = url_for(".show", webhook_id=webhook_id, ping=delivery_id, shown=shown, _anchor="ping")
    return redirect(there, 303)


@pages.post("/<webhook_id>/rotate")
def rotate(webhook_id: str) -> ResponseReturnValue:
    """Make a new secret, and show it. The second click of two would end the one that the receiver has."""
    overlap = its_secret.overlap("go on signing")
    with writing() as session:
        webhook = common.find(Webhook, webhook_id)
        session.refresh(webhook, with_for_update={"key_share": True})
        if its_secret.was_replaced(webhook):
            return actions.done(its_secret.REPLACED_BEFORE, "admin.webhooks.show", webhook_id=webhook_id)
        webhook.rotate_secret(clock.now(), overlap)
        shown = its_secret.seal(webhook)
    sentence = "There is a new secret. Give it to the receiver."
    return actions.done(sentence, "admin.webhooks.show", webhook_id=webhook_id, shown=shown)


@pages.get("/<webhook_id>/secret")
def secret(webhook_id: str) -> ResponseReturnValue:
    """Ask for the password before the secret is shown."""
    return its_secret.ask(Webhook, webhook_id, "admin/webhook_secret.html")


@pages.post("/<webhook_id>/secret")
def reveal(webhook_id: str) -> ResponseReturnValue:
    """Show the secret to who knows the password."""
    return its_secret.reveal(Webhook, webhook_id, "admin/webhook_secret.html")


@pages.get("/<webhook_id>/delete")
def before_delete(webhook_id: str) -> ResponseReturnValue:
    """Say what goes with it."""
    webhook = common.find(Webhook, webhook_id)
    count = browse.count(db.session(), Deliveries(webhook_id=webhook.id))
    return render_template("admin/webhook_delete.html", webhook=webhook, count=count)


@pages.post("/<webhook_id>/delete")
def delete(webhook_id: str) -> ResponseReturnValue:
    """Delete it with all its deliveries."""
    name = common.find(Webhook, webhook_id).name
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = desk.delete(db.engine, webhook_id)
    sentence = f"“{name}” is deleted, and {counted(count, 'delivery', 'deliveries')} with it."
    return actions.done(sentence, "admin.webhooks.index")


def _form(
    typed: Typed,
    error: Refused | None = None,
    webhook: Webhook | None = None,
    preview: Preview | None = None,
) -> str:
    return render_template(
        "admin/webhook_form.html",
        typed=typed,
        reasons=error.fields if error else {},
        webhook=webhook,
        events=EVENTS,
        formats=list(FORMATS),
        preview=preview,
    )


def _add(typed: Typed) -> ResponseReturnValue:
    """Add it, unless this very form has done so before; its key is the webhook's id."""
    with writing() as session:
        webhook = session.get(Webhook, typed.key)
        sentence = "This form was sent before; here is the webhook that it added."
        if webhook is None:
            fields, settings = typed.fields(), common.settings()
            if not typed.name:
                del fields["name"]  # the desk calls it as its host
            webhook = desk.add(session, fields, settings, row_id=typed.key, disabled=typed.disabled)
            then = "enable it" if typed.disabled else "send a ping"
            sentence = f"The webhook is added. Give its secret to the receiver, then {then}."
            if not typed.format and webhook.format in CHATS:
                sentence = (
                    f"The webhook is added in the format {webhook.format}, as its URL suggests. Now {then}."
                )
        shown = its_secret.seal(webhook) if its_secret.is_new(webhook) else None
        url = webhook.url
    added = actions.done(sentence, "admin.webhooks.show", webhook_id=typed.key, shown=shown)
    _warn(url)
    return added


def _warn(url: str) -> None:
    """Say on the next page what is doubtful about a URL that was taken."""
    for warning in desk.warnings(url, common.settings()):
        flash(f"Warning: {warning}")
