"""Rows for tests: webhooks, comments and deliveries as the book makes them, and a pass that sends them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Flask, current_app, has_app_context
from sqlalchemy import Table, insert, select, update
from sqlalchemy.orm import Session

from guestbook.background import whole_pass
from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, ids
from guestbook.outbound.attempt_recorder import Tally
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import (
    DELIVERIES,
    Attempt,
    Comment,
    Delivery,
    InboundEvent,
    Pass,
    Source,
    Webhook,
)

PUBLISHED = Classification("published")
HELD = Classification("held", ("It holds 9 links.",))
SPAM = Classification("spam", ("It filled in the hidden field.",))
OPTIONS = whole_pass.Options(max_seconds=20, concurrency=8)


P = ParamSpec("P")
T = TypeVar("T")
books: list[Flask] = []  # the apps that run, the newest last


def in_book(do: Callable[P, T]) -> Callable[P, T]:
    """Let a function be called where no app is around, too: it works in the book that was opened last."""

    @wraps(do)
    def run(*given: P.args, **named: P.kwargs) -> T:
        if has_app_context():
            return do(*given, **named)
        with books[-1].app_context():
            return do(*given, **named)

    return run


@in_book
def settings() -> Settings:
    """Return the settings of the app around the test."""
    return current_app.config["GUESTBOOK"]


def change_settings(**values: Any) -> Settings:
    """Let the app around the test have other settings; return them."""
    changed = replace(settings(), **values)
    current_app.config["GUESTBOOK"] = changed
    return changed


@in_book
def webhook(url: str = "https://receiver.example/hook", **values: Any) -> str:
    """Store a webhook and return its id."""
    row = Webhook(**{"name": "one", "url": url, "events": "comment.created", "headers": {}, **values})
    with database.writing() as session:
        session.add(row)
        session.flush()
        return row.id


def sign(message: str = "Hello", name: str = "Ada", verdict: Classification = PUBLISHED) -> str:
    """Sign the book, with all that follows from it, and return the comment's id."""
    return sign_draft(Draft(name, None, message, {}), verdict)


@in_book
def sign_draft(draft: Draft, verdict: Classification = PUBLISHED) -> str:
    """The same from a draft."""
    return written(lambda session: comment_actions.sign(session, draft, verdict, settings=settings()).id)


@in_book
def written(do: Callable[[Session], T]) -> T:
    """Do it in a transaction that writes."""
    with database.writing() as session:
        return do(session)


@in_book
def execute(*statement: Any) -> None:
    """Run a statement that writes."""
    with database.write(db.engine) as connection:
        connection.execute(*statement)


@in_book
def sql(statement: str) -> None:
    """Do to the tables what only somebody with a shell does."""
    with database.write(db.engine) as connection:
        connection.exec_driver_sql(statement)


@in_book
def alter(model: type[Any], row_id: str, **values: Any) -> None:
    """Change columns of a row, and let nothing follow from it."""
    with database.writing() as session:
        row = session.get_one(model, row_id)
        for name, value in values.items():
            setattr(row, name, value)


@in_book
def change(comment_id: str, do: Callable[..., object], *values: Any) -> None:
    """Let a function such as `comment_actions.move` do it to a comment."""

    def once(session: Session) -> None:
        [comment] = comment_actions.lock(session, [comment_id])
        do(session, comment, *values, settings())

    written(once)


@in_book
def delivery(webhook_id: str, **values: Any) -> str:
    """Store a delivery that is due now, or as the values say, and return its id."""
    made = {"event_id": ids.new(), "webhook_id": webhook_id, "event": "comment.created", "payload": "{}"}
    return _queued(DELIVERIES, "created_at", "finished_at", made | {"schedule_start": 0} | values)


def _queued(table: Table, since: str, end: str, values: dict[str, Any]) -> str:
    """Store a row of a queue that is due now, or as the values say; the id has the time that they name."""
    now = clock.now()
    made = ids.first_of(values[since])[:12] if since in values else ""
    row = {"id": made + ids.new()[len(made) :], since: now, "due_at": now, "status": "new", **values}
    if row["status"] != "new":
        row |= {"due_at": None, end: values.get(end, now)}
    execute(insert(table).values(**{"attempts": 0, "claims": 0, **row}))
    return str(row["id"])


