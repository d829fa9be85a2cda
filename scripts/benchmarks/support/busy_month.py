"""A book after a busy month: comments, deliveries with their attempts, and a pass of cron a minute."""

import random
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, cast

import click
from sqlalchemy import Table, insert, select

from guestbook.lib import clock, ids
from guestbook.outbound import formats
from guestbook.queries import stats
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, PASSES, Comment, Reply, Webhook
from scripts.benchmarks.support import temp_book

CHUNK = 10_000
LASTS = timedelta(days=30)
WEBHOOKS = 10
PASSES_MADE = 43_000  # about one a minute
STATUSES = ("published",) * 93 + ("held",) * 2 + ("spam",) * 4 + ("trash",)
EVENTS = ("comment.created",) * 6 + ("comment.published",) * 3 + ("comment.deleted",)
RARE = "marmalade"  # in one comment of a thousand, so that a search has something to look for
FATES = ("processed",) * 98 + ("failed",) * 2
RETRIES_LAST = timedelta(days=3)
WAITING = 0.1  # of what was made since then
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "guestbook/0.1.0",
    "webhook-id": "0" * 32,
    "webhook-timestamp": "1700000000",
    "X-Guestbook-Event": "comment.created",
    "X-Guestbook-Attempt": "1",
}
ANSWER = {"Server": "nginx", "Date": "Tue, 03 Mar 2026 10:00:00 GMT", "Content-Type": "text/plain"}

Rows = Iterable[dict[str, Any]]


def fill(deliveries: int, comments: int, settings: Settings) -> None:
    """Fill the empty book around us; the same numbers give the same book, but for its ids."""
    luck = random.Random(1)
    start = clock.now() - LASTS
    temp_book.add_webhooks([9] * WEBHOOKS)
    signed = list(_comments(comments, start, luck))
    store("comments", cast(Table, Comment.__table__), signed)
    answered = (
        {"comment_id": row["id"], "message": "Thank you!", "created_at": start} for row in signed[::20]
    )
    store("replies", cast(Table, Reply.__table__), answered)
    store("passes", PASSES, passes(start, luck))
    _say(f"{deliveries:,} deliveries, each with its attempt")
    for made in _chunks(_deliveries(deliveries, signed, luck)):
        _insert(DELIVERIES, made)
        _insert(ATTEMPTS, [_attempt(row, luck) for row in made])
    stats.settle(db.engine, settings, clock.now())  # as each pass does


def _comments(count: int, start: datetime, luck: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(count):
        moment = start + LASTS * number / count
        words = luck.sample(temp_book.MESSAGE.split(), 12) * luck.randint(1, 4)
        if number % 1000 == 500:
            words.append(RARE)
        yield {
            "id": id_at(moment),
            "name": f"Visitor {number}",
            "website": "https://visitor.example/" if number % 3 == 0 else None,
            "message": " ".join(words),
            "status": luck.choice(STATUSES),
            "created_at": cut(moment),
        }


def passes(start: datetime, luck: random.Random) -> Iterator[dict[str, Any]]:
    """Give a pass a minute, from that moment on."""
    for number in range(PASSES_MADE):
        moment = start + LASTS * number / PASSES_MADE
        yield {
            "id": id_at(moment),
            "started_at": cut(moment),
            "finished_at": cut(moment + timedelta(seconds=luck.random())),
            "host": "bench",
            "processed": luck.randint(0, 40),
            "retried": luck.randint(0, 2),
            "failed": 0,
        }


def _deliveries(count: int, signed: list[dict[str, Any]], luck: random.Random) -> Iterator[dict[str, Any]]:
    """Give those of one comment after the other, to each webhook in turn."""
    with db.engine.connect() as connection:
        webhooks = connection.scalars(select(Webhook.id).order_by(Webhook.id)).all()
    about, payloads = None, {}
    for number in range(count):
        comment = signed[number * len(signed) // count]
        if comment is not about:
            about, payloads = comment, _payloads(comment)
        event = EVENTS[number % len(EVENTS)]
        moment = comment["created_at"]
        yield {
            "id": id_at(moment),
            "event_id": comment["id"],
            "webhook_id": webhooks[number % len(webhooks)],
            "comment_id": comment["id"],
            "event": event,
            "payload": payloads[event],
            "created_at": moment,
            "schedule_start": 0,
            **_fate(moment, luck),
        }


def _payloads(comment: dict[str, Any]) -> dict[str, str]:
    """Return what is sent of a comment, by event."""
    shown = Comment(**comment).public("https://book.example")
    data = {"comment": shown, "guestbook": {"title": "Guestbook", "url": "https://book.example"}}
    return {
        event: formats.render("json", formats.FormatInput(event, comment["created_at"], data))
        for event in set(EVENTS)
    }


def _fate(moment: datetime, luck: random.Random) -> dict[str, Any]:
    """Return the columns of one that was tried once, half a minute after its comment."""
    waits = clock.now() - moment < RETRIES_LAST and luck.random() < WAITING
    status = "new" if waits else luck.choice(FATES)
    right = status == "processed"
    return {
        "status": status,
        "attempts": 1,
        "claims": 1,
        "due_at": clock.now() + timedelta(hours=luck.randint(1, 24)) if status == "new" else None,
        "finished_at": None if status == "new" else moment + timedelta(seconds=30),
        "last_status_code": 200 if right else 500,
        "last_error": None if right else "The receiver answered 500 Internal Server Error.",
    }


def _attempt(delivery: dict[str, Any], luck: random.Random) -> dict[str, Any]:
    return {
        "delivery_id": delivery["id"],
        "number": 1,
        "triggered_by": "schedule",
        "started_at": delivery["created_at"] + timedelta(seconds=30),
        "milliseconds": round(luck.lognormvariate(4.8, 0.6)),
        "status_code": delivery["last_status_code"],
        "error": delivery["last_error"],
        "request_headers": HEADERS,
        "response_headers": ANSWER,
        "response_body": "ok",
    }


def store(name: str, table: Table, rows: Rows) -> None:
    """Store rows, some at a time, and say so."""
    _say(name)
    for chunk in _chunks(rows):
        _insert(table, chunk)


def _say(what: str) -> None:
    click.echo(f"storing {what} …", err=True)


def _chunks(rows: Rows) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _insert(table: Table, rows: list[dict[str, Any]]) -> None:
    with database.write(db.engine) as connection:
        connection.execute(insert(table), rows)


def id_at(moment: datetime) -> str:
    """Return an id that was made at that moment."""
    return ids.first_of(moment)[:12] + f"7{secrets.randbits(12):03x}8{secrets.randbits(60):015x}"


def cut(moment: datetime) -> datetime:
    """Return the moment in whole milliseconds, as the tables keep it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
