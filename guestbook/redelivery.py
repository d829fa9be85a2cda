"""Redeliver many: say first what it would be, then do it, some at a time. Commands and buttons call these."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from guestbook import clock, outbox
from guestbook.database import writing
from guestbook.models import Delivery, Webhook

BITE = 500  # rows made due again in one transaction


@dataclass(frozen=True, slots=True)
class Part:
    """What would go out again to one webhook."""

    name: str
    disabled: bool  # so it would wait
    count: int
    in_hand: int  # beside them, those that a pass is sending just now, which are left alone


def forecast(session: Session, which: ColumnElement[bool], now: datetime) -> list[Part]:
    """Say what would be redelivered, by webhook."""
    in_hand = func.count(case((Delivery.leased_at(now), 1)))
    query = select(Webhook.name, Webhook.disabled_at, func.count(), in_hand)
    query = query.join_from(Delivery, Webhook, Delivery.webhook_id == Webhook.id).where(which)
    query = query.group_by(Webhook.id, Webhook.name, Webhook.disabled_at).order_by(Webhook.name, Webhook.id)
    rows = session.execute(query)
    return [
        Part(name, disabled_at is not None, count - leased, leased)
        for name, disabled_at, count, leased in rows
    ]


def run(which: ColumnElement[bool]) -> int:
    """Redeliver them in transactions of its own, so that visitors can write in between. Returns how many."""
    count, last = 0, ""
    while True:
        with writing() as session:
            # By id: one that a pass gives up again meanwhile must not come round a second time.
            query = select(Delivery).where(which, Delivery.id > last).order_by(Delivery.id).limit(BITE)
            rows = session.scalars(query).all()
            last = rows[-1].id if rows else last
            count += len(outbox.redeliver(session, rows, clock.now()))
        if len(rows) < BITE:
            return count


def total(parts: Sequence[Part]) -> int:
    """Return how many would go out again, to all webhooks."""
    return sum(part.count for part in parts)
