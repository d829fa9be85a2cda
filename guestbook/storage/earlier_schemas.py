"""The schemas from before books had a version: which of them a book has, by its tables and columns."""

from sqlalchemy import Engine, inspect

from guestbook.lib.errors import Refused

FIRST = {  # some columns of the first schema that no other program's tables will have
    "comments": {"id", "message", "form_key"},
    "webhooks": {"id", "secret", "unreachable_in_a_row"},
    "deliveries": {"id", "payload", "status", "schedule_start"},
    "attempts": {"delivery_id", "triggered_by"},
    "passes": {"id", "started_at", "retried"},
}
MARKS = {  # by version, what it was the first to have; 0004 has only changed the order of indexes
    "0002": {"replies": {"comment_id"}, "days": {"day"}, "limits": {"who"}, "tokens": {"hash"}},
    "0003": {"sources": {"relayed_since"}, "bins": {"answer_type"}, "origins": {"told_at"}},
    "0005": {"tokens": {"scope", "expires_at", "last_used_at"}},
    "0006": {"sources": {"budget_mb"}, "inbound_events": {"unproven_bytes"}},
    "0007": {"comments": {"announced_at"}, "deliveries": {"erased_at"}, "bin_requests": {"event_id"}},
}


def recognise(engine: Engine) -> str:
    """Return the version whose tables the book has; raises Refused for tables of another program."""
    seen = inspect(engine).get_multi_columns()  # of all tables at a time, which PostgreSQL answers sooner
    found = {table: {one["name"] for one in columns} for (_, table), columns in seen.items()}
    for table, columns in FIRST.items():
        if not columns <= found.get(table, set()):
            raise Refused(f"This database has tables of another program: its {table} are no guestbook's.")
    version = "0001"
    for later, marks in MARKS.items():
        if not all(columns <= found.get(table, set()) for table, columns in marks.items()):
            break
        version = later
    return version
