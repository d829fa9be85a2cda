"""What a sender thread works with, as plain values: a delivery task, its receiver, its outcome."""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, select, type_coerce, update

from guestbook.lib import signatures
from guestbook.lib.encryption import NO_KEYS_KNOWN, CannotDecrypt, Keyring, of_row
from guestbook.lib.validate import VISITORS_URL
from guestbook.outbound import response_policy
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.rate_and_time_limits import Slot
from guestbook.settings import installation
from guestbook.storage.column_types import UtcTime
from guestbook.storage.models import FIRST_DUE, Delivery, Webhook
from guestbook.storage.models.delivery import (
    HEADER_PURPOSE,
    KEY_PURPOSE,
    SECRET_PURPOSE,
    NeededSecrets,
    needed_secrets,
)

# The columns of a delivery from which a task is made, as they are stored.
TASK_COLUMNS = (
    *("id", "payload", "version", "event_id", "event", "comment_id", "sequence"),
    *("due_at", "attempts", "schedule_start"),
)
HANDED_OVER_COLUMNS = ("webhook_id", *TASK_COLUMNS)  # Here rows of several webhooks come together.


@dataclass(frozen=True, slots=True)
class Receiver:
    """A webhook, as far as a request needs it."""

    webhook_id: str
    name: str
    url: str
    headers: dict[str, str]
    keys: tuple[bytes, ...]  # Standard Webhooks' keys; none where a key pair signs alone.
    secret: bytes
    error: str | None = None  # Nothing can be sent: somebody edited the row by hand.
    policy: response_policy.Policy = response_policy.standard  # It decides what answers mean.
    mentions: bool = False  # It stands for many websites: none is to blame for another.
    seeds: tuple[bytes, ...] = ()  # The private keys that sign are made of these.
    github_headers: bool = False  # GitHub's headers come too.
    is_locked: bool = False  # Its secrets cannot be decrypted, so its deliveries wait.
    is_visitors: bool = False  # It stands for all visitors who left an e-mail address.


@dataclass(slots=True)  # Frozen, it would take three times as long to make.
class DeliveryTask:
    """A claimed delivery. Nobody changes it."""

    id: str
    event_id: str
    event: str
    body: bytes
    version: str  # of the body's shape
    attempts: int
    schedule_start: int
    due_at: datetime | str  # It was due then, before the claim.
    token: str
    lease_end: float  # on the monotonic clock
    receiver: Receiver
    comment_id: str | None = None  # It is about this comment, if any.
    sequence: int | None = None  # Its place among the events about the comment.
    slot: Slot | None = None  # The permission to begin, if the webhook has a rate limit.
    leased_until: datetime | None = (
        None  # The end of the lease by the host's clock; None for what no thread sends.
    )
    address: str | None = None  # The visitor's e-mail address, which no payload holds.

    @property
    def lease(self) -> tuple[str, str]:
        """Return the row's id and the token: a result counts while the row has the token."""
        return self.id, self.token

    @property
    def triggered_by(self) -> str:
        """Return the cause of the next attempt: `test`, `redelivery` or `schedule`."""
        if self.event == "ping" and self.attempts == 0:
            return "test"
        return "redelivery" if 0 < self.attempts == self.schedule_start else "schedule"


@dataclass(slots=True)
class Outcome:
    """The result of a delivery task, from which the recorder writes rows."""

    task: DeliveryTask
    started_at: datetime | None = None  # None: nothing was sent, so the delivery is given back.
    milliseconds: int = 0
    status_code: int | None = None
    error: str | None = None
    unreachable: bool = False
    is_local_error: bool = False  # Our machine or proxy failed, so nothing was sent.
    host_limit: str | None = None  # This limit of the host stopped the request.
    decision: response_policy.Decision = response_policy.RETRY
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] | None = None
    response_body: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver has the delivery."""
        return self.decision.ok

    @property
    def answered(self) -> bool:
        """Whether the receiver answered, with success or without."""
        return self.ok or self.status_code is not None

    @property
    def holds_lane(self) -> bool:
        """Whether the webhook's other tasks must wait."""
        return self.is_local_error or self.decision.pause > 0 or self.decision.gone


