"""Make receivers from rows of `webhooks`, anew only when a row has changed."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, type_coerce

from guestbook.lib import ed25519, signing
from guestbook.outbound import response_policy
from guestbook.outbound.tasks import Receiver
from guestbook.settings import installation
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
    Webhook.signing_key,
    Webhook.previous_signing_key,
    Webhook.previous_signing_key_expires_at,
    Webhook.key_only_since,
    Webhook.github_headers_since,
)
NOTHING_SENT = "Nothing was sent: "


class Receivers:
    """The receivers made so far."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[Any, ...], Receiver]] = {}

    def of(self, row: Row[Any], now: datetime) -> tuple[Receiver, bool]:
        """Return the receiver for a row with `RECEIVER_COLUMNS`, and whether it differs from the last one."""
        key = _values(row, row.headers, now)
        known = self._known.get(row.id)
        if known is not None and known[0] == key:
            return known[1], False
        self._known[row.id] = (key, receiver(row.id, *key))
        return self._known[row.id][1], True


def of_webhook(webhook: Webhook, headers: Mapping[str, str], now: datetime) -> Receiver:
    """Return the receiver of a webhook as of now, with these headers in place of its own."""
    return receiver(webhook.id, *_values(webhook, json.dumps(dict(headers)), now))


def receiver(
    webhook_id: str,
    name: str,
    url: str,
    headers: str,
    secret: str,
    previous: str | None,
    format_name: str = "json",
    signing_key: str | None = None,
    previous_signing_key: str | None = None,
    key_only: bool = False,
    github_headers: bool = False,
) -> Receiver:
    """Make a receiver from the values of a row. A wrong value becomes its `error`."""
    error, own = None, {}
    keys: tuple[bytes, ...] = ()
    seeds: tuple[bytes, ...] = ()
    try:
        own = _headers(headers)
        keys = () if key_only else _keys(secret, previous)
        seeds = _seeds(signing_key, previous_signing_key)
    except ValueError as reason:
        error = f"{NOTHING_SENT}{reason}"
    policy = response_policy.POLICIES.get(format_name, response_policy.standard)
    mentions, text = format_name == "webmention", secret.encode()
    return Receiver(webhook_id, name, url, own, keys, text, error, policy, mentions, seeds, github_headers)


def _values(row: Row[Any] | Webhook, headers: str, now: datetime) -> tuple[Any, ...]:
    """Return what `receiver` takes after the id."""
    return (
        *(row.name, row.url, headers, row.secret),
        _unexpired(row.previous_secret, row.previous_secret_expires_at, now),
        *(row.format, row.signing_key),
        _unexpired(row.previous_signing_key, row.previous_signing_key_expires_at, now),
        *(row.key_only_since is not None, row.github_headers_since is not None),
    )


def _unexpired(value: str | None, expires: datetime | None, now: datetime) -> str | None:
    return value if expires and expires > now else None


def _headers(stored: str) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in json.loads(stored).items()}
    except (ValueError, AttributeError, RecursionError):
        sentence = "the webhook's stored headers are not a JSON object of names and values."
        raise ValueError(sentence) from None


def _keys(*secrets: str | None) -> tuple[bytes, ...]:
    try:
        return tuple(signing.key_of(text) for text in secrets if text)
    except ValueError:
        raise ValueError(f"the webhook's stored secret is not {signing.SECRET_FORMS}.") from None


def _seeds(*signing_keys: str | None) -> tuple[bytes, ...]:
    try:
        return tuple(ed25519.seed_of(key) for key in signing_keys if key)
    except ed25519.PackageMissing:
        command = installation.install_command(ed25519.KEY_EXTRA)
        sentence = f"the package for signing with a key is missing. Install it with: {command}"
        raise ValueError(sentence) from None
    except ValueError:
        raise ValueError("the webhook's stored signing key is not a private key.") from None