@in_book
def attempt(delivery_id: str, **values: Any) -> None:
    """Store an attempt that the receiver answered with 500, or as the values say."""
    row = {"delivery_id": delivery_id, "number": 1, "triggered_by": "schedule", "started_at": clock.now()}
    row |= {"milliseconds": 12, "status_code": 500, "error": "The receiver answered 500."}
    row |= {"request_headers": {"webhook-id": "x"}, "response_headers": {"Server": "s"}}
    row |= {"response_body": "oops", **values}
    execute(insert(Attempt).values(**row))


@in_book
def source(**values: Any) -> str:
    """Store a source that verifies nothing and logs, or as the values say, and return its id."""
    row = {"name": "Robot", "token": ids.new(), "verify": "none", "action": "log", **values}
    with database.writing() as session:
        stored = Source(**row)
        session.add(stored)
        session.flush()
        return stored.id


@in_book
def inbound(source_id: str, **values: Any) -> str:
    """Store an inbound event that is due now, or as the values say, and return its id."""
    given = {"source_id": source_id, "headers": {"content-type": "application/json"}}
    body = {"payload": "{}", "encoding": "text"}
    return _queued(InboundEvent.__table__, "received_at", "processed_at", given | body | values)


@in_book
def run_pass(**options: Any) -> Tally:
    """Run one pass in this process."""
    db.session.rollback()
    report = whole_pass.run(db.engine, settings(), OPTIONS, **options)
    return report.outbox


@in_book
def all_due() -> None:
    """Let the time come for all that waits."""
    past = clock.now() - timedelta(seconds=1)
    with database.write(db.engine) as connection:
        connection.execute(DELIVERIES.update().where(DELIVERIES.c.status == "new").values(due_at=past))
        connection.execute(update(Webhook).values(paused_until=None))


@in_book
def past_pass(ago: timedelta, *, ended: bool = True, **did: int) -> None:
    """Store a pass that came so long ago, and ended at once or is at work."""
    db.session.rollback()
    started = clock.now() - ago
    row = {"id": ids.new(), "started_at": started, "host": "here", **did}
    execute(insert(Pass).values(**row, finished_at=started if ended else None))


@in_book
def read(do: Callable[[Session], T]) -> T:
    """Do it with a session that reads, and keep no transaction open: it would stop writers of a journal."""
    db.session.rollback()
    found = do(db.session())
    db.session.expunge_all()
    db.session.rollback()
    return found


def rows(model: type[Any]) -> list[Any]:
    """Return all rows of a table, oldest first, as they are now."""
    return _now(select(model).order_by(model.id))


@in_book
def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables."""
    with db.engine.connect() as connection:
        return {
            name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for name, table in db.metadata.tables.items()
        }


def deliveries() -> list[Delivery]:
    """Return all deliveries, oldest first, as they are now."""
    return rows(Delivery)


def one() -> Delivery:
    """Return the only delivery."""
    [row] = deliveries()
    return row


def inbound_events() -> list[InboundEvent]:
    """Return all inbound events, oldest first, as they are now."""
    return rows(InboundEvent)


def comments() -> list[Comment]:
    """Return all comments, oldest first, as they are now."""
    return rows(Comment)


def attempts(delivery_id: str | None = None) -> list[Attempt]:
    """Return the attempts of a delivery, or all."""
    query = select(Attempt).order_by(Attempt.delivery_id, Attempt.number)
    return _now(query.where(Attempt.delivery_id == delivery_id) if delivery_id else query)


def the(model: type[Any], row_id: str) -> Any:
    """Return a row as it is now."""
    [row] = _now(select(model).where(model.id == row_id))
    return row


def _now(query: Any) -> list[Any]:
    return read(lambda session: list(session.scalars(query)))
