"""The page of a webhook's receiver: its log, redelivery, tests and its secret, by a link of the owner's.

It shows one webhook alone, and nothing of the admin pages: no hidden header, no note to the owner, no link to
moderate, no secret URL. Opening it changes nothing; each action needs our form.

A cookie takes the place of the link, whose address is a secret that no later request has to carry. It is for
the pages of that link alone, and ends after some hours. Its random part is in the forms, signed, so no other
site can send them. First comes who may see the pages, then the log, the deliveries with their attempts and
how to verify them, then the actions, then what of a payload is shown.
"""

import json
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import clock, redaction, signed_links
from guestbook.lib.errors import Refused
from guestbook.lib.signed_links import RECEIVER, RECEIVER_PATH
from guestbook.outbound import signature_explanation, webhook_signatures, webhooks
from guestbook.outbound.formats import ADDRESSED, CHAT_FORMATS
from guestbook.queries import webhook_status
from guestbook.queries.filtered_lists import Deliveries
from guestbook.queue import deleted_comments, redelivery
from guestbook.storage import audit_log, row_changes
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, Hold, ReceiverLink, Webhook
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import responses, row_actions
from guestbook.web.admin.queue import DELIVERY_LIST, EVENT_CHOICES, delivery_facts
from guestbook.web.error_pages import PageExpired

pages = Blueprint("receiver", __name__, url_prefix=RECEIVER_PATH)

RECEIVER_COOKIE = "guestbook_receiver"
COOKIE_LASTS = timedelta(hours=12)
LOG, DELIVERY = "receiver.index", "receiver.show"
MOST_ACTIONS = 30  # All who have a link to one webhook share them.
ACTIONS_WITHIN = timedelta(minutes=10)
TOO_MANY_ACTIONS = (
    f"Nothing was done: at most {MOST_ACTIONS} actions are possible here in ten minutes. "
    "Please try again later."
)
CLOSED_TEXTS = {  # why the pages stay closed → status, title and sentence
    "broken": (
        404,
        "This link does not work",
        "It is incomplete or was changed. Open it from the message again, or ask the owner of the book for a "
        "new one.",
    ),
    "no_cookie": (
        403,
        "Open your link again",
        "This page stays open for 12 hours after you open its link, in the same browser. The browser must "
        "accept a cookie from here. Nothing was changed.",
    ),
    "expired": (410, "This link has expired", "Ask the owner of the book for a new one."),
    "revoked": (410, "This link was revoked", "Ask the owner of the book if you still need one."),
    "deleted": (410, "This webhook was deleted", "Its log was deleted too, and nothing more is sent."),
    "disabled": (
        403,
        "This webhook is disabled",
        "Nothing was changed, because nothing is sent while it is disabled. Ask the owner of the book to "
        "enable it.",
    ),
}


class NoAdmission(Exception):
    """The pages stay closed; the argument is a key of CLOSED_TEXTS."""


class Admission(NamedTuple):
    """A browser that may see the pages of one webhook, with the random part of its cookie."""

    nonce: str
    link: ReceiverLink
    webhook: Webhook

    def deliveries(self, status: str | None = None, since: datetime | None = None) -> Deliveries:
        """Return which deliveries the pages show: none from before a change of the webhook's URL or format.

        Those may have been for other people, and have a part of the old URL.
        """
        moments = [moment for moment in (since, self.webhook.moved_at) if moment]
        return Deliveries(webhook_id=self.webhook.id, status=status, since=max(moments, default=None))

    def delivery(self, delivery_id: str) -> Delivery:
        """Return a delivery that the pages show; 404 for any other."""
        found = row_lookup.find(Delivery, delivery_id)
        shown = self.deliveries().condition() & (Delivery.id == found.id)
        return found if db.session.scalar(select(Delivery.id).where(shown)) else abort(404)

    def page(self, template: str, **more: object) -> str:
        """Return a page with what all of them show."""
        match _unsigned("said", request.args.get("said", "")):
            case [str(nonce), str(sentence)] if nonce == self.nonce:
                more["said"] = sentence
        form_key = _serializer("form").dumps(self.nonce)
        facts = {"link": self.link, "webhook": self.webhook, "form_key": form_key}
        return render_template(f"receiver/{template}.html", **facts, **more)

    def done(self, sentence: str, endpoint: str = LOG, **values: str) -> ResponseReturnValue:
        """Redirect to a page that says what was done."""
        said = str(_serializer("said").dumps([self.nonce, sentence]))
        address: dict[str, Any] = {"link_id": self.link.id, "said": said, **values}
        return redirect(url_for(endpoint, **address), 303)


def _serializer(what: str) -> URLSafeSerializer:
    return URLSafeSerializer(request_context.settings().signing_keys, salt=f"guestbook receiver {what}")


def _unsigned(what: str, value: str) -> Any:
    """Return what we have signed; None if the value is not ours."""
    with suppress(BadData, UnicodeError):
        return _serializer(what).loads(value)
    return None


