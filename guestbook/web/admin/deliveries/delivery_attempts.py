"""The attempts of a delivery, some on each page."""

import re

from flask import abort
from sqlalchemy import select

from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery

ATTEMPTS_SHOWN = 20  # per page; each may hold 16 KiB


def latest(delivery: Delivery, before: str | None) -> tuple[list[Attempt], int | None]:
    """Return the latest attempts, and the number before which there are more."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number.desc())
    if before is not None:
        query = query.where(Attempt.number < number(before))
    rows = list(db.session.scalars(query.limit(ATTEMPTS_SHOWN + 1)))
    return rows[:ATTEMPTS_SHOWN], rows[ATTEMPTS_SHOWN - 1].number if len(rows) > ATTEMPTS_SHOWN else None


def number(typed: str) -> int:
    """Return the number of an attempt in an address; 404 for what is none."""
    return int(typed) if re.fullmatch("[0-9]{1,9}", typed) else abort(404)
