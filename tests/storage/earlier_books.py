"""A book of the baseline, the first version that is upgraded: its schema.sql, with a row in every table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from guestbook.storage import database
from tests.repo.test_schema import engine_on
from tests.support import databases

BASELINE = Path(__file__).parent / "schemas" / "0024.sql"  # schema.sql of commit 06c88a99
WHEN = "2026-01-31T23:59:59.123Z"
# What each table has one row of.
ROWS: dict[str, dict[str, object]] = {
    "webhooks": {
        "id": "w" * 32, "name": "Bot", "url": "https://example.org/", "format": "json", "events": "ping",
        "headers": "{}", "secret": "whsec_1", "previous_secret": "whsec_0",
        "previous_secret_expires_at": WHEN, "created_at": WHEN, "disabled_at": None, "disabled_reason": None,
        "paused_until": WHEN, "failures_in_a_row": 1, "unreachable_in_a_row": 1, "failing_since": WHEN,
    },
    "comments": {
        "id": "c" * 32, "name": "Zoë 🦋", "website": "https://zoe.example/", "message": "Hello\n\n“all”",
        "status": "held", "reason": "links", "form_key": "f" * 64, "created_at": WHEN, "announced_at": WHEN,
        "edited_at": WHEN,
    },
    "deliveries": {
        "id": "d" * 32, "payload": '{"type": "comment.created"}', "status": "new", "event_id": "e" * 32,
        "event": "comment.created", "webhook_id": "w" * 32, "comment_id": "c" * 32, "created_at": WHEN,
        "due_at": WHEN, "claimed_by": None, "claims": 1, "attempts": 1, "schedule_start": 0,
        "finished_at": None, "last_status_code": 500, "last_error": "HTTP 500", "erased_at": None,
    },
    "attempts": {
        "delivery_id": "d" * 32, "number": 1, "triggered_by": "schedule", "started_at": WHEN,
        "milliseconds": 12, "status_code": 500, "error": None, "request_headers": "{}",
        "response_headers": "{}", "response_body": "no",
    },
    "replies": {"comment_id": "c" * 32, "message": "Thanks", "created_at": WHEN},
    "passes": {
        "id": "p" * 32, "started_at": WHEN, "finished_at": WHEN, "host": "a", "processed": 0, "retried": 1,
        "failed": 0,
    },
    "days": {"day": "2026-01-30", "processed": 3, "failed": 1},
    "settings": {"name": "title", "value": "Our book"},
    "sessions": {"id": "s" * 64, "browser": "Firefox", "created_at": WHEN, "expires_at": WHEN},
    "tokens": {
        "id": "t" * 32, "name": "Script", "hash": "h" * 64, "created_at": WHEN, "scope": "manage",
        "expires_at": None, "last_used_at": None,
    },
    "limits": {"who": "l" * 64, "hits": 2, "since": WHEN, "last_at": WHEN},
    "sources": {
        "id": "o" * 32, "name": "GitHub", "token": "k" * 43, "verify": "github", "header": None,
        "secret": "shh", "previous_secret": None, "previous_secret_expires_at": None, "action": "comment",
        "template": "{{ event }}", "relayed_since": WHEN, "budget_mb": 50, "unproven_bytes": 0,
        "created_at": WHEN, "disabled_at": None,
    },
    "inbound_events": {
        "id": "i" * 32, "source_id": "o" * 32, "external_id": "x1", "event": "push", "sender": "ada",
        "headers": "{}", "payload": "{}", "encoding": "text", "unproven_bytes": 0, "status": "processed",
        "attempts": 1, "claims": 1, "due_at": None, "claimed_by": None, "error": None, "note": "a comment",
        "comment_id": "c" * 32, "received_at": WHEN, "processed_at": WHEN, "erased_at": None,
    },
    "origins": {"comment_id": "c" * 32, "name": "GitHub", "url": "https://a.example/1", "told_at": WHEN},
    "templates": {"webhook_id": "w" * 32, "text": "{}"},
    "bins": {
        "id": "b" * 32, "name": "Bin", "token": "n" * 43, "answer_status": 200, "answer_body": "ok",
        "answer_type": "text/plain", "delay_milliseconds": 0, "failures_left": 0, "created_at": WHEN,
    },
    "bin_requests": {
        "id": "r" * 32, "bin_id": "b" * 32, "method": "POST", "path": "/", "query": "", "headers": "[]",
        "body": "Grüße", "encoding": "text", "size": 7, "answered": 200, "received_at": WHEN,
        "event_id": None,
    },
    "holds": {"comment_id": "c" * 32, "held_at": WHEN, "remind_at": WHEN},
    "audit_log": {
        "id": "a" * 32, "at": WHEN, "actor": "admin", "action": "changed", "object": "look", "number": 1,
    },
    "idempotency_keys": {"id": "y" * 64, "request": "q" * 64, "answer": "sealed", "created_at": WHEN},
    "learned_words": {"hash": "1" * 16, "good": 1, "spam": 2, "changed_at": WHEN},
    "text_marks": {"comment_id": "c" * 32, "first": "2" * 16, "second": "3" * 16},
    "refusals": {"id": "2026-01-30 rate", "day": "2026-01-30", "reason": "rate", "number": 2},
    "receiver_links": {
        "id": "v" * 32, "webhook_id": "w" * 32, "name": "Ada", "created_at": WHEN, "expires_at": WHEN,
    },
}  # fmt: skip


def fill(engine: Engine) -> None:
    """Make the tables of the baseline, with their rows."""
    with database.write(engine) as connection:
        for statement in database.statements(BASELINE.read_text()):
            connection.exec_driver_sql(statement)
        if engine.dialect.name == "postgresql":
            for statement in database.AUTOVACUUM_STATEMENTS:
                connection.exec_driver_sql(statement)
        for table, row in ROWS.items():
            places = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"), row)


def rows(engine: Engine) -> dict[str, list[dict[str, object]]]:
    """Return all rows of all tables but the version's and a label's."""
    with engine.connect() as connection:
        tables = sorted(set(inspect(connection).get_table_names()) - {"alembic_version", "backup"})
        return {
            table: [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]
            for table in tables
        }


@contextmanager
def earlier(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a book of the baseline."""
    with databases.fresh(kind, folder) as url:
        with engine_on(url) as engine:
            fill(engine)
        yield url
