"""The links with which the people behind a webhook's receiver open its page: add, list, revoke."""

from collections.abc import Mapping

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.outbound import receiver_links
from guestbook.storage.database import db, writing
from guestbook.storage.models import ReceiverLink, Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import responses

pages = Blueprint("links", __name__, url_prefix="/<webhook_id>/receiver-links")

LIFETIMES = {"1d": "1 day", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "a year"}
SHOWN_ONCE = "This link exists already, and was shown only once. If you did not keep it, revoke it."


@pages.get("")
def show(webhook_id: str) -> ResponseReturnValue:
    """List the links of a webhook, and offer a new one."""
    return _page(row_lookup.find(Webhook, webhook_id))


@pages.post("")
def add(webhook_id: str) -> ResponseReturnValue:
    """Add a link and show it in this answer only.

    It needs the password, because a link outlives a stolen login. The form contains the link's id, so that
    reloading the answer adds no second link.
    """
    webhook = row_lookup.find(Webhook, webhook_id)
    typed = {name: clean_line(request.form.get(name, "")) for name in ("name", "expires")}
    try:
        if typed["expires"] not in LIFETIMES:
            raise Refused("Choose how long it works.", field="expires")
        receiver_links.check(webhook, **typed)  # This comes before an attempt at the password is counted.
        responses.confirm_password()
        with writing() as session:
            webhook = row_lookup.find_locked(Webhook, webhook_id)
            link = receiver_links.add(session, webhook, **typed, link_id=responses.form_key("id"))
            address = receiver_links.url(link, request_context.settings())
    except Refused as error:
        page = _page(row_lookup.find(Webhook, webhook_id), refusal=error, typed=typed)
        return responses.refused(error, page)
    except IntegrityError:
        return responses.done(SHOWN_ONCE, ".show", webhook_id=webhook_id)
    return _page(webhook, address=address)


@pages.post("/<link_id>/revoke")
def revoke(webhook_id: str, link_id: str) -> ResponseReturnValue:
    """Revoke a link."""
    with writing() as session:
        link = row_lookup.find_locked(ReceiverLink, link_id)
        if link.webhook_id != webhook_id:
            abort(404)
        receiver_links.revoke(session, link)
        name = link.name
    return responses.done(f"The link for {name} is revoked.", ".show", webhook_id=webhook_id)


def _page(webhook: Webhook, typed: Mapping[str, str] | None = None, **more: object) -> str:
    return render_template(
        "admin/receiver_links.html",
        webhook=webhook,
        typed=typed or {"name": webhook.name, "expires": "30d"},
        links=receiver_links.of_webhook(db.session(), webhook.id),
        lifetimes=LIFETIMES,
        now=clock.now(),
        new_id=ids.new(),
        **more,
    )
