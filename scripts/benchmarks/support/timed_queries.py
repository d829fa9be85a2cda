"""The work that `growth` and `pages` time: what a pass does with the tables, pages, the API and a command."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import click
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import ColumnElement, Engine, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from guestbook.auth import api_tokens
from guestbook.background import cron, housekeeping
from guestbook.lib import clock, ids
from guestbook.outbound import delivery_tasks
from guestbook.queue import claims
from guestbook.queue.claims import OrderedClaims
from guestbook.queue.poller import Poller
from guestbook.storage import database
from guestbook.storage.database import db, writing
from guestbook.storage.models import DELIVERIES, Comment, Delivery, InboundEvent, Source, Webhook
from scripts.benchmarks.support import large_book, visitor

CLAIM = 100  # due deliveries of one webhook
LEASE = timedelta(minutes=1)
WARM_UPS = 3  # or as many as are timed, if these are fewer
Task = Callable[[], float]  # returns how many milliseconds it took


def all_of(app: Flask) -> dict[str, Task]:
    """Return all tasks for the full book around us, by name."""
    engine, webhook = db.engine, _first(select(Webhook.id))
    with writing() as session:
        headers = {"Authorization": f"Bearer {api_tokens.add(session, 'bench')[1]}"}
    tasks: dict[str, Task] = {
        f"a claim of {CLAIM} due deliveries": partial(_claim, engine, webhook),
        "a look whether anything is due": partial(_look, engine),
        f"the lease of {CLAIM}": partial(_lease, engine, webhook),
        f"pruning {large_book.OLD} deliveries": partial(_prune, app),
        "a pass without its sending": partial(_pass, app),
        **pages(app),
    }
    client = app.test_client()
    for name, url in _api().items():
        tasks[f"API, {name}"] = partial(_get, client, url, headers=headers)
    tasks["to sign the book"] = partial(_sign, client)
    tasks["the command status"] = partial(_run, app, "status")
    db.session.rollback()  # a reader that stays would keep the databases from tidying up
    return tasks


def pages(app: Flask) -> dict[str, Task]:
    """Return the pages of the book and of its owner."""
    client = app.test_client()
    visitor.log_in(client)
    found: dict[str, Task] = {
        name: partial(_get, client, url) for name, url in (_public() | _admin()).items()
    }
    db.session.rollback()
    return found


def repeat(tasks: Sequence[Task], times: int) -> list[Sequence[float]]:
    """Do the tasks in turn, so many times after warming up; return the milliseconds of each."""
    rounds = [[task() for task in tasks] for _ in range(min(WARM_UPS, times) + times)]
    return list(zip(*rounds[-times:], strict=True))


def _public() -> dict[str, str]:
    comment = _middle(Comment.id, Comment.status == "published")
    return {
        "the book": "/",
        "the book, an old page": f"/?before={comment}",
        "a comment": f"/comments/{comment}",
        "/healthz": "/healthz",
    }


def _admin() -> dict[str, str]:
    delivery, event = _middle(Delivery.id), _middle(InboundEvent.id)
    webhook, source = _first(select(Webhook.id)), _first(select(Source.id))
    deliveries, words = "/admin/deliveries/", large_book.RARE
    return {
        "the admin overview": "/admin/",
        "deliveries": deliveries,
        "deliveries, an old page": f"{deliveries}?before={delivery}",
        "deliveries that failed": f"{deliveries}?status=failed",
        "deliveries that were processed": f"{deliveries}?status=processed",
        "deliveries of a webhook": f"{deliveries}?webhook={webhook}",
        "deliveries that failed of a webhook": f"{deliveries}?status=failed&webhook={webhook}",
        "deliveries of an event with a word": f"{deliveries}?event={large_book.EVENTS[-1]}&text={words}",
        "deliveries with a word that is nowhere": f"{deliveries}?text=nowhere",
        "a delivery": f"{deliveries}{delivery}",
        "a delivery, explained": f"{deliveries}{delivery}/explain",
        "the admin's comments": "/admin/comments/",
        "comments with a rare word": f"/admin/comments/?status=all&words={words}",
        "webhooks": "/admin/webhooks/",
        "a webhook": f"/admin/webhooks/{webhook}",
        "the inbox": "/admin/inbox/",
        "the inbox, an old page": f"/admin/inbox/?before={event}",
        "a source": f"/admin/sources/{source}",
    }


def _api() -> dict[str, str]:
    return {
        "comments": "/api/v1/comments",
        "comments, an old page": f"/api/v1/comments?before={_middle(Comment.id)}",
        "deliveries that failed": "/api/v1/deliveries?status=failed",
        "inbox": "/api/v1/inbox",
    }


def _first(query: Select[str]) -> str:
    return db.session.scalars(query.limit(1)).one()


def _middle(key: InstrumentedAttribute[str], *conditions: ColumnElement[bool]) -> str:
    """Return the id of one in the middle of the month."""
    middle = ids.first_of(clock.now() - large_book.LASTS / 2)
    return _first(select(key).where(key > middle, *conditions).order_by(key))


def _claim(engine: Engine, webhook: str) -> float:
    """Claim as a tick does, and roll back: nothing is written."""
    writer = engine.connect().execution_options(write_until=0.0, commit_wait=0.0)
    with writer as connection, connection.begin() as transaction:
        start = time.perf_counter()
        claimed = _claims().find(connection, webhook, now=clock.now(), limit=CLAIM)
        took = _since(start)
        assert len(claimed) == CLAIM, claimed
        transaction.rollback()
    return took


def _lease(engine: Engine, webhook: str) -> float:
    """Lease the claimed rows, and release them with the due times that they had."""
    now = clock.now()
    with database.write(engine) as connection:
        rows = _claims().find(connection, webhook, now=now, limit=CLAIM)
        start = time.perf_counter()
        leased = claims.lease(connection, DELIVERIES, rows, now=now, until=now + LEASE, token="bench")
        took = _since(start)
        assert len(leased) == CLAIM, leased
        back = [{"row_id": row.id, "token": "bench", "due_at": row.due_at} for row in rows]
        claims.release(connection, DELIVERIES, back)
    return took


def _claims() -> OrderedClaims:
    return OrderedClaims(DELIVERIES, "webhook_id", delivery_tasks.TASK_COLUMNS)


def _look(engine: Engine) -> float:
    with Poller(engine) as poller:
        start = time.perf_counter()
        assert poller.anything_due(clock.now())
        return _since(start)


def _prune(app: Flask) -> float:
    with app.app_context():
        large_book.add_old()
        start = time.perf_counter()
        removed = housekeeping.prune(db.engine, app.config["GUESTBOOK"], until=time.monotonic() + 60)
        took = _since(start)
    assert removed >= large_book.OLD, removed
    return took


def _pass(app: Flask) -> float:
    with app.app_context():
        start = time.perf_counter()
        cron.run(db.engine, app.config["GUESTBOOK"], cron.Options(inbox=False, outbox=False))
        return _since(start)


def _get(client: FlaskClient, url: str, headers: Mapping[str, str] | None = None) -> float:
    start = time.perf_counter()
    answer = client.get(url, headers=headers)
    took = _since(start)
    if answer.status_code != 200:
        raise click.ClickException(f"{url} answered {answer.status}.")
    return took


def _sign(client: FlaskClient) -> float:
    form = {"token": visitor.hidden_field(client.get("/").text, "token"), "name": "Ada", "message": "Hello!"}
    start = time.perf_counter()
    answer = client.post("/comments", data=form)
    took = _since(start)
    assert answer.status_code == 303, answer.text
    return took


def _run(app: Flask, command: str) -> float:
    start = time.perf_counter()
    done = app.test_cli_runner().invoke(args=[command])
    took = _since(start)
    if done.exit_code:
        raise click.ClickException(f"{command} printed: {done.output}")
    return took


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
