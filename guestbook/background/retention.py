"""Prune: remove what is older than the retention, in batches so small that nobody waits for them."""

import time
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Table, and_, select

from guestbook.auth import rate_limit
from guestbook.lib import clock, ids
from guestbook.settings import Settings
from guestbook.storage import batch_delete
from guestbook.storage.models import (
    BIN_REQUESTS,
    DELIVERIES,
    INBOUND,
    LIMITS,
    LOGINS,
    PASSES,
    Source,
    Webhook,
)

PAUSE = 0.03  # seconds between two batches, for the web's turn
KEEP_PASSES = timedelta(days=30)
KEEP_CAUGHT = timedelta(days=7)
KEEP_UNPROVEN = timedelta(days=7)  # inbound events that were refused: only what is proven stays for longer


def prune(engine: Engine, settings: Settings, *, until: float) -> int:
    """Remove old deliveries, inbound events and what is over; stop when the monotonic clock is there.

    Returns how many rows went, attempts not counted. What waits for a disabled webhook or source
    goes when it is as old as failed ones may become; all others that wait stay.
    """
    now = clock.now()
    removed = 0
    for table, condition in _conditions(settings, now):
        while time.monotonic() < until:
            count = batch_delete.delete_batch(engine, table, condition)
            removed += count
            if count < batch_delete.BATCH_SIZE:
                break
            time.sleep(PAUSE)
    return removed


def _conditions(settings: Settings, now: datetime) -> list[tuple[Table, ColumnElement[bool]]]:
    keep_processed = now - timedelta(days=settings.keep_processed_days)
    keep_failed = now - timedelta(days=settings.keep_failed_days)
    rows = DELIVERIES.c
    waits_in_vain = rows.webhook_id.in_(select(Webhook.id).where(Webhook.disabled_at.is_not(None)))
    came = INBOUND.c
    stays = came.source_id.in_(select(Source.id).where(Source.disabled_at.is_not(None)))
    keep_unproven = now - KEEP_UNPROVEN
    asks_for_proof = came.source_id.in_(select(Source.id).where(Source.verify != "none"))
    refused = asks_for_proof & came.status.in_(("processed", "failed")) & (came.unproven_bytes > 0)
    return [
        (DELIVERIES, and_(rows.status == "processed", rows.finished_at < keep_processed)),
        (DELIVERIES, and_(rows.status == "failed", rows.finished_at < keep_failed)),
        (DELIVERIES, and_(rows.status == "new", rows.created_at < keep_failed, waits_in_vain)),
        (INBOUND, and_(came.status == "processed", came.processed_at < keep_processed)),
        (INBOUND, and_(came.status == "failed", came.processed_at < keep_failed)),
        (INBOUND, and_(came.status == "new", came.received_at < keep_failed, stays)),
        (INBOUND, and_(refused, came.id < ids.first_of(keep_unproven), came.processed_at < keep_unproven)),
        (PASSES, PASSES.c.started_at < now - KEEP_PASSES),
        (BIN_REQUESTS, BIN_REQUESTS.c.received_at < now - KEEP_CAUGHT),
        (LOGINS, LOGINS.c.expires_at < now),
        (LIMITS, LIMITS.c.last_at < now - rate_limit.FORGET_AFTER),
    ]