def _admitted(link_id: str) -> Admission:
    """Let a browser in that has opened the link, as long as the link works; raises NoAdmission."""
    now, cookie = clock.now(), _unsigned("cookie", request.cookies.get(RECEIVER_COOKIE, ""))
    mine, nonce, given = cookie or ("", "", 0)
    # Two servers have two clocks.
    if mine != link_id or abs(now.timestamp() - given) > COOKIE_LASTS.total_seconds():
        raise NoAdmission("no_cookie")
    link, webhook = _working(link_id)
    if row_changes.note_use(db.session(), link, now):
        link, webhook = _working(link_id)
    audit_log.act_as(Actor("receiver", link.id, link.name))
    return Admission(nonce, link, webhook)


def _admitted_to_act(link_id: str, *, sends: bool) -> Admission:
    """Let a sent form in, and count it: 429 after too many. With `sends` the webhook must be enabled."""
    admission = _admitted(link_id)
    if _unsigned("form", request.form.get("form_key", "")) != admission.nonce:
        raise PageExpired
    if sends and admission.webhook.disabled_at:
        raise NoAdmission("disabled")
    what = f"receiver of {admission.webhook.id}"
    row_lookup.limit_requests(what, most=MOST_ACTIONS, within=ACTIONS_WITHIN, sentence=TOO_MANY_ACTIONS)
    return _admitted(link_id)  # Counting has ended the transaction.


def _working(link_id: str, expires_at: datetime | None = None) -> tuple[ReceiverLink, Webhook]:
    """Return a link that works with its webhook; a row that is gone was deleted, or expired long ago."""
    now = clock.now()
    link = db.session.get(ReceiverLink, link_id)
    webhook = db.session.get(Webhook, link.webhook_id) if link else None
    if link is None or webhook is None:
        raise NoAdmission("expired" if expires_at and expires_at <= now else "deleted")
    if (state := link.state(now)) != "works":
        raise NoAdmission(state)
    return link, webhook


@pages.errorhandler(NoAdmission)
def closed(error: NoAdmission) -> ResponseReturnValue:
    """Say why the pages stay closed."""
    status, title, sentence = CLOSED_TEXTS[error.args[0]]
    return render_template("receiver/closed.html", title=title, sentence=sentence), status


@pages.get("/<receiver_token>")
def open_link(receiver_token: str) -> ResponseReturnValue:
    """Give the browser a cookie in place of a link that works, and lead it to the page."""
    signed = signed_links.read(receiver_token, RECEIVER, request_context.settings().secret_keys, times=1)
    if signed is None:
        row_lookup.count_wrong_link(RECEIVER)
        raise NoAdmission("broken")
    link_id, [expires_at] = signed
    _working(link_id, expires_at)
    value = _serializer("cookie").dumps([link_id, secrets.token_urlsafe(16), int(clock.now().timestamp())])
    answer, below = redirect(url_for(LOG, link_id=link_id), 303), f"{RECEIVER_PATH}/{link_id}"
    response_headers.set_cookie(answer, RECEIVER_COOKIE, str(value), COOKIE_LASTS.total_seconds(), below)
    return answer


@pages.get("/<link_id>/")
def index(link_id: str) -> ResponseReturnValue:
    """Show how the webhook is doing and its deliveries, newest first, and offer its actions."""
    admission = _admitted(link_id)
    session, now, webhook = db.session(), clock.now(), admission.webhook
    status = request.args.get("status", "")
    wanted = admission.deliveries(status if status in Deliveries.statuses() else None)
    found = wanted.page(session, response_headers.page_before())
    kept = {"status": wanted.status} if wanted.status else {}
    return admission.page(
        "log",
        standing=webhook_status.of(session, webhook, now),
        url=redaction.url(webhook.url),
        page=found,
        wanted=wanted,
        statuses=DELIVERY_LIST.statuses,
        event_choices=EVENT_CHOICES,
        periods=PERIODS,
        **row_actions.secret_facts(webhook, now, admission.nonce),
        **response_headers.page_links(found.older, link_id=link_id, **kept),
    )


