"""A pass with nothing to do, on SQLite. It is the usual one, so it needs neither an app nor SQLAlchemy.

Anything due, unusual or broken is left to whole_pass.py. So is the first pass of each hour, which does the
rest of the housekeeping.
"""

import sqlite3
import time
from datetime import datetime, timedelta

from guestbook.background import retention_rules
from guestbook.lib import clock, ids, locks, retry_policy
from guestbook.lib.clock import REMIND_AFTER
from guestbook.lib.rate_counters import LONGEST_ROOM_WAIT, SHORT_SLOT_WAIT
from guestbook.lib.validate import PULL_URL
from guestbook.settings import Settings, database_url
from guestbook.storage import hosts_sharing_sqlite, plain_sql, schema_version, sqlite_file
from guestbook.storage.hosts_sharing_sqlite import HostNote
from guestbook.storage.plain_sql import IS_NEXT_SQL
from guestbook.storage.schema_version import Age

HOUR = len("2026-01-31T23")  # of a time as text
LOCK_WAIT = 1.0  # seconds for other writers
# What a whole pass would do, and how to find it. A query may find too much, but never too little.
WORK = {
    "send": f"""
        SELECT 1 FROM webhooks WHERE disabled_at IS NULL AND url <> '{PULL_URL}'
        AND coalesce(paused_until, '') <= :now
        AND (coalesce(next_slot_at, '') <= :soon OR next_slot_at > :latest_slot)
        AND EXISTS (
            SELECT 1 FROM deliveries WHERE webhook_id = webhooks.id AND due_at <= :now
            AND {IS_NEXT_SQL})
    """,
    "repair due times after a clock jump": f"""
        SELECT 1 FROM webhooks WHERE paused_until > :farthest OR EXISTS (
            SELECT 1 FROM deliveries WHERE webhook_id = webhooks.id AND due_at > :now
            AND (claimed_by IS NOT NULL OR due_at > :farthest OR attempts = 0 AND {IS_NEXT_SQL}))
    """,
    "process inbound events": """
        SELECT 1 FROM sources WHERE EXISTS (
            SELECT 1 FROM inbound_events WHERE source_id = sources.id
            AND (due_at > :now OR due_at <= :now AND sources.disabled_at IS NULL))
    """,
    "remind of held comments": """
        SELECT 1 FROM holds WHERE remind_at <= :now OR remind_at > :farthest_reminder
    """,
    "count the sources' budgets": """
        SELECT 1 FROM sources WHERE unproven_bytes <> (
            SELECT coalesce(sum(unproven_bytes), 0) FROM inbound_events WHERE source_id = sources.id
            AND status IN ('new', 'processed', 'failed') AND unproven_bytes > 0)
    """,
    "write public files": f"SELECT 1 FROM ({plain_sql.CHANGES}) AS changes",
    **{f"prune: {rule}": f"SELECT 1 FROM {table} WHERE {rule}" for table, rule in retention_rules.RULES},
}


def run(settings: Settings) -> bool:
    """Run the pass if there is nothing to do; return whether that was so."""
    file = database_url.plain_path(settings.database_url)
    if file is None or not (path := settings.data_dir / file).is_file():
        return False
    if hosts_sharing_sqlite.two_hosts(path, clock.now()):
        return False
    if settings.public_folder:
        from guestbook.background import public_files  # Most books have no use for it.

        if public_files.is_behind(settings):
            return False
    HostNote(settings, hosts_sharing_sqlite.PASS).renew()
    try:
        with sqlite_file.opened_plain(path, LOCK_WAIT) as (connection, info):
            now = clock.now()
            stored = [version for (version,) in connection.execute(schema_version.QUERY)]
            is_current = schema_version.age(stored) is Age.CURRENT  # The whole pass complains of others.
            if not is_current or not _is_idle(connection, settings, now):
                return False
            with locks.taken(settings.data_dir / locks.PASS) as held:
                if held:  # Else another pass is running, and does the work.
                    _record(connection, now)
            sqlite_file.check(info)
            return True
    except (sqlite3.Error, MemoryError):  # The whole pass says what is wrong.
        return False


def _is_idle(connection: sqlite3.Connection, settings: Settings, now: datetime) -> bool:
    """Whether the last pass was in this hour, and there has been nothing to do since."""
    text = clock.to_text(now)
    previous = connection.execute("SELECT max(started_at) FROM passes").fetchone()[0] or ""
    if previous[:HOUR] != text[:HOUR] or previous > text:
        return False
    moments = retention_rules.moments(settings, now)
    moments["farthest"] = clock.to_text(now + retry_policy.longest_wait(settings.retry_schedule))
    moments["farthest_reminder"] = clock.to_text(now + REMIND_AFTER)
    moments["soon"] = clock.to_text(now + timedelta(seconds=SHORT_SLOT_WAIT))
    moments["latest_slot"] = clock.to_text(now + timedelta(seconds=LONGEST_ROOM_WAIT))
    return not any(connection.execute(f"{query} LIMIT 1", moments).fetchone() for query in WORK.values())


def _record(connection: sqlite3.Connection, started_at: datetime) -> None:
    sqlite_file.begin_immediate(connection, time.monotonic() + LOCK_WAIT)
    row = ids.new(), clock.to_text(started_at), clock.to_text(clock.now()), ids.host_name()
    columns = "id, started_at, finished_at, host, processed, retried, failed"
    connection.execute(f"INSERT INTO passes ({columns}) VALUES (?, ?, ?, ?, 0, 0, 0)", row)
    connection.execute("COMMIT")
    sqlite_file.clear_wal(connection)
