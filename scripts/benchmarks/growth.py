"""How long work takes as the tables grow: the same in books of several sizes, in turn."""

import contextvars
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import click
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import ColumnElement, Connection, Engine, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from guestbook.auth import api_tokens
from guestbook.background import whole_pass
from guestbook.lib import clock, ids
from guestbook.outbound import delivery_tasks
from guestbook.queue import claims
from guestbook.queue.poller import Poller
from guestbook.storage import database, preferences
from guestbook.storage.database import db, writing
from guestbook.storage.models import DELIVERIES, Comment, Delivery, InboundEvent, Source, Webhook
from scripts.benchmarks.support import deliveries, large_book, report, temp_book

GOAL = 1.5  # times as long in the largest book as in the smallest, at most
Task = Callable[[], float]  # returns how many milliseconds it took
SMALLEST = 10  # rows; a smaller book would have no second page
SIZES = "1000,10000,100000,1000000"


@click.command()
@click.option("--rows", default=SIZES, show_default=True, callback=deliveries.numbers, help="Sizes.")
@click.option("--times", default=30, type=click.IntRange(1), show_default=True, help="Calls of each.")
@temp_book.server_option
def growth(rows: list[int], times: int, server: str | None) -> None:
    """Do the same in books with few rows and with many: pages, the API, a claim, a pass.

    A row is a comment, its delivery with an attempt, and an inbound event; so 10,000,000 of them are
    40,000,000 in the tables. They take 17 GB and about a quarter of an hour to be stored.
    """
    if min(rows) < SMALLEST:
        raise click.UsageError(f"--rows must be at least {SMALLEST}.")
    with ExitStack() as stack:
        books, sizes = [], []
        for count in sorted(rows):
            app = stack.enter_context(temp_book.fresh(server))
            large_book.fill(count, app.config["GUESTBOOK"])
            books.append(all_of(app))
            sizes.append(large_book.megabytes(db.engine))
        report.heading(db.engine, {"each": f"median of {times}, the books in turn"})
        # Out of the apps' contexts around us, so that each request has a session of its own, as in a server.
        lines = contextvars.Context().run(
            lambda: [line(name, [book[name] for book in books], times) for name in books[0]]
        )
        columns = ["ms", *(f"{count:,} rows" for count in sorted(rows)), "ratio", f"goal {GOAL} ×"]
        report.table(columns, [*lines, ["MB on disk", *sizes, "", ""]])


def line(name: str, tasks: list[Task], times: int) -> list[report.Cell]:
    """Do the same in each book in turn, so many times after warming up; return a line of the table."""
    click.echo(f"timing {name} …", err=True)
    rounds = [[task() for task in tasks] for _ in range(min(WARM_UPS, times) + times)]
    medians = [statistics.median(taken) for taken in zip(*rounds[-times:], strict=True)]
    grew = medians[-1] > GOAL * medians[0]
    return [name, *medians, report.ratio(medians[-1], medians[0]), "GROWS" if grew else ""]


CLAIM = 100  # due deliveries of one webhook
LEASE = timedelta(minutes=1)
WARM_UPS = 3  # or as many as are timed, if these are fewer


def all_of(app: Flask) -> dict[str, Task]:
    """Return all tasks for the full book around us, by name."""
    engine, webhook = db.engine, _first(select(Webhook.id))
    with writing() as session:
        token = api_tokens.add(session, "bench")[1]
        preferences.save(session, {"embed_sites": large_book.SITE})
    client = app.test_client()
    temp_book.log_in(client)
    found: dict[str, Task] = {
        f"a claim of {CLAIM} due deliveries": partial(_claim, engine, webhook),
        "a look for anything due": partial(_look, engine),
        f"the lease of {CLAIM}": partial(_lease, engine, webhook),
        f"pruning {large_book.OLD} deliveries": partial(_prune, app),
        "a pass without its sending": partial(_pass, app),
        **{name: partial(_get, client, url, token) for name, url in _urls().items()},
        "signing the book": partial(_sign, client),
        "the command status": partial(_run, app, "status"),
    }
    db.session.rollback()  # a reader that stays would keep the databases from tidying up
    return found


