"""A flood: more comments in a minute than the owner allows. Then all are held for an hour."""

import logging
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Connection

from guestbook.auth import rate_limit
from guestbook.storage import audit_log

FLOOD_WINDOW = timedelta(minutes=1)
HOLD_FOR = timedelta(hours=1)

log = logging.getLogger(__name__)


def pass_one(connection: Connection, secret_key: str, now: datetime, most: int) -> datetime | None:
    """Count a comment that would be published; return until when all are held, None while there is no flood.

    The caller's transaction must write.
    """
    if ends := held_until(connection, secret_key, now):
        return ends
    if not rate_limit.take(connection, _count(secret_key), now, most=most, within=FLOOD_WINDOW):
        return None
    rate_limit.take(connection, _hold(secret_key), now, most=1, within=HOLD_FOR)
    log.warning(
        "More than %s comments came within a minute, so new ones are held for an hour. Look at them under "
        "Comments, and at the page Spam.",
        f"{most:,}",
    )
    return now + HOLD_FOR


def held_until(connection: Connection, secret_key: str, now: datetime) -> datetime | None:
    """Return until when comments are held because of a flood, None while there is none."""
    return rate_limit.ends_at(connection, _hold(secret_key), now, within=HOLD_FOR)


def end_flood(connection: Connection, secret_key: str) -> None:
    """Stop holding comments, and count from zero again."""
    audit_log.record(connection, "ended", "flood")
    # In the order of pass_one, so that the two cannot wait for each other.
    rate_limit.forget(connection, _count(secret_key))
    rate_limit.forget(connection, _hold(secret_key))


@lru_cache(maxsize=2)  # the same for all comments
def _count(secret_key: str) -> str:
    return rate_limit.who(secret_key, "flood")


@lru_cache(maxsize=2)
def _hold(secret_key: str) -> str:
    return rate_limit.who(secret_key, "flood hold")
