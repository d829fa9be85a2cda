"""Who may see the pages of a webhook's receiver: a browser with the cookie of a link that works.

The cookie takes the place of the link. The link's address is a secret, which no later request has to carry.
The cookie is for the pages of that link alone, and ends after some hours. Its random part signs the forms, so
no other site can send them.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import select
from werkzeug.wrappers import Response

from guestbook.lib import clock, signed_links
from guestbook.lib.signed_links import RECEIVER_PATH
from guestbook.queries.filtered_lists import Deliveries
from guestbook.storage import audit_log, row_changes
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, ReceiverLink, Webhook
from guestbook.web import request_context, request_limit, response_headers, row_lookup
from guestbook.web.error_pages import PageExpired

RECEIVER_COOKIE = "guestbook_receiver"
COOKIE_LASTS = timedelta(hours=12)
COOKIE_SALT = "guestbook receiver"


@dataclass(frozen=True, slots=True)
class ReceiverCookie:
    """What the browser has got in place of the link."""

    link_id: str
    nonce: str

    @property
    def form_key(self) -> str:
        """Return what a form of this browser carries."""
        return self._form_keys()[0]

    def signs(self, form_key: str) -> bool:
        """Whether a form comes from a page that this browser has opened."""
        given = form_key.encode(errors="replace")
        return any(hmac.compare_digest(given, each.encode()) for each in self._form_keys())

    def seal(self, sentence: str) -> str:
        """Return a value for an address that lets the next page say the sentence."""
        return self._serializer().dumps(sentence)

    def unseal(self, value: str) -> str | None:
        """Return the sentence, or None if the value is not ours."""
        try:
            return str(self._serializer().loads(value))
        except (BadData, UnicodeError):
            return None

    def _form_keys(self) -> list[str]:
        """Return the key of its forms, and those that older secret keys make."""
        message = f"guestbook receiver form {self.link_id} {self.nonce}".encode()
        keys = request_context.settings().secret_keys
        return [hmac.new(key.encode(), message, "sha256").hexdigest() for key in keys]

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(request_context.signing_keys(), salt=f"{COOKIE_SALT} {self.form_key} said")


def give_cookie(response: Response, link_id: str) -> Response:
    """Give the browser a cookie for the pages of the link."""
    value = _values().dumps([link_id, secrets.token_urlsafe(16), int(clock.now().timestamp())])
    age, below = COOKIE_LASTS.total_seconds(), f"{RECEIVER_PATH}/{link_id}"
    response_headers.set_cookie(response, RECEIVER_COOKIE, str(value), age, below)
    return response


def find_cookie(link_id: str) -> ReceiverCookie | None:
    """Return the browser's cookie for the pages of that link, or None."""
    try:
        match _values().loads(request.cookies.get(RECEIVER_COOKIE, "")):
            case [str(mine), str(nonce), int(given)] if mine == link_id:
                age = abs(clock.now().timestamp() - given)  # Two servers have two clocks.
                return ReceiverCookie(mine, nonce) if age <= COOKIE_LASTS.total_seconds() else None
    except (BadData, UnicodeError):
        pass
    return None


def _values() -> URLSafeSerializer:
    return URLSafeSerializer(request_context.signing_keys(), salt=COOKIE_SALT)


LOG = "receiver_pages.index"
MOST_ACTIONS = 30  # All who have a link to one webhook share them.
ACTIONS_WITHIN = timedelta(minutes=10)
TOO_MANY_ACTIONS = (
    f"Nothing was done: at most {MOST_ACTIONS} actions are possible here in ten minutes. "
    "Please try again later."
)


class ClosedText(NamedTuple):
    """How a page that stays closed answers."""

    status: int
    title: str
    sentence: str


CLOSED_TEXTS = {
    "broken": ClosedText(
        404,
        "This link does not work",
        "It is incomplete or was changed. Open it from the message again, or ask the owner of the book for a "
        "new one.",
    ),
    "no_cookie": ClosedText(
        403,
        "Open your link again",
        "This page stays open for 12 hours after you open its link, in the same browser. The browser must "
        "accept a cookie from here. Nothing was changed.",
    ),
    "expired": ClosedText(410, "This link has expired", "Ask the owner of the book for a new one."),
    "revoked": ClosedText(410, "This link was revoked", "Ask the owner of the book if you still need one."),
    "deleted": ClosedText(
        410, "This webhook was deleted", "Its log was deleted too, and nothing more is sent."
    ),
    "disabled": ClosedText(
        403,
        "This webhook is disabled",
        "Nothing was changed, because nothing is sent while it is disabled. Ask the owner of the book to "
        "enable it.",
    ),
}


class NoAdmission(Exception):
    """The pages stay closed; the reason is a key of CLOSED_TEXTS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Admission(NamedTuple):
    """A browser that may see the pages of one webhook."""

    cookie: ReceiverCookie
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

    def done(self, sentence: str, endpoint: str = LOG, **values: object) -> ResponseReturnValue:
        """Redirect to a page that says what was done."""
        said = self.cookie.seal(sentence)
        there = url_for(endpoint, link_id=self.cookie.link_id, said=said, **values)  # type: ignore[arg-type]  # what url_for takes
        return redirect(there, 303)


def exchange(token: str) -> ResponseReturnValue:
    """Give the browser a cookie in place of a link that works, and lead it to the page."""
    signed = signed_links.read_receiver_token(token, request_context.settings().secret_keys)
    if signed is None:
        request_limit.count_wrong_link(signed_links.RECEIVER)
        raise NoAdmission("broken")
    _working(signed.link_id, signed.expires_at)
    return give_cookie(redirect(url_for(LOG, link_id=signed.link_id), 303), signed.link_id)


def admit(link_id: str) -> Admission:
    """Let a browser in that has opened the link, as long as the link works; raises NoAdmission."""
    cookie = find_cookie(link_id)
    if cookie is None:
        raise NoAdmission("no_cookie")
    link, webhook = _working(link_id)
    if row_changes.is_use_due(link, clock.now()):
        db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
        row_changes.note_use(db.engine, ReceiverLink, link_id, clock.now())
        link, webhook = _working(link_id)
    audit_log.act_as(Actor("receiver", link.id, link.name))
    return Admission(cookie, link, webhook)


def admit_to_act(link_id: str, *, sends: bool) -> Admission:
    """Do the same for a form, and count it: 429 after too many. With `sends` the webhook must be enabled."""
    admission = admit(link_id)
    if not admission.cookie.signs(request.form.get("form_key", "")):
        raise PageExpired
    if sends and admission.webhook.disabled_at:
        raise NoAdmission("disabled")
    what = f"receiver of {admission.webhook.id}"
    request_limit.count(what, most=MOST_ACTIONS, within=ACTIONS_WITHIN, sentence=TOO_MANY_ACTIONS)
    return admit(link_id)  # Counting has ended the transaction.


def page(template: str, admission: Admission, **more: object) -> str:
    """Return a page with what all of them show."""
    return render_template(
        f"receiver/{template}.html",
        link=admission.link,
        webhook=admission.webhook,
        form_key=admission.cookie.form_key,
        said=admission.cookie.unseal(request.args.get("said", "")),
        **more,
    )


def closed(error: NoAdmission) -> ResponseReturnValue:
    """Say why the pages stay closed."""
    text = CLOSED_TEXTS[error.reason]
    return render_template("receiver/closed.html", title=text.title, sentence=text.sentence), text.status


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
