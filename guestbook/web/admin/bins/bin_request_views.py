"""One request of a bin: its parts, the check of its signature, and sending it again."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.lib import byte_view, ids
from guestbook.lib.errors import Refused
from guestbook.storage.database import db
from guestbook.storage.models import Bin, BinRequest, Delivery, Webhook
from guestbook.web import current, row_lookup
from guestbook.web.admin import curl_command, responses
from guestbook.web.admin.bins import key_signatures, replay, signature_check
from guestbook.web.admin.bins.replay import Replayed
from guestbook.web.admin.bins.signature_check import Check, Finding

pages = Blueprint("requests", __name__, url_prefix="/requests")

MOST_BETWEEN_IDS = 60_000  # milliseconds between an event's id and those of its deliveries


@pages.get("/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    """Show it as inert text."""
    return _page(row_lookup.find(BinRequest, request_id))


@pages.get("/<request_id>/body")
def body(request_id: str) -> ResponseReturnValue:
    """Return the exact bytes that were kept."""
    row = row_lookup.find(BinRequest, request_id)
    return responses.download(row.kept, f"{row.id}.bin")


@pages.post("/<request_id>/replay")
def replay_request(request_id: str) -> ResponseReturnValue:
    """Send it to the typed URL and show the answer.

    There is no redirect: nothing of ours has changed, and the result is stored nowhere.
    """
    row = row_lookup.find(BinRequest, request_id)
    typed = request.form.get("url", "")
    try:
        url = replay.check(row, typed, current.settings())
    except Refused as error:
        return _page(row, typed, error), 422
    db.session.expunge(row)
    db.session.remove()  # no transaction may be open while another server answers
    replayed = replay.replay(row, url, current.settings())
    return _page(row, typed, replayed=replayed)


def _page(
    row: BinRequest, typed: str = "", error: Refused | None = None, replayed: Replayed | None = None
) -> str:
    content, file, bin_ = row.kept, f"{row.id}.bin", row_lookup.find(Bin, row.bin_id)
    url = bin_.url(current.settings().base_url) + row.path + (f"?{row.query}" if row.query else "")
    return render_template(
        "admin/bin_request.html",
        bin=bin_,
        row=row,
        kept=len(content),
        views=byte_view.views(
            content, dict(row.pairs).get("Content-Type", ""), is_cut=len(content) < row.size
        ),
        check=_check(row),
        curl=curl_command.command(row.method, url, row.pairs, content, file),
        is_long=curl_command.is_long(content),
        file=file,
        typed=typed,
        reasons=error.fields if error else {},
        replayed=replayed,
    )


def _check(row: BinRequest) -> Check:
    if len(row.kept) < row.size:
        return Check([Finding("", False, signature_check.TOO_LONG_TO_CHECK)])
    webhooks = db.session.scalars(select(Webhook).order_by(Webhook.id)).all()
    keys = signature_check.keys_of(webhooks, row.received_at)
    public_keys = key_signatures.public_keys_of(webhooks, row.received_at)
    pairs, body, moment = row.pairs, row.kept, row.received_at
    return signature_check.check(pairs, body, moment, keys, public_keys=public_keys, sent=_sent(row))


def _sent(row: BinRequest) -> list[bytes]:
    """Return the bodies of our own deliveries of its event. The time in the id finds them."""
    event_id = {name.lower(): value for name, value in row.pairs}.get("webhook-id", "")
    if not ids.ID.fullmatch(event_id):
        return []
    made = int(event_id[:12], 16)
    first, last = f"{max(0, made - MOST_BETWEEN_IDS):012x}", f"{made + MOST_BETWEEN_IDS:012x}"
    query = select(Delivery).where(Delivery.id >= first, Delivery.id < last, Delivery.event_id == event_id)
    return list({delivery.body for delivery in db.session.scalars(query.limit(100))})
