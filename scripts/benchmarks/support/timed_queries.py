"""What `growth` asks of a book: what a pass asks of the tables, then pages, the API and a command."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import click
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from guestbook.auth import api_tokens, login
from guestbook.background import cron, retention
from guestbook.lib import clock, ids
from guestbook.queue import leases
from guestbook.queue.poller import Poller
from guestbook.storage import database
from guestbook.storage.database import db, writing
from guestbook.storage.models import DELIVERIES, Comment, Delivery, InboundEvent, Source, Webhook
from scripts.benchmarks import pages
from scripts.benchmarks.support import busy_month, large_book

CLAIM = 100  # due deliveries of one webhook
LEASE = timedelta(minutes=1)
TOKEN = re.compile(r'name="token" value="([^"]+)"')
Question = Callable[[], float]  # asks, and returns how many milliseconds that took


def of(app: Flask) -> dict[str, Question]:
    """Return what can be asked of the crowded book around us, by what it is."""
    with writing() as session:
        login.set_password(session, pages.PASSWORD)
        token = api_tokens.add(session, "bench")[1]
    client = app.test_client()
    pages.log_in(client)
    headers = {"Authorization": f"Bearer {token}"}
    asked, addresses = _of_a_pass(app, db.engine), {**_public(), **_desk(), **_api()}
    db.session.rollback()  # a reader that stays would keep the databases from tidying up
    return {
        **asked,
        **{name: partial(pages.ask, client, url, headers=headers) for name, url in addresses.items()},
        "to sign the book": partial(_sign, client),
        "the command status": partial(_run, app, "status"),
    }


def _of_a_pass(app: Flask, engine: Engine) -> dict[str, Question]:
    webhook = _first(select(Webhook.id))
    return {
        f"a claim of {CLAIM} due deliveries": partial(_claim, engine, webhook),
        "a look whether anything is due": partial(_look, engine),
        f"the lease of {CLAIM}": partial(_lease, engine, webhook),
        f"pruning {large_book.OLD} deliveries": partial(_prune, app),
        "a pass without its sending": partial(_pass, app),
    }


def _public() -> dict[str, str]:
    comment = _middle(Comment.id)
    return {
        "the book": "/",
        "the book, an old page": f"/?before={comment}",
        "a comment": f"/comments/{comment}",
        "/healthz": "/healthz",
    }


def _desk() -> dict[str, str]:
    delivery, webhook = _middle(Delivery.id), _first(select(Webhook.id))
    return {
        "the desk": "/admin/",
        "deliveries": "/admin/deliveries/",
        "deliveries, an old page": f"/admin/deliveries/?before={delivery}",
        "deliveries that failed": "/admin/deliveries/?status=failed",
        "deliveries of a webhook": f"/admin/deliveries/?webhook={webhook}",
        "a delivery": f"/admin/deliveries/{delivery}",
        "comments at the desk": "/admin/comments/",
        "webhooks": "/admin/webhooks/",
        "a webhook": f"/admin/webhooks/{webhook}",
        "the inbox": "/admin/inbox/",
        "the inbox, an old page": f"/admin/inbox/?before={_middle(InboundEvent.id)}",
        "a source": f"/admin/sources/{_first(select(Source.id))}",
    }


def _api() -> dict[str, str]:
    return {
        "API, comments": "/api/v1/comments",
        "API, comments, an old page": f"/api/v1/comments?before={_middle(Comment.id)}",
        "API, deliveries that failed": "/api/v1/deliveries?status=failed",
        "API, inbox": "/api/v1/inbox",
    }


def _first(query: Select[str]) -> str:
    return db.session.scalars(query.limit(1)).one()


def _middle(key: InstrumentedAttribute[str]) -> str:
    """Return the id of one in the middle of the month."""
    return _first(select(key).where(key > ids.first_of(clock.now() - busy_month.LASTS / 2)).order_by(key))


def _claim(engine: Engine, webhook: str) -> float:
    """Claim as a tick does, and let go again: nothing is written."""
    writer = engine.connect().execution_options(write_until=0.0, commit_wait=0.0)
    with writer as connection, connection.begin() as transaction:
        start = time.perf_counter()
        among = DELIVERIES.c.webhook_id == webhook
        claimed = leases.claim(connection, DELIVERIES, among, now=clock.now(), limit=CLAIM)
        took = _since(start)
        assert len(claimed) == CLAIM, claimed
        transaction.rollback()
    return took


def _lease(engine: Engine, webhook: str) -> float:
    """Lease what is claimed, and give it back with the due times that it had."""
    now = clock.now()
    with database.write(engine) as connection:
        among = DELIVERIES.c.webhook_id == webhook
        rows = leases.claim(connection, DELIVERIES, among, now=now, limit=CLAIM)
        row_ids = [row.id for row in rows]
        start = time.perf_counter()
        count = leases.lease(connection, DELIVERIES, row_ids, now=now, until=now + LEASE, token="bench")
        took = _since(start)
        assert count == CLAIM, count
        back = [{"row_id": row.id, "token": "bench", "due_at": row.due_at} for row in rows]
        leases.release(connection, DELIVERIES, back)
    return took


def _look(engine: Engine) -> float:
    with Poller(engine) as watch:
        start = time.perf_counter()
        assert watch.anything_due(clock.now())
        return _since(start)


def _prune(app: Flask) -> float:
    with app.app_context():
        large_book.add_old()
        start = time.perf_counter()
        removed = retention.prune(db.engine, app.config["GUESTBOOK"], until=time.monotonic() + 60)
        took = _since(start)
    assert removed >= large_book.OLD, removed
    return took


def _pass(app: Flask) -> float:
    with app.app_context():
        start = time.perf_counter()
        cron.run(db.engine, app.config["GUESTBOOK"], cron.Options(inbox=False, outbox=False))
        return _since(start)


def _sign(client: FlaskClient) -> float:
    form = TOKEN.search(client.get("/").text)
    assert form
    start = time.perf_counter()
    answer = client.post("/comments", data={"token": form[1], "name": "Ada", "message": "Hello!"})
    took = _since(start)
    assert answer.status_code == 303, answer.text
    return took


def _run(app: Flask, command: str) -> float:
    start = time.perf_counter()
    done = app.test_cli_runner().invoke(args=[command])
    took = _since(start)
    if done.exit_code:
        raise click.ClickException(f"{command} said: {done.output}")
    return took


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
