"""The secret of a webhook or a source: shown once it is made, later to who knows the password."""

import hmac
from datetime import datetime, timedelta

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.auth import login
from guestbook.auth.login import TooManyTries, WrongPassword
from guestbook.lib import clock
from guestbook.storage.models import Source, Webhook
from guestbook.web import current, row_lookup
from guestbook.web.admin import access, signed_value

OVERLAPS = {"0": "no time", "1": "1 hour", "24": "24 hours", "72": "3 days", "168": "7 days"}  # in hours
PURPOSE = "secret"  # what `sealed` seals its mark for
REPLACED_BEFORE = "The secret had been replaced before, so this time nothing was changed."


def ask(model: type[Webhook] | type[Source], row_id: str, template: str, **shown: object) -> str:
    """Ask for the password before the secret is shown."""
    return render_template(template, row=row_lookup.find(model, row_id), **shown)


def reveal(model: type[Webhook] | type[Source], row_id: str, template: str) -> ResponseReturnValue:
    """Show the secret to who knows the password.

    It is the answer itself, without a redirect: nothing was changed that could happen twice, and a page to be
    led to would have to show the secret to a browser that did not say the password.
    """
    row_lookup.find(model, row_id)  # before a try is counted
    try:
        password = request.form.get("password", "")
        login.confirm(password, address=access.client_address(), settings=current.settings())
    except TooManyTries as error:
        return ask(model, row_id, template, reason=str(error)), 429, {"Retry-After": str(error.seconds)}
    except WrongPassword as error:
        return ask(model, row_id, template, reason=str(error)), 422
    return ask(model, row_id, template, may_see=True)


def mark(row: Webhook | Source) -> str:
    """Return what names this secret of this row without telling it."""
    key, message = current.settings().secret_key, f"{row.id} {row.secret}"
    return hmac.new(key.encode(), message.encode(), "sha256").hexdigest()


def seal(row: Webhook | Source) -> str:
    """Return what lets the next page show the secret, in this login and for two minutes."""
    return signed_value.seal(PURPOSE, mark(row))


def is_new(row: Webhook | Source) -> bool:
    """Whether the row was added so lately that its secret may still be shown to who added it."""
    return clock.now() - row.created_at < timedelta(seconds=signed_value.MAX_AGE)


def just_made(row: Webhook | Source) -> str | None:
    """Return the secret where the address proves that this login has just made it."""
    shown = request.args.get("shown")
    return row.secret if shown and signed_value.unseal(PURPOSE, shown) == mark(row) else None


def still_shown(row: Webhook | Source) -> str | None:
    """Return what lets the next page go on showing the secret, where the page before it showed it."""
    return seal(row) if just_made(row) else None


def overlap(then: str) -> timedelta:
    """Read for how long the old secret may do `then` beside a new one; 422 for what was not to be chosen."""
    hours = request.form.get("hours", "")
    if hours not in OVERLAPS:
        abort(422, f"Nothing was changed. Choose one of the times for which the old secret may {then}.")
    return timedelta(hours=int(hours))


def was_replaced(row: Webhook | Source) -> bool:
    """Whether it was another secret that the form was to replace: this is the second click of two."""
    return request.form.get("replaces") != mark(row)


def overlap_end(row: Webhook | Source, now: datetime) -> datetime | None:
    """Return until when the old secret is still good, if it is."""
    end = row.previous_secret_expires_at if row.previous_secret else None
    return end if end and end > now else None
