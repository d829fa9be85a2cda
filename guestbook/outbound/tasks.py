"""From the rows of a claim to what a sender needs: errands and receivers, which know no database."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, type_coerce

from guestbook.outbound import sender
from guestbook.outbound.sender import Errand, Receiver
from guestbook.settings import Settings
from guestbook.storage.models import Webhook
from guestbook.transport import Transport

# Of a webhook; the headers as they are stored, for broken ones are the attempt's fault, not the pass's.
COLUMNS = (
    Webhook.id,
    Webhook.name,
    Webhook.url,
    type_coerce(Webhook.headers, Text).label("headers"),
    Webhook.secret,
    Webhook.previous_secret,
    Webhook.previous_secret_expires_at,
    Webhook.format,
)


class Receivers:
    """Remembers what was made of the webhooks' rows, for as long as those do not change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[Any, ...], Receiver]] = {}

    def of(self, row: Row[Any], now: datetime) -> tuple[Receiver, bool]:
        """Return the receiver of a row with `COLUMNS`, and whether it is another one than the last time."""
        expires = row.previous_secret_expires_at
        previous = row.previous_secret if expires and expires > now else None
        key = (row.name, row.url, row.headers, row.secret, previous, row.format)
        known = self._known.get(row.id)
        if known is not None and known[0] == key:
            return known[1], False
        self._known[row.id] = (key, sender.receiver(row.id, *key))
        return self._known[row.id][1], True


def errand(row: Row[Any], token: str, lease_end: float, to: Receiver) -> Errand:
    """Make an errand of a claimed delivery; its lease ends at that moment of the monotonic clock."""
    return Errand(
        id=row.id,
        event_id=row.event_id,
        event=row.event,
        body=row.payload.encode() if isinstance(row.payload, str) else bytes(row.payload),
        attempts=row.attempts,
        schedule_start=row.schedule_start,
        due_at=row.due_at,
        token=token,
        lease_end=lease_end,
        receiver=to,
    )


def transport(settings: Settings) -> Transport:
    """Make the transport that the settings ask for."""
    return Transport(
        timeout=settings.timeout,
        allow_networks=settings.allow_networks,
        proxy=settings.outbound_proxy,
        require_https=settings.require_https_webhooks,
    )
