"""The page of a webhook's receiver: its log, redelivery, tests and its secret, by a link of the owner's.

It shows one webhook alone, and nothing of the admin pages: no hidden header, no note to the owner, no link to
moderate, no secret URL. Opening it changes nothing; each action needs our form. First come the log, the
deliveries with their attempts and how to verify them, then the actions, then what of a payload is shown.
"""

import json
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from guestbook.lib import clock, redaction
from guestbook.lib.errors import Refused
from guestbook.lib.signed_links import RECEIVER_PATH
from guestbook.outbound import webhook_signatures, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import ADDRESSED, CHAT_FORMATS
from guestbook.queries import filtered_lists, webhook_status
from guestbook.queue import erasure, redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Delivery, Hold, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES
from guestbook.web import receiver_access, request_context, response_headers, row_lookup
from guestbook.web.admin import responses, row_actions, signatures
from guestbook.web.admin.queue import DELIVERY_LIST, delivery_facts
from guestbook.web.receiver_access import NoAdmission

pages = Blueprint("receiver_pages", __name__, url_prefix=RECEIVER_PATH)
pages.register_error_handler(NoAdmission, receiver_access.closed)


@pages.get("/<receiver_token>")
def open_link(receiver_token: str) -> ResponseReturnValue:
    """Exchange a link for a cookie, and lead to the page."""
    return receiver_access.exchange(receiver_token)


@pages.get("/<link_id>/")
def index(link_id: str) -> ResponseReturnValue:
    """Show how the webhook is doing and its deliveries, newest first, and offer its actions."""
    admission = receiver_access.admit(link_id)
    session, now, webhook = db.session(), clock.now(), admission.webhook
    status = request.args.get("status", "")
    wanted = admission.deliveries(status if status in QUEUE_STATUSES else None)
    found = filtered_lists.deliveries(session, wanted, response_headers.page_before())
    kept = {"status": wanted.status} if wanted.status else {}
    return receiver_access.page(
        "log",
        admission,
        standing=webhook_status.of(session, webhook, now),
        url=redaction.url(webhook.url),
        page=found,
        wanted=wanted,
        statuses=DELIVERY_LIST.statuses,
        events=EVENTS,
        periods=PERIODS,
        **row_actions.secret_facts(webhook, now, admission.cookie.form_key),
        **response_headers.page_links(found.older, link_id=link_id, **kept),
    )


@pages.get("/<link_id>/deliveries/<delivery_id>/")
def show(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    admission = receiver_access.admit(link_id)
    delivery = admission.delivery(delivery_id)
    return receiver_access.page(
        "delivery",
        admission,
        withheld=withheld(db.session(), delivery, admission.webhook),
        **delivery_facts(delivery, admission.webhook, clock.now()),
    )


@pages.get("/<link_id>/deliveries/<delivery_id>/payload")
def payload(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Return the exact bytes that are sent."""
    admission = receiver_access.admit(link_id)
    delivery = admission.delivery(delivery_id)
    if withheld(db.session(), delivery, admission.webhook):
        abort(404)
    return responses.download(delivery.body, f"{delivery.id}.json")


@pages.get("/<link_id>/deliveries/<delivery_id>/verify")
def verify(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show how its signature is made, step by step, with programs that verify it."""
    admission = receiver_access.admit(link_id)
    delivery, webhook = admission.delivery(delivery_id), admission.webhook
    attempt = webhooks.last_attempt(db.session(), delivery)
    explained = signatures.of(delivery, webhook, attempt, clock.now())
    why = (
        erasure.DELIVERY_ERASED if delivery.erased_at else withheld(db.session(), delivery, admission.webhook)
    )
    return receiver_access.page(
        "signature",
        admission,
        delivery=delivery,
        attempt=attempt,
        explanation=None if why else explained,
        withheld=why,
    )


DELIVERY = "receiver_pages.show"
LONGEST_TIME = 40  # characters
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
    webhook_id, overlap = admission.webhook.id, row_actions.overlap("keep signing")
    with writing() as session:
        webhook = row_lookup.find_locked(Webhook, webhook_id)
        if webhook.sign_with == "key":
            abort(422, ONLY_THE_KEY_SIGNS)
        if row_actions.was_replaced(webhook):
            return admission.done(row_actions.ALREADY_ROTATED)
        webhook_signatures.rotate_secret(session, webhook, overlap)
        shown = row_actions.seal(webhook, admission.cookie.form_key)
    return admission.done("The secret is rotated. Give the new one to your receiver.", shown=shown)


@pages.post("/<link_id>/rotate-key")
def rotate_key(link_id: str) -> ResponseReturnValue:
    """Rotate the key pair, whose public key the page shows; a double click must not rotate it twice."""
    admission = receiver_access.admit_to_act(link_id, sends=False)
    webhook_id, overlap = admission.webhook.id, row_actions.overlap("keep signing", "key")
    try:
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            if row_actions.key_was_replaced(webhook):
                return admission.done(row_actions.KEY_ROTATED_ALREADY)
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


WITHHELD = (
    "Not shown here: messages of this webhook may have notes to the owner of the book, links to moderate,"
    " or a part of its URL."
)
OWN_WORDING = (*CHAT_FORMATS, "template")  # Their messages may say a note or a link in any way.


def withheld(session: Session, delivery: Delivery, webhook: Webhook) -> str | None:
    """Return why the payload is not shown, if it is not."""
    return WITHHELD if _may_be_for_owner(session, delivery, webhook) else None


def _may_be_for_owner(session: Session, delivery: Delivery, webhook: Webhook) -> bool:
    """Whether the payload may have what is meant for the owner alone; a receiver may repeat it."""
    payload = delivery.body.decode(errors="replace")
    if webhook.moderation_links_since or webhook.format in ADDRESSED:
        return True
    if redaction.addresses(payload) != payload or _has_more(body := _read(payload)):
        return True
    comment = session.get(Comment, delivery.comment_id) if delivery.comment_id else None
    note = comment.note if comment else None
    if webhook.format in OWN_WORDING or not _part(body, "data"):  # The format may have changed.
        return bool(note) or _may_have_more(session, delivery)
    return any(one in payload for one in _spellings(note)) if note else False


def _read(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _has_more(body: Any) -> bool:
    """Whether a body in the format json has the data for the owner, as it was when the event happened."""
    data = _part(body, "data")
    waiting = _part(data, "waiting").get("comments")
    held = waiting if isinstance(waiting, list) else []
    links = [one for one in (data, *held) if isinstance(one, dict) and "moderation" in one]
    return "note" in _part(data, "comment") or bool(links)


def _part(whole: Any, name: str) -> dict[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def _may_have_more(session: Session, delivery: Delivery) -> bool:
    """Whether nobody can know any more that the event had no data for the owner."""
    if delivery.event == "comments.waiting":
        return True
    if delivery.comment_id is None:
        return delivery.sequence is not None  # The comment is deleted, and its note with it.
    return delivery.event == "comment.created" and session.get(Hold, delivery.comment_id) is not None


def _spellings(note: str) -> set[str]:
    """Return how the note may stand in a payload."""
    return {note, *(json.dumps(note, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))}
