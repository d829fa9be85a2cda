"""A book in which nothing is harmless, written and read past all that is ours."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer

from guestbook.storage.column_types import UtcTime
from guestbook.storage.database import Base

TABLES = {table.name: table for table in Base.metadata.sorted_tables}
THEN = "2026-01-31T23:59:59.123Z"
HOSTILE = "🦋 \\ ' \" %s %(x)s :x ; -- \r\n\t\x01\x7f \u200b\ufeff\ufffe\U0010ffff e\u0301 \u00e9 ﷽ trailing "
LARGEST = 2**31 - 1

Named = tuple[str, dict[str, Any]]  # a table and its row
Dump = dict[str, list[tuple[Any, ...]]]


def row(table: str, **values: Any) -> Named:
    """Return a row of the table with these values, and as little as possible in its other columns."""
    return table, {one.name: _little(one) for one in TABLES[table].c} | values


def _little(column: "Column[Any]") -> object:
    if column.nullable:
        return None
    if isinstance(column.type, Integer):
        return 0
    return THEN if isinstance(column.type, UtcTime) else ""


def hostile() -> Iterator[Named]:
    """Give rows for every table: empty, NULL, as long as they may be, full of what escaping gets wrong."""
    yield from comments()
    yield from outgoing()
    yield from incoming()
    yield row("passes", id="p1", host=HOSTILE[:100], finished_at=None)
    yield row("days", day="2026-01-31", processed=LARGEST, failed=-1)
    for name in ("title", "per_page", "perpage", "per-page", "Title", "_", ""):
        yield row("settings", name=name, value=HOSTILE)
        yield row("book_state", name=name, value=HOSTILE)
    yield row("sessions", id="a" * 64, browser="~" * 200)
    yield row("tokens", id="t1", name=HOSTILE[:80], hash="0" * 64)
    yield row("limits", who="f" * 64, hits=3)
    yield row("seen_signatures", mark="0" * 64, event_id="f" * 32)
    yield row("idempotency_keys", id="e" * 64, request="f" * 64, answer=HOSTILE)
    names = {"actor_name": HOSTILE[:200], "object_name": "🦋" * 80}
    yield row("audit_log", id="a1", detail="é" * 500, number=LARGEST, **names)
    yield row("audit_log", id="a2", actor="token", action="logged_out", object="webhook", number=1)
    yield row("learned_words", hash="0" * 16, good=LARGEST, spam=0)
    yield row("refusals", id="2026-01-31 rate", day="2026-01-31", reason="rate", number=LARGEST)


def comments() -> Iterator[Named]:
    for number, status in enumerate(("published", "held", "spam", "trash")):
        yield row("comments", id=f"c{number}", name="🦋" * 80, message=HOSTILE * 40, status=status)
    full = {"website": "é" * 500, "reason": "ﷺ" * 200, "form_key": HOSTILE[:64]}
    yield row("comments", id="c4", status="held", **full)
    yield row("comments", id="c5", name="a ", message="🦋" * 16_000, status="held", form_key="k")
    yield row("comments", id="C5", name="a", message=" ", status="held", form_key="K", last_sequence=LARGEST)
    yield row("replies", comment_id="c1", message=HOSTILE)
    for number in range(1, 4):
        yield row("reply_addresses", id=f"c{number}", address=HOSTILE * 3, language="de", asked_at=THEN)
    yield row("text_marks", comment_id="c1", first="0" * 16, second="f" * 16)
    yield row("holds", comment_id="c1", held_at=THEN, action="reply")
    yield row("origins", comment_id="c2", name="N", url="u" * 500)


def outgoing() -> Iterator[Named]:
    yield row("webhooks", id="w1", url="x" * 2000, headers='{"a": "🦋"}', failures_in_a_row=LARGEST)
    keys = {"signing_key": "🦋" * 100, "previous_signing_key": "é" * 100}
    keys |= {"key_only_since": THEN, "moved_at": THEN}
    yield row("webhooks", id="w2", name=HOSTILE[:80], disabled_at=THEN, disabled_reason="gone", **keys)
    yield row(
        "receiver_links", id="l1", webhook_id="w2", name=HOSTILE[:80], revoked_at=THEN, last_used_at=THEN
    )
    counts = {"number": 2**53, "milliseconds": 2**62}
    yield row("attempt_counts", webhook_id="w1", outcome="failed", bound=0, **counts)
    yield row("templates", webhook_id="w2", text="{{ '🦋' }}" * 5_000)
    final = {"finished_at": THEN, "last_status_code": -1, "last_error": "🦋" * 300}
    leased = {"due_at": THEN, "claimed_by": "somebody's", "claims": 3}
    states = ("new", {"due_at": THEN}), ("processed", final), ("failed", final), ("new", leased)
    for number, (status, state) in enumerate(states):
        sent: dict[str, Any] = {"webhook_id": "w1", "payload": "é" * 32_000}
        sent |= {"comment_id": "c1", "sequence": LARGEST - number} if number else {}
        yield row("deliveries", id=f"d{number}", status=status, **sent, **state)
        for attempt in range(number):
            answer = {"response_headers": HOSTILE, "response_body": "\ufffd" * 16_384} if attempt else {}
            yield row("attempts", delivery_id=f"d{number}", number=attempt, triggered_by="test", **answer)


def incoming() -> Iterator[Named]:
    yield row("sources", id="s1", token="t", verify="none", action="log")
    scheme = {"header": "X-Signature", "scheme": '{"prefix": "🦋"}', "forwarded_in_full_since": THEN}
    proven = {"verify": "hmac", "secret": HOSTILE[:200], "template": HOSTILE, **scheme}
    yield row("sources", id="s2", token="T", action="comment", **proven)
    for number, body in enumerate((HOSTILE, "QUFB", "", "🦋")):
        state = {"status": "new", "due_at": THEN} if number % 2 else {"status": "failed", "error": "é" * 500}
        kept = {"id": f"i{number}", "source_id": "s1", "external_id": None if number > 1 else f"e{number}"}
        sent = {"payload": body, "encoding": "base64" if number == 1 else "text", "comment_id": "c3"}
        yield row("inbound_events", **kept, **sent, **state)
    yield row("bins", id="b1", token="b", answer_body="🦋" * 16_000)
    for number in range(3):
        yield row("bin_requests", id=f"r{number}", bin_id="b1", method="M" * 20, encoding="text", size=number)


def megabytes() -> Iterator[Named]:
    """Give as much as can come in, some of each: more than a portion holds."""
    for number, body in enumerate(("🦋" * 262_144, "A" * 1_398_104, "é" * 524_288, "B" * 1_000_000)):
        sent = {"source_id": "s2", "payload": body, "encoding": "text", "status": "failed"}
        yield row("inbound_events", id=f"m{number}", **sent)
    for number in range(12):
        captured = {"body": "B" * 349_528, "headers": "[]" * 50_000, "encoding": "base64", "size": 262_144}
        yield row("bin_requests", id=f"m{number}", bin_id="b1", **captured)


def write(path: Path, rows: Iterable[Named]) -> None:
    """Store rows in a book on SQLite."""
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA foreign_keys = ON")
        for table, values in rows:
            places = ", ".join("?" * len(values))
            raw.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", list(values.values()))


def change(path: Path, *sql: str) -> None:
    """Run statements in a book on SQLite."""
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA foreign_keys = ON")
        for one in sql:
            raw.execute(one)


def dump(path: Path) -> Dump:
    """Return every value of a book on SQLite as its bytes."""
    with closing(sqlite3.connect(path)) as raw:
        raw.text_factory = bytes
        return {name: sorted(raw.execute(f"SELECT * FROM {name}"), key=repr) for name in TABLES}
