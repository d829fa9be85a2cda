"""Prune: remove what is older than the retention, in batches so small that nobody waits for them."""

import time
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine, Table, TextClause, text

from guestbook.background import retention_rules
from guestbook.lib import clock
from guestbook.settings import Settings
from guestbook.storage import batch_delete
from guestbook.storage.database import Base

PAUSE = 0.03  # seconds between two batches, for the web's turn


def prune(engine: Engine, settings: Settings, *, until: float) -> int:
    """Remove old deliveries, inbound events and the like; stop at that moment of the monotonic clock.

    Returns how many rows went, attempts not counted. Rows that wait for a disabled webhook or source go when
    they are as old as failed ones may become; all other waiting rows stay.
    """
    removed = 0
    for table, condition in conditions(settings, clock.now()):
        while time.monotonic() < until:
            count = batch_delete.delete_batch(engine, table, condition)
            removed += count
            if count < batch_delete.BATCH_SIZE:
                break
            time.sleep(PAUSE)
    return removed


def conditions(settings: Settings, now: datetime) -> Iterator[tuple[Table, TextClause]]:
    """Return the tables with the rules that say which of their rows go."""
    moments = retention_rules.moments(settings, now)
    for table, rule in retention_rules.RULES:
        used = {name: moments[name] for name in moments if f":{name}" in rule.split()}
        yield Base.metadata.tables[table], text(rule).bindparams(**used)
