"""What a receiver does: redeliver, send a ping or an example, rotate the secret. Each needs our form."""

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import sample_delivery, webhook_signatures
from guestbook.queries import webhook_status
from guestbook.storage.database import writing
from guestbook.storage.models import Webhook
from guestbook.web import current, row_lookup
from guestbook.web.admin import secret_pages
from guestbook.web.admin.deliveries.delivery_views import DELIVERY_LIST
from guestbook.web.receiver_pages import receiver_access

pages = Blueprint("actions", __name__)

DELIVERY = "receiver_pages.log.show"
ONLY_THE_KEY_SIGNS = "Nothing was changed: only a key signs this webhook, so it has no secret in use."


@pages.post("/<link_id>/deliveries/<delivery_id>/redeliver")
def redeliver(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Make one delivery due now, and say so."""
    admission = receiver_access.admit_to_act(link_id, sends=True)
    row_id = admission.delivery(delivery_id).id
    sentence = DELIVERY_LIST.requeue_row(row_id)
    return admission.done(sentence, DELIVERY, delivery_id=row_id)


@pages.post("/<link_id>/test")
def test(link_id: str) -> ResponseReturnValue:
    """Queue a ping or an example of an event, and show its delivery."""
    admission = receiver_access.admit_to_act(link_id, sends=True)
    webhook_id = admission.webhook.id
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            event = request.form.get("event", "")
            delivery_id = sample_delivery.store(session, webhook, event, current.settings()).id
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
