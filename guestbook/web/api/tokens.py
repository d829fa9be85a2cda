"""/tokens: list and revoke. Making one needs the owner's password, so that stays on the account page."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.auth import api_tokens
from guestbook.queries import filtered_lists
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token
from guestbook.web.api import request_reader, serializers
from guestbook.web.row_lookup import find_locked

calls = Blueprint("tokens", __name__, url_prefix="/tokens")


@calls.get("")
def index() -> ResponseReturnValue:
    """List the tokens without their values."""
    query = request_reader.query()
    page = filtered_lists.row_page(db.session(), Token, query.get("before"), query["limit"])
    return serializers.page("tokens", page, api_tokens.shape, query)


@calls.delete("/<token_id>")
def revoke(token_id: str) -> ResponseReturnValue:
    """Revoke one, which may be the caller's own."""
    with writing() as session:
        api_tokens.revoke(session, find_locked(Token, token_id))
    return "", 204
