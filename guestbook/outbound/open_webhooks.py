"""Which webhooks may be sent to now, and which of them have something due. Each tick of a pass asks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from guestbook.outbound import receivers
from guestbook.storage.column_types import UtcTime
from guestbook.storage.models import FIRST_DUE, Delivery, Webhook


def open_ids(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of those that are neither disabled, paused nor pulled."""
    return connection.scalars(_OPEN, {"now": now}).all()


def with_due(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """Return the open ones that have something due, with `RECEIVER_COLUMNS` and their health."""
    return connection.execute(_WITH_DUE, {"now": now}).all()


def among(connection: Connection, webhook_ids: Collection[str], now: datetime) -> Sequence[Row[Any]]:
    """Return the open ones of these, with the same columns."""
    if not webhook_ids:
        return ()
    return connection.execute(_OPEN_ROWS.where(Webhook.id.in_(webhook_ids)), {"now": now}).all()


# Made once: to make them takes longer than to run them.
_NOW: Any = bindparam("now", type_=UtcTime)
_OPEN = select(Webhook.id).where(Webhook.open_at(_NOW))
# Whether the receiver has answered before: the newest delivery that has ended tells, for nearly all webhooks.
_BY_DUE = "FORCE INDEX (deliveries_by_due)"  # MariaDB would read the newest rows of all webhooks
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
_COLUMNS = *receivers.RECEIVER_COLUMNS, Webhook.unreachable_in_a_row, Webhook.rate, _ANSWERED_BEFORE
_OPEN_ROWS = select(*_COLUMNS).where(Webhook.open_at(_NOW))
_WITH_DUE = _OPEN_ROWS.where(FIRST_DUE <= _NOW)
