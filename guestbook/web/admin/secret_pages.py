"""The secret of a webhook or source: shown when new, later only with the password.

When it is new, one page hands the next a signed value through the browser. It is part of addresses, which
servers log. So it contains a name of the secret, never the secret itself.
"""

import hmac
from datetime import datetime, timedelta
from typing import Any

from flask import abort, g, render_template, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer

from guestbook.lib import clock, signing
from guestbook.lib.errors import Refused
from guestbook.storage import row_changes
from guestbook.storage.database import writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import responses

OVERLAPS = {"0": "no time", "1": "1 hour", "24": "24 hours", "72": "3 days", "168": "7 days"}  # in hours
SECRET_PAGE = "admin/secret.html"
SHOWN_FOR = timedelta(minutes=2)  # So long is a new secret shown without the password.
ALREADY_ROTATED = "The secret was rotated already, so nothing was changed."
KEY_ROTATED_ALREADY = "The key was rotated already, so nothing was changed."


def show(model: type[Webhook] | type[Source], row_id: str) -> ResponseReturnValue:
    """Ask for the password, and show the secret in the answer to the right one.

    No redirect: nothing was changed that could happen twice, and the next page would have to show the secret
    without the password.
    """
    row = row_lookup.find(model, row_id)
    standard_form = signing.standard_form(row.secret) if isinstance(row, Webhook) else row.secret
    shown = {"row": row, "is_webhook": model is Webhook, "standard_form": standard_form}
    if request.method != "POST":
        return render_template(SECRET_PAGE, **shown)
    try:
        responses.confirm_password()
    except Refused as error:
        return responses.refused(error, render_template(SECRET_PAGE, **shown, reason=str(error)))
    with writing() as session:
        row_changes.note_reveal(session, row_lookup.find(model, row_id))
    return render_template(SECRET_PAGE, **shown, may_see=True)


def _marks(row: Webhook | Source) -> list[str]:
    """Return names for this secret that do not reveal it, one with each secret key.

    With the older keys a page may be open still.
    """
    message = f"{row.id} {row.secret}".encode()
    return [
        hmac.new(key.encode(), message, "sha256").hexdigest()
        for key in request_context.settings().secret_keys
    ]


def seal(row: Webhook | Source, viewer: str | None = None) -> str:
    """Return a value for an address that lets the next page show the secret, for a while.

    Only the same viewer can use it, by default this login.
    """
    return _serializer(viewer).dumps([_marks(row)[0], int(clock.now().timestamp())])


def is_new(row: Webhook | Source) -> bool:
    """Whether the row is so new that its secret may still be shown."""
    return clock.now() - row.created_at < SHOWN_FOR


def new_secret(row: Webhook | Source, viewer: str | None = None) -> str | None:
    """Return the secret if the address proves that this viewer has just created it."""
    try:
        name, made = _serializer(viewer).loads(request.args.get("shown", ""))
    except (BadData, UnicodeError):
        return None
    age = abs(clock.now().timestamp() - made)  # Two servers have two clocks, so it may be negative.
    return row.secret if name == _marks(row)[0] and age <= SHOWN_FOR.total_seconds() else None


def facts(row: Webhook | Source, now: datetime, viewer: str | None = None) -> dict[str, Any]:
    """Return what a row's page says of its secret and its key, and what its forms need to rotate them."""
    return {
        "secret": new_secret(row, viewer),
        "overlap_end": overlap_end(row, now),
        "key_overlap_end": key_overlap_end(row, now) if isinstance(row, Webhook) else None,
        "overlaps": OVERLAPS,
        "mark": _marks(row)[0],
    }


def keep_shown(row: Webhook | Source) -> str | None:
    """Return a value that lets the next page keep showing a secret that this page shows."""
    return seal(row) if new_secret(row) else None


def overlap(then: str, noun: str = "secret") -> timedelta:
    """Read how long the old secret may do `then`; 422 for a value that the form does not offer."""
    hours = request.form.get("hours", "")
    if hours not in OVERLAPS:
        abort(422, f"Nothing was changed. Choose how long the old {noun} may {then}.")
    return timedelta(hours=int(hours))


def was_replaced(row: Webhook | Source) -> bool:
    """Whether the form was for another secret: a double click has rotated it already."""
    return request.form.get("replaces") not in _marks(row)


def key_was_replaced(webhook: Webhook) -> bool:
    """Whether the form was for another key."""
    return request.form.get("replaces") != webhook.public_key


def overlap_end(row: Webhook | Source, moment: datetime) -> datetime | None:
    """Return when the old secret expires or expired, if it was valid at that moment."""
    return _later(row.previous_secret_expires_at if row.previous_secret else None, moment)


def key_overlap_end(webhook: Webhook, moment: datetime) -> datetime | None:
    """Return the same of a webhook's old key."""
    return _later(webhook.previous_signing_key_expires_at if webhook.previous_signing_key else None, moment)


def _later(end: datetime | None, moment: datetime) -> datetime | None:
    return end if end and end > moment else None


def _serializer(viewer: str | None) -> URLSafeSerializer:
    return URLSafeSerializer(request_context.signing_keys(), salt=f"admin {viewer or g.login.id} secret")