@pages.get("/<link_id>/deliveries/<delivery_id>/")
def show(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its payload and every attempt."""
    admission = _admitted(link_id)
    delivery = admission.delivery(delivery_id)
    return admission.page(
        "delivery",
        withheld=withheld(delivery, admission.webhook),
        **delivery_facts(delivery, admission.webhook, clock.now()),
    )


@pages.get("/<link_id>/deliveries/<delivery_id>/payload")
def payload(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Return the exact bytes that are sent."""
    admission = _admitted(link_id)
    delivery = admission.delivery(delivery_id)
    if withheld(delivery, admission.webhook):
        abort(404)
    return responses.download(delivery.body, f"{delivery.id}.json")


@pages.get("/<link_id>/deliveries/<delivery_id>/verify")
def verify(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show how its signature is made, step by step, with programs that verify it."""
    admission = _admitted(link_id)
    delivery, webhook = admission.delivery(delivery_id), admission.webhook
    attempt = webhooks.last_attempt(db.session(), delivery)
    explained = signature_explanation.of(delivery, webhook, attempt, clock.now())
    why = deleted_comments.DELIVERY_ERASED if delivery.erased_at else withheld(delivery, admission.webhook)
    return admission.page(
        "signature",
        delivery=delivery,
        introduction=signature_explanation.introduction(attempt),
        explanation=None if why else explained,
        withheld=why,
    )


LONGEST_TIME = 40  # characters
PERIODS = {"1h": "hour", "6h": "6 hours", "24h": "24 hours", "3d": "3 days", "7d": "7 days", "30d": "30 days"}
ONLY_THE_KEY_SIGNS = "Nothing was changed: only a key signs this webhook, so it has no secret in use."


@pages.post("/<link_id>/deliveries/<delivery_id>/redeliver")
def redeliver(link_id: str, delivery_id: str) -> ResponseReturnValue:
    """Make one delivery due now, and say so."""
    admission = _admitted_to_act(link_id, sends=True)
    sentence = DELIVERY_LIST.requeue_row(admission.delivery(delivery_id).id)
    return admission.done(sentence, DELIVERY, delivery_id=delivery_id)


@pages.get("/<link_id>/redeliver")
def ask_redelivery(link_id: str) -> ResponseReturnValue:
    """Say how many deliveries it would be that were given up lately, before anything happens."""
    admission = _admitted(link_id)
    if admission.webhook.disabled_at:
        raise NoAdmission("disabled")
    since = _since()
    which = admission.deliveries("failed", since).condition()
    parts = redelivery.forecast(db.session(), Delivery, which, clock.now())
    return admission.page("redeliver", part=parts[0] if parts else None, since=since)


@pages.post("/<link_id>/redeliver")
def redeliver_failed(link_id: str) -> ResponseReturnValue:
    """Make all deliveries due now that were given up since a time, and say how many."""
    admission = _admitted_to_act(link_id, sends=True)
    sentence = DELIVERY_LIST.requeue_all(admission.deliveries("failed", _since()).condition())
    return admission.done(sentence)


@pages.post("/<link_id>/test")
def test(link_id: str) -> ResponseReturnValue:
    """Queue a ping or an example of an event, and show its delivery."""
    admission = _admitted_to_act(link_id, sends=True)
    try:
        with row_lookup.changing(Webhook, admission.webhook.id) as (session, webhook):
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
    admission = _admitted_to_act(link_id, sends=False)
    overlap = row_actions.overlap("keep signing")
    with row_lookup.changing(Webhook, admission.webhook.id) as (session, webhook):
        if webhook.sign_with == "key":
            abort(422, ONLY_THE_KEY_SIGNS)
        if said := row_actions.rotated_already(webhook):
            return admission.done(said)
        webhook_signatures.rotate_secret(session, webhook, overlap)
        shown = row_actions.seal(webhook, admission.nonce)
    return admission.done("The secret is rotated. Give the new one to your receiver.", shown=shown)


@pages.post("/<link_id>/rotate-key")
def rotate_key(link_id: str) -> ResponseReturnValue:
    """Rotate the key pair, whose public key the page shows; a double click must not rotate it twice."""
    admission = _admitted_to_act(link_id, sends=False)
    overlap = row_actions.overlap("keep signing", "key")
    try:
        with row_lookup.changing(Webhook, admission.webhook.id) as (session, webhook):
            if said := row_actions.rotated_already(webhook, "key"):
                return admission.done(said)
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


def withheld(delivery: Delivery, webhook: Webhook) -> str | None:
    """Return why the payload is not shown, if it may have what is meant for the owner alone.

    A receiver may repeat it, so its answers are not shown then either.
    """
    session, payload, body = db.session(), delivery.body.decode(errors="replace"), None
    with suppress(ValueError, RecursionError):
        body = json.loads(payload)
    data = _part(body, "data")
    listed = _part(data, "waiting").get("comments")  # A forwarded payload may have any names elsewhere.
    parts = [data, _part(data, "comment"), *(listed if isinstance(listed, list) else ())]
    says_it = any({"note", "moderation"} & part.keys() for part in parts if isinstance(part, dict))
    is_for_owner = bool(webhook.moderation_links_since) or webhook.format in ADDRESSED
    if is_for_owner or says_it or redaction.addresses(payload) != payload:
        return WITHHELD
    comment = session.get(Comment, delivery.comment_id) if delivery.comment_id else None
    note = (comment.note if comment else None) or ""
    if webhook.format in OWN_WORDING or not data:  # The format may have changed.
        return WITHHELD if note or _may_have_more(session, delivery) else None
    spellings = {note, *(json.dumps(note, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))}
    return WITHHELD if note and any(one in payload for one in spellings) else None


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
