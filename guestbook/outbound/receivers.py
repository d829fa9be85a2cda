"""Make receivers from rows of `webhooks`, anew only when a row has changed."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, type_coerce

from guestbook.lib import signing
from guestbook.outbound import response_policy
from guestbook.outbound.tasks import Receiver
from guestbook.storage.models import Webhook

# The headers come as stored text: broken ones must fail their own attempts, not the pass.
RECEIVER_COLUMNS = (
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
    """The receivers made so far."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[Any, ...], Receiver]] = {}

    def of(self, row: Row[Any], now: datetime) -> tuple[Receiver, bool]:
        """Return the receiver for a row with `RECEIVER_COLUMNS`, and whether it differs from the last one."""
        expires = row.previous_secret_expires_at
        previous = row.previous_secret if expires and expires > now else None
        key = (row.name, row.url, row.headers, row.secret, previous, row.format)
        known = self._known.get(row.id)
        if known is not None and known[0] == key:
            return known[1], False
        self._known[row.id] = (key, receiver(row.id, *key))
        return self._known[row.id][1], True


def receiver(
    webhook_id: str,
    name: str,
    url: str,
    headers: str,
    secret: str,
    previous: str | None,
    format_name: str = "json",
) -> Receiver:
    """Make a receiver from the values of a row. A wrong value becomes its `error`."""
    error = None
    own: dict[str, str] = {}
    keys: tuple[bytes, ...] = ()
    try:
        own = {str(key): str(value) for key, value in json.loads(headers).items()}
    except (ValueError, AttributeError, RecursionError):
        error = "Nothing was sent: the webhook's stored headers are not a JSON object of names and values."
    try:
        keys = tuple(signing.key_of(text) for text in (secret, previous) if text)
    except ValueError:
        error = (
            "Nothing was sent: the webhook's stored secret is not whsec_ and the base64 of 24 to 64 bytes."
        )
    policy = response_policy.POLICIES.get(format_name, response_policy.standard)
    mentions = format_name == "webmention"
    return Receiver(webhook_id, name, url, own, keys, secret.encode(), error, policy, mentions)