def delivery_task(
    row: Row[Any],
    token: str,
    lease_end: float,
    receiver: Receiver,
    slot: Slot | None = None,
    leased_until: datetime | None = None,
) -> DeliveryTask:
    """Make a task from a claimed row of `deliveries`; its lease ends then, on the monotonic clock."""
    body = row.payload.encode() if isinstance(row.payload, str) else bytes(row.payload)
    return DeliveryTask(
        *(row.id, row.event_id, row.event, body, row.version, row.attempts, row.schedule_start, row.due_at),
        *(token, lease_end, receiver, row.comment_id, row.sequence, slot, leased_until),
    )


def _stored(column: Any) -> Any:
    return type_coerce(column, Text).label(column.key)


# The headers and secrets come as stored text: broken headers must fail their own attempts, not the pass, and
# a secret is decrypted once for many ticks.
RECEIVER_COLUMNS = (
    *(Webhook.id, Webhook.name, Webhook.url, Webhook.format, _stored(Webhook.headers)),
    *(_stored(Webhook.secret), _stored(Webhook.signing_key), Webhook.key_only_since),
    *(_stored(Webhook.previous_secret), Webhook.previous_secret_expires_at),
    *(_stored(Webhook.previous_signing_key), Webhook.previous_signing_key_expires_at),
    Webhook.github_headers_since,
)
# Made once: to make them takes longer than to run them.
_NOW: Any = bindparam("now", type_=UtcTime)
_OPEN = select(Webhook.id).where(Webhook.open_at(_NOW))
# Whether the receiver has answered before: the newest delivery that has ended tells, for nearly all webhooks.
_BY_DUE = "FORCE INDEX (deliveries_by_due)"  # Else MariaDB reads those of all webhooks.
_ANSWERED_BEFORE = (
    select(Delivery.last_status_code.is_not(None))
    .where(Delivery.webhook_id == Webhook.id, Delivery.due_at.is_(None))
    .order_by(Delivery.due_at.desc(), Delivery.id.desc())
    .limit(1)
    .with_hint(Delivery, _BY_DUE, "mysql")
    .with_hint(Delivery, _BY_DUE, "mariadb")
    .scalar_subquery()
    .label("answered_before")
)
_HEALTH = Webhook.unreachable_in_a_row, Webhook.rate, _ANSWERED_BEFORE
_OPEN_ROWS = select(*RECEIVER_COLUMNS, *_HEALTH).where(Webhook.open_at(_NOW))
_WITH_DUE = _OPEN_ROWS.where(FIRST_DUE <= _NOW)


