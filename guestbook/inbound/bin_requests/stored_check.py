"""The check of a stored request's signatures, with the secrets and keys of all webhooks."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.inbound.bin_requests import key_signatures, signature_check
from guestbook.inbound.bin_requests.signature_check import Check, Finding
from guestbook.lib import ids
from guestbook.storage.models import BinRequest, Delivery, Webhook

MOST_BETWEEN_IDS = 60_000  # milliseconds between an event's id and those of its deliveries


def of(session: Session, row: BinRequest) -> Check:
    """Return what the signatures of a request prove."""
    if len(row.kept) < row.size:
        return Check([Finding("", False, signature_check.TOO_LONG_TO_CHECK)])
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id)).all()
    keys = signature_check.keys_of(webhooks, row.received_at)
    public_keys = key_signatures.public_keys_of(webhooks, row.received_at)
    pairs, body, moment, sent = row.pairs, row.kept, row.received_at, _sent(session, row)
    return signature_check.check(pairs, body, moment, keys, public_keys=public_keys, sent=sent)


def _sent(session: Session, row: BinRequest) -> list[bytes]:
    """Return the bodies of our own deliveries of its event. The time in the id finds them."""
    event_id = {name.lower(): value for name, value in row.pairs}.get("webhook-id", "")
    if not ids.ID.fullmatch(event_id):
        return []
    made = int(event_id[:12], 16)
    first, last = f"{max(0, made - MOST_BETWEEN_IDS):012x}", f"{made + MOST_BETWEEN_IDS:012x}"
    query = select(Delivery).where(Delivery.id >= first, Delivery.id < last, Delivery.event_id == event_id)
    return list({delivery.body for delivery in session.scalars(query.limit(100))})
