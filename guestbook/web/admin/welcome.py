"""The first steps with a new book: see a webhook, hear of new comments, put the book on a website.

Each step is a form that needs no scripts. Its result stands on the same page.
"""

import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from guestbook.background import whole_pass
from guestbook.background.doctor import network_checks
from guestbook.inbound import request_bins
from guestbook.lib import body_encoding, clock, validate
from guestbook.lib.errors import Refused
from guestbook.outbound import signature_explanation, webhook_urls, webhooks
from guestbook.storage import preferences, row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest, Delivery, Webhook
from guestbook.storage.models.source import BIN_PATH
from guestbook.web import request_context, translation_and_template_filters
from guestbook.web.admin import responses
from guestbook.web.admin.settings import allow_site
from guestbook.web.admin.webhooks import ping_result

pages = Blueprint("welcome", __name__, url_prefix="/welcome")

STEPS = ("webhook", "comments", "website")
FIRST_NAME = "First webhook"  # of the bin and of the webhook
SAMPLE_EVENT = "comment.created"
SEND_SECONDS = 5.0  # for which the browser waits for a test
LOOK_AGAIN = 0.1  # seconds
TYPED = {"url": "", "service": "", "embed_sites": ""}
HEADER_NOTES = {  # By the header's name in lower case.
    "host": "The server that gets it.",
    "user-agent": "The book, with its version and address.",
    "content-type": "The body is JSON.",
    "content-length": "The bytes of the body.",
    "x-guestbook-event": "What happened.",
    "x-guestbook-attempt": "1 is the first attempt. If it fails, the book tries again for days.",
    "x-guestbook-version": "The version of the body, which the webhook keeps until you change it.",
    "webhook-id": "The event. A repeat has the same id, so a receiver can drop it.",
    "webhook-timestamp": "Seconds since 1970. It is signed too, so a receiver can refuse an old message.",
    "webhook-signature": "It proves that the message is from this book, and unchanged.",
    "x-hub-signature-256": "The same proof in GitHub’s form, for receivers written for GitHub.",
}


@pages.get("/")
def show_welcome(**more: object) -> str:
    """Show the three steps, and one of them open with its form and its result."""
    step, session, now = request.args.get("step", ""), db.session(), clock.now()
    return render_template(
        "admin/welcome.html",
        step=step if step in STEPS else "",
        shown=_shown_delivery(session, now) if step == "webhook" else None,
        test=_shown_test(session, now) if step == "comments" else None,
        header_notes=HEADER_NOTES,
        services=[(name, name) for name in webhook_urls.FOR_PEOPLE],
        typed=responses.typed_lines(TYPED) if request.method == "POST" else TYPED,
        frame_title=translation_and_template_filters.title_for_sites(request_context.preferences()),
        **more,
    )


@pages.post("/webhook")
def show_webhook() -> ResponseReturnValue:
    """Send a sample comment to a bin of the book. The second time it goes to the same bin."""
    settings = request_context.settings()
    with writing() as session:
        preferences.lock(session)  # The second click of a double click finds what the first one made.
        found = _first(session)
        webhook = found[0] if found else _added_with_bin(session)
        delivery_id = webhooks.store_sample(session, webhook, settings, SAMPLE_EVENT).id
    _send_now(delivery_id)
    return redirect(url_for(".show_welcome", step="webhook", _anchor="webhook"), 303)


@pages.post("/newest")
def send_newest() -> ResponseReturnValue:
    """Send what waits, such as the owner's own first comment: perhaps there is no cron yet."""
    if newest := _newest_delivery(db.session()):
        _send_now(newest.id)
    return redirect(url_for(".show_welcome", step="webhook", _anchor="webhook"), 303)


@pages.post("/comments")
@responses.form_on(show_welcome)
def tell_of_comments() -> ResponseReturnValue:
    """Add a webhook for what was pasted, unless there is one, and send it a test."""
    typed, settings = responses.typed_lines(TYPED), request_context.settings()
    url, service = webhook_urls.read_pasted(typed["url"], typed["service"], settings)
    with writing() as session:
        preferences.lock(session)
        same = select(Webhook).where(Webhook.url == url, Webhook.format == service).limit(1)
        webhook = session.scalar(same) or webhooks.add(session, {"url": url, "format": service}, settings)
        delivery_id = webhooks.store_sample(session, webhook, settings).id
    _send_now(delivery_id)
    return redirect(url_for(".show_welcome", step="comments", test=delivery_id, _anchor="comments"), 303)