def open_ids(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of those that are neither disabled, paused nor pulled."""
    return connection.scalars(_OPEN, {"now": now}).all()


def open_with_due(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """Return the open ones that have something due, with `RECEIVER_COLUMNS` and their health."""
    return connection.execute(_WITH_DUE, {"now": now}).all()


def open_among(connection: Connection, webhook_ids: Collection[str], now: datetime) -> Sequence[Row[Any]]:
    """Return the open ones of these, with the same columns."""
    query = _OPEN_ROWS.where(Webhook.id.in_(webhook_ids))
    return connection.execute(query, {"now": now}).all() if webhook_ids else ()


NOTHING_SENT = "Nothing was sent: "
UNREADABLE_PAUSE = timedelta(minutes=5)  # A webhook with unreadable secrets waits so long.
log = logging.getLogger(__name__)


class Receivers:
    """The receivers made so far, each made again only when its row has changed.

    `change` gives tasks that wait for a webhook another receiver: `WorkerPool.change`.
    """

    def __init__(self, keyring: Keyring, change: Callable[..., None] = lambda *_: None) -> None:
        self._keyring = keyring
        self._change = change
        self._known: dict[str, tuple[tuple[Any, ...], Receiver]] = {}
        self._named: set[str] = set()  # The owner was warned about these webhooks.

    def of(self, row: Row[Any], now: datetime) -> Receiver:
        """Return the receiver for a row with `RECEIVER_COLUMNS`."""
        key = _values(row, row.headers, now)
        known = self._known.get(row.id)
        if known is None or known[0] != key:
            made = receiver(row.id, *key, keyring=self._keyring)
            known = self._known[row.id] = key, made
            self._change(row.id, lambda task: replace(task, receiver=made))
        return known[1]

    def readable(self, connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
        """Return the rows whose secrets can be decrypted; pause the others, in the caller's transaction."""
        locked = [row for row in rows if self.of(row, now).is_locked]
        if not locked:
            return list(rows)
        ids, until = {row.id for row in locked}, now + UNREADABLE_PAUSE
        pause = update(Webhook).where(Webhook.id.in_(ids))
        connection.execute(pause.values(paused_until=until, unreadable_until=until))
        if ids - self._named:  # The transaction may run twice.
            self._named |= ids
            names, doctor = ", ".join(row.name for row in locked), installation.typed("doctor")
            log.warning("secrets cannot be decrypted, so deliveries wait: %s. See: %s", names, doctor)
        return [row for row in rows if row.id not in ids]


def of_webhook(webhook: Webhook, headers: Mapping[str, str], now: datetime) -> Receiver:
    """Return the receiver of a webhook as of now, with these headers in place of its own."""
    return receiver(webhook.id, *_values(webhook, json.dumps(dict(headers)), now))


def receiver(
    webhook_id: str,
    name: str,
    url: str,
    headers: str,
    needed: NeededSecrets,
    format_name: str = "json",
    key_only: bool = False,
    github_headers: bool = False,
    *,
    keyring: Keyring = NO_KEYS_KNOWN,
) -> Receiver:
    """Make a receiver from the values of a row, stored or decrypted. A wrong value becomes its `error`."""
    policy = FORMATS[format_name].policy if format_name in FORMATS else response_policy.standard
    mentions = format_name == "webmention"
    made = Receiver(
        webhook_id, name, url, {}, (), b"", policy=policy, mentions=mentions, github_headers=github_headers
    )
    try:
        own = _headers(headers, keyring, of_row(HEADER_PURPOSE, webhook_id))
        signs, seals = of_row(SECRET_PURPOSE, webhook_id), of_row(KEY_PURPOSE, webhook_id)
        text, old = (one and keyring.decrypt(one, signs) for one in needed[:2])
        private = (one and keyring.decrypt(one, seals) for one in needed[2:])
        keys = () if key_only else _keys(text, old)
        if url == VISITORS_URL:
            made = replace(made, is_visitors=True, policy=response_policy.visitor_email)
        return replace(made, headers=own, keys=keys, secret=(text or "").encode(), seeds=_seeds(*private))
    except ValueError as reason:
        is_locked = isinstance(reason, CannotDecrypt)
        return replace(made, error=f"{NOTHING_SENT}{reason}", is_locked=is_locked)


def _values(row: Row[Any] | Webhook, headers: str, now: datetime) -> tuple[Any, ...]:
    """Return what `receiver` takes after the id."""
    signs_alone, is_github = row.key_only_since is not None, row.github_headers_since is not None
    return row.name, row.url, headers, needed_secrets(row, now), row.format, signs_alone, is_github


def _headers(stored: str, keyring: Keyring, purpose: str) -> dict[str, str]:
    try:
        found = {str(key): str(value) for key, value in json.loads(stored).items()}
    except (ValueError, AttributeError, RecursionError):
        sentence = "the webhook's stored headers are not a JSON object of names and values."
        raise ValueError(sentence) from None
    return {name: keyring.decrypt(value, purpose) for name, value in found.items()}


def _keys(*secrets: str | None) -> tuple[bytes, ...]:
    try:
        return tuple(signatures.key_of(text) for text in secrets if text)
    except ValueError:
        raise ValueError(f"the webhook's stored secret is not {signatures.SECRET_FORMS}.") from None


def _seeds(*signing_keys: str | None) -> tuple[bytes, ...]:
    try:
        return tuple(signatures.seed_of(key) for key in signing_keys if key)
    except signatures.PackageMissing:
        command = installation.install_command(signatures.KEY_EXTRA)
        sentence = f"the package for signing with a key is missing. Install it with: {command}"
        raise ValueError(sentence) from None
    except ValueError:
        raise ValueError("the webhook's stored signing key is not a private key.") from None
