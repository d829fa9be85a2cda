"""What a receiver does: redeliver, send a test, rotate the secret or key. Each needs our form."""

from datetime import datetime

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import webhook_signatures, webhooks
from guestbook.queries import webhook_status
from guestbook.queue import redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import secret_pages
from guestbook.web.admin.deliveries import DELIVERY_LIST
from guestbook.web.receiver_pages import receiver_access
from guestbook.web.receiver_pages.receiver_access import NoAdmission

pages = Blueprint("actions", __name__)

DELIVERY = "receiver_pages.log.show"
LONGEST_TIME = 40  # characters that can be a time; the sentence about another text repeats it
PERIODS = {"1h": "hour", "6h": "6 hours", "24h": "24 hours", "3d": "3 days", "7d": "7 days", "30d": "30 days"}
ONLY_THE_KEY_SIGNS = "Nothing was changed: only a key signs this webhook, so it has no secret in use."


@pages.post("/<link_id>/deliveries/<delivery_id>/redeliver")
def redeliver(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Make one delivery due now, and say so."""
    admission = receiver_access.admit_to_act(link_id, sends=True)
    row_id = admission.delivery(delivery_id).id
    sentence = DELIVERY_LIST.requeue_row(row_id)
    return admission.done(sentence, DELIVERY, delivery_id=row_id)


@pages.get("/<link_id>/redeliver")
def ask_redelivery(link_id: str) -> ResponseReturnValue:
    """Say how many deliveries it would be that were given up lately, before anything happens."""
    admission = receiver_access.admit(link_id)
    if admission.webhook.disabled_at:
        raise NoAdmission("disabled")
    since = _since()
    which = admission.deliveries("failed", since).condition()
    parts = redelivery.forecast(db.session(), Delivery, which, clock.now())
    return receiver_access.page("redeliver", admission, part=parts[0] if parts else None, since=since)


@pages.post("/<link_id>/redeliver")
def redeliver_failed(link_id: str) -> ResponseReturnValue:
    """Make all deliveries due now that were given up since a time, and say how many."""
    admission = receiver_access.admit_to_act(link_id, sends=True)
    sentence = DELIVERY_LIST.requeue_all(admission.deliveries("failed", _since()).condition())
    return admission.done(sentence)


@pages.post("/<link_id>/test")
def test(link_id: str) -> ResponseReturnValue:
    """Queue a ping or an example of an event, and show its delivery."""
    admission = receiver_access.admit_to_act(link_id, sends=True)
    webhook_id = admission.webhook.id
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            event = request.form.get("event", "")
            delivery_id = webhooks.store_sample(session, webhook, request_context.settings(), event).id
            what = "ping" if event == "ping" else "example"
            hindrance = webhook_status.hindrance(webhook, clock.now(), what)
    except Refused as error:
        abort(422, str(error))
    return admission.done(hindrance or "The next pass sends it.", DELIVERY, delivery_id=delivery_id)


@pages.post("/<link_id>/rotate")
def rotate(link_id: str) -> ResponseReturnValue:
    """Rotate the secret and show the new one; a double click must not rotate it twice."""
    admission = receiver_access.admit_to_act(link_id, sends=False)
    webhook_id, overlap = admission.webhook.id, secret_pages.overlap("keep signing")
    with writing() as session:
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        if webhook.sign_with == "key":
            abort(422, ONLY_THE_KEY_SIGNS)
        if secret_pages.was_replaced(webhook):
            return admission.done(secret_pages.ALREADY_ROTATED)
        webhook_signatures.rotate_secret(session, webhook, overlap)
        shown = secret_pages.seal(webhook, admission.cookie.form_key)
    return admission.done("The secret is rotated. Give the new one to your receiver.", shown=shown)


@pages.post("/<link_id>/rotate-key")
def rotate_key(link_id: str) -> ResponseReturnValue:
    """Rotate the key pair, whose public key the page shows; a double click must not rotate it twice."""
    admission = receiver_access.admit_to_act(link_id, sends=False)
    webhook_id, overlap = admission.webhook.id, secret_pages.overlap("keep signing", "key")
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            if secret_pages.key_was_replaced(webhook):
                return admission.done(secret_pages.KEY_ROTATED_ALREADY)
            webhook_signatures.rotate_key(session, webhook, overlap)
    except Refused as error:
        abort(422, str(error))
    return admission.done("The key is rotated. Give the new public key to your receiver.")


def _since() -> datetime:
    """Read a period such as `24h`, or a time; 422 for anything else."""
    try:
        return clock.typed(request.values.get("since", "")[:LONGEST_TIME])
    except ValueError as error:
        abort(422, f"Nothing was changed. {error}")
