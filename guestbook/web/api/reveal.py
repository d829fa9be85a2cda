"""/webhooks/ID/reveal-secret and the same of sources: as on the admin pages, only with the password."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict, TooManyRequests

from guestbook.auth import login
from guestbook.auth.login import TooManyTries
from guestbook.lib.encryption import Unreadable
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import request_context
from guestbook.web.api import idempotency, request_reader
from guestbook.web.row_lookup import find, find_locked

CANNOT_REVEAL = "The secret cannot be decrypted with this secret key. Run doctor on the book's host."

calls = Blueprint("reveal", __name__)


@calls.post("/webhooks/<webhook_id>/reveal-secret")
def of_webhook(webhook_id: str) -> ResponseReturnValue:
    """Show the secret of a webhook."""
    return _reveal(Webhook, webhook_id)


@calls.post("/sources/<source_id>/reveal-secret")
def of_source(source_id: str) -> ResponseReturnValue:
    """Show the secret of a source."""
    return _reveal(Source, source_id)


def _reveal(model: type[Webhook] | type[Source], row_id: str) -> ResponseReturnValue:
    password = request_reader.body()["password"]
    find(model, row_id)
    db.session.rollback()  # the check writes in a transaction of its own
    try:
        login.confirm(password, address=request.remote_addr, settings=request_context.settings())
    except TooManyTries as error:
        raise TooManyRequests(str(error), retry_after=error.seconds) from None
    with writing() as session:
        row = find_locked(model, row_id)
        if isinstance(row.secret, Unreadable):
            raise Conflict(CANNOT_REVEAL)
        row_changes.note_reveal(session, row)
        return idempotency.keep(session, {"secret": row.secret})