def _urls() -> dict[str, str]:
    """Return the paths of pages of the book and of its owner, and of calls of the API."""
    comment = _middle(Comment.id, Comment.status == "published")
    delivery, event = _middle(Delivery.id), _middle(InboundEvent.id)
    webhook, source = _first(select(Webhook.id)), _first(select(Source.id))
    deliveries, words = "/admin/deliveries/", large_book.RARE
    return {
        "the book": "/",
        "the book, an old page": f"/?before={comment}",
        "comments of a page of a website": f"/?page={large_book.SITE}/0",
        "a comment": f"/comments/{comment}",
        "/healthz": "/healthz",
        "the first admin page": "/admin/",
        "deliveries": deliveries,
        "deliveries, an old page": f"{deliveries}?before={delivery}",
        "deliveries that failed": f"{deliveries}?status=failed",
        "deliveries of a webhook": f"{deliveries}?webhook={webhook}",
        "deliveries with a word that is nowhere": f"{deliveries}?text=nowhere",
        "a delivery": f"{deliveries}{delivery}",
        "comments on the admin pages": "/admin/comments/",
        "comments with a rare word": f"/admin/comments/?status=all&words={words}",
        "webhooks": "/admin/webhooks/",
        "a webhook": f"/admin/webhooks/{webhook}",
        "the inbox": "/admin/inbox/",
        "the inbox, an old page": f"/admin/inbox/?before={event}",
        "a source": f"/admin/sources/{source}",
        "API, comments": "/api/v1/comments",
        "API, comments of a page": f"/api/v1/comments?page={large_book.SITE}/0",
        "API, comments, an old page": f"/api/v1/comments?before={_middle(Comment.id)}",
        "API, deliveries that failed": "/api/v1/deliveries?status=failed",
        "API, inbox": "/api/v1/inbox",
    }


def _first(query: Select[str]) -> str:
    return db.session.scalars(query.limit(1)).one()


def _middle(key: InstrumentedAttribute[str], *conditions: ColumnElement[bool]) -> str:
    """Return the id of one in the middle of the month."""
    middle = ids.first_of(clock.now() - large_book.LASTS / 2)
    return _first(select(key).where(key > middle, *conditions).order_by(key))


def _timed(do: Callable[[], Any], is_right: Callable[[Any], bool]) -> float:
    """Return how many milliseconds it takes; its result must be right."""
    start = time.perf_counter()
    result = do()
    took = (time.perf_counter() - start) * 1000
    assert is_right(result), result
    return took


def _are_all(rows: Sequence[object]) -> bool:
    return len(rows) == CLAIM


def _claim(engine: Engine, webhook: str) -> float:
    """Claim as a tick does, and roll back: nothing is written."""
    writer = engine.connect().execution_options(write_until=0.0, commit_wait=0.0)
    with writer as connection, connection.begin() as transaction:
        took = _timed(lambda: _find(connection, webhook), _are_all)
        transaction.rollback()
    return took


def _lease(engine: Engine, webhook: str) -> float:
    """Lease the claimed rows, and release them with the due times that they had."""
    now = clock.now()
    with database.write(engine) as connection:
        rows = _find(connection, webhook)
        lease = partial(claims.lease, connection, DELIVERIES, rows)
        took = _timed(lambda: lease(now=now, until=now + LEASE, token="bench"), _are_all)
        back = [{"row_id": row.id, "token": "bench", "due_at": row.due_at} for row in rows]
        claims.release(connection, DELIVERIES, back)
    return took


def _find(connection: Connection, webhook: str) -> claims.Rows:
    columns = delivery_tasks.TASK_COLUMNS
    return claims.claim(connection, DELIVERIES, columns, webhook, now=clock.now(), limit=CLAIM)


def _look(engine: Engine) -> float:
    with Poller(engine) as poller:
        return _timed(lambda: poller.anything_due(clock.now()), bool)


def _prune(app: Flask) -> float:
    with app.app_context():
        large_book.add_old()
        until = time.monotonic() + 60
        prune = partial(whole_pass.prune, db.engine, app.config["GUESTBOOK"], until=until)
        return _timed(prune, lambda removed: removed >= large_book.OLD)


def _pass(app: Flask) -> float:
    with app.app_context():
        options = whole_pass.Options(inbox=False, outbox=False)
        run = partial(whole_pass.run, db.engine, app.config["GUESTBOOK"], options)
        return _timed(run, lambda report: report is not None)


def _get(client: FlaskClient, url: str, token: str) -> float:
    headers = {"Authorization": f"Bearer {token}"} if url.startswith("/api/") else None
    return _timed(lambda: client.get(url, headers=headers), lambda answer: answer.status_code == 200)


def _sign(client: FlaskClient) -> float:
    token = temp_book.hidden_field(client.get("/").text, "token")
    form = {"token": token, "name": "Ada", "message": "Hello!"}
    return _timed(lambda: client.post("/comments", data=form), lambda answer: answer.status_code == 303)


def _run(app: Flask, command: str) -> float:
    return _timed(lambda: app.test_cli_runner().invoke(args=[command]), lambda done: not done.exit_code)
