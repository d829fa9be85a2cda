"""/webhooks/ID/receiver-links: list and revoke links to the page of a webhook's receiver.

Making one needs the owner's password, so that stays on the admin pages.
"""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from guestbook.outbound import receiver_links, webhook_shapes
from guestbook.queries import filtered_lists
from guestbook.storage.database import db, writing
from guestbook.storage.models import ReceiverLink, Webhook
from guestbook.web.api import idempotency, request_reader, serializers
from guestbook.web.row_lookup import find, find_locked

calls = Blueprint("receiver_links", __name__, url_prefix="/webhooks/<webhook_id>/receiver-links")


@calls.get("")
def index(webhook_id: str) -> ResponseReturnValue:
    """List the links of a webhook, without their addresses."""
    query, mine = request_reader.query(), ReceiverLink.webhook_id == find(Webhook, webhook_id).id
    page = filtered_lists.row_page(db.session(), ReceiverLink, query.get("before"), query["limit"], mine)
    return serializers.page("receiver_links", page, webhook_shapes.receiver_link, query)


@calls.post("/<link_id>/revoke")
def revoke(webhook_id: str, link_id: str) -> ResponseReturnValue:
    """Revoke a link."""
    with writing() as session:
        link = find_locked(ReceiverLink, link_id)
        if link.webhook_id != webhook_id:
            abort(404)
        receiver_links.revoke(session, link)
        return idempotency.keep(session, webhook_shapes.receiver_link(link))
