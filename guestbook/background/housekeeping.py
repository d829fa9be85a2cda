"""Housekeeping of a pass: prune old rows, remind the owner, and log what cron mails.

The batches are so small that nobody waits for them.
"""

import logging
import time
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine, Table, TextClause, text

from guestbook.background import retention_rules
from guestbook.comments import announcements
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.outbound.attempt_recorder import Tally
from guestbook.settings import Settings, installation
from guestbook.storage import database, row_changes
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
            count = row_changes.delete_batch(engine, table, condition)
            removed += count
            if count < row_changes.BATCH_SIZE:
                break
            time.sleep(PAUSE)
    return removed


def conditions(settings: Settings, now: datetime) -> Iterator[tuple[Table, TextClause]]:
    """Return the tables with the rules that say which of their rows go."""
    moments = retention_rules.moments(settings, now)
    for table, rule in retention_rules.RULES:
        used = {name: moments[name] for name in moments if f":{name}" in rule.split()}
        yield Base.metadata.tables[table], text(rule).bindparams(**used)


log = logging.getLogger(__name__)


def are_due(engine: Engine) -> bool:
    """Whether the owner should be reminded now; it only reads."""
    with database.read(engine) as connection:
        return announcements.is_reminder_due(connection)


def remind(engine: Engine, settings: Settings) -> None:
    """Store the reminder, if one is due; the same pass sends it."""
    if not are_due(engine):
        return
    count = database.write_with_retry(engine, lambda connection: announcements.remind(connection, settings))
    if count:
        log.info("Reminded of %s.", counted(count, "held comment"), extra={"held_comments": count})


def log_warnings(tally: Tally) -> None:
    """Log what cron mails to the owner: one line a webhook, however many deliveries it cost."""
    for (name, webhook_id), count in sorted(tally.given_up.items()):
        log.warning(
            "%s given up for webhook %s. See: %s",
            "1 delivery was" if count == 1 else f"{count} deliveries were",
            name,
            installation.typed(f"deliveries list --status failed --webhook {webhook_id}"),
            extra={"webhook_id": webhook_id, "deliveries": count},
        )
    if tally.local_error:
        log.warning("the pass ended early, and what is due waits. %s", tally.local_error)
    elif tally.host_limit:  # After an early end the line above has it.
        log.warning("%s", tally.host_limit)
    for line in tally.disabled:
        log.warning("%s.", line)