@pages.post("/website")
@responses.form_on(show_welcome)
def allow_website() -> ResponseReturnValue:
    """Let a website show the book in a frame, beside those that may do so already."""
    if not (site := responses.typed_lines(TYPED)["embed_sites"]):
        raise Refused("Write the address of your website.", field="embed_sites")
    there = url_for(".show_welcome", step="website", _anchor="website")
    undo_id = allow_site(site, there)
    responses.say(f"{' and '.join(validate.web_origins(site))} may show the book.", undo_id)
    return redirect(there, 303)


def _first(session: Session) -> tuple[Webhook, Bin] | None:
    """Return the oldest webhook in use that leads to a bin of the book, with the bin."""
    address = literal(request_context.settings().base_url + BIN_PATH).concat(Bin.token)
    used = Webhook.disabled_at.is_(None), Webhook.format == "json"
    query = select(Webhook, Bin).join(Bin, Webhook.url == address).where(*used).order_by(Webhook.id)
    row = session.execute(query.limit(1)).first()
    return (row[0], row[1]) if row else None


def _added_with_bin(session: Session) -> Webhook:
    settings = request_context.settings()
    bin_ = request_bins.add(session, {"name": row_changes.free_name(session, Bin, FIRST_NAME)})
    name = row_changes.free_name(session, Webhook, FIRST_NAME)
    return webhooks.add(session, {"url": bin_.url(settings.base_url), "name": name}, settings)


def _send_now(delivery_id: str) -> None:
    """Let a pass send what is due, for some seconds at most. If another pass is at work, wait for that."""
    until = time.monotonic() + SEND_SECONDS
    with suppress(Refused):  # Another host sends for this book.
        while _is_unsent(delivery_id) and (left := until - time.monotonic()) > 0:
            if whole_pass.run_short(request_context.settings(), left):
                return
            time.sleep(LOOK_AGAIN)


def _is_unsent(delivery_id: str) -> bool:
    db.session.remove()  # No transaction is open while a pass is at work.
    unsent = select(Delivery.id).where(Delivery.id == delivery_id, Delivery.attempts == 0)
    found = db.session.scalar(unsent) is not None
    db.session.remove()
    return found


def _newest_delivery(session: Session) -> Delivery | None:
    found = _first(session)
    mine = select(Delivery).where(Delivery.webhook_id == (found[0].id if found else None))
    return session.scalar(mine.order_by(Delivery.id.desc()).limit(1))


def _shown_delivery(session: Session, now: datetime) -> dict[str, Any] | None:
    """Return the newest delivery to the bin: how it went, how it arrived, and what proves its signature."""
    found, delivery = _first(session), _newest_delivery(session)
    if found is None or delivery is None:
        return None
    webhook, bin_ = found
    came = BinRequest.bin_id == bin_.id, BinRequest.event_id == delivery.event_id
    row = session.scalar(select(BinRequest).where(*came).order_by(BinRequest.id.desc()).limit(1))
    last = webhooks.last_attempt(session, delivery)
    return {
        "bin": bin_,
        "webhook": webhook,
        "sent": ping_result(webhook, delivery.id, now),
        "request": row,
        "body": body_encoding.views(row.kept, "application/json")[0].text if row else "",
        "check": request_bins.check_of(session, row) if row else None,
        "explanation": signature_explanation.of(delivery, webhook, last, now),
    }


def _shown_test(session: Session, now: datetime) -> dict[str, Any] | None:
    """Return the test that the address names, with its webhook, and what helps if it failed."""
    delivery = session.get(Delivery, request.args.get("test", "")[:32])
    webhook = session.get(Webhook, delivery.webhook_id) if delivery else None
    if delivery is None or webhook is None:
        return None
    sent = ping_result(webhook, delivery.id, now)
    failed = delivery.status != "processed" and delivery.last_error
    return {"webhook": webhook, "sent": sent, "advice": network_checks.advice_for(failed) if failed else ""}
