"""How long pages take in a book with a million deliveries: those of the book and of the desk."""

import contextvars
import re
import statistics
import time
from typing import Any

import click
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Select, select

from guestbook.auth import login
from guestbook.lib import clock, ids
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Delivery, Webhook
from scripts.benchmarks.support import busy_month, temp_book

PASSWORD = "correct horse battery staple"
GOAL = 50.0  # ms, of the median
WARM_UPS = 3
TIMES = 30


@click.command()
@click.option("--deliveries", default=1_000_000, show_default=True, help="Deliveries of the last 30 days.")
@click.option("--comments", default=100_000, show_default=True, help="Comments of the last 30 days.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
def pages(deliveries: int, comments: int, server: str | None) -> None:
    """Open each page of the book and of the desk in a book that is full; the first minute fills it."""
    with temp_book.fresh(server) as app:
        start = time.perf_counter()
        busy_month.fill(deliveries, comments, app.config["GUESTBOOK"])
        with writing() as session:
            login.set_password(session, PASSWORD)
        wanted = _pages()
        click.echo(f"made in {time.perf_counter() - start:.0f} s", err=True)
        # Out of the app's context around us, so that each request has a session of its own, as in a server.
        contextvars.Context().run(_measure, app, wanted)


def _pages() -> dict[str, str]:
    """Return the addresses by what they show."""
    middle = ids.first_of(clock.now() - busy_month.LASTS / 2)
    comment = _first(select(Comment.id).where(Comment.status == "published", Comment.id > middle))
    delivery = _first(select(Delivery.id).where(Delivery.id > middle))
    webhook = _first(select(Webhook.id))
    event = busy_month.EVENTS[-1]
    return {
        "the book": "/",
        "the book, an old page": f"/?before={comment}",
        "a comment": f"/comments/{comment}",
        "the desk": "/admin/",
        "deliveries": "/admin/deliveries/",
        "deliveries that failed": "/admin/deliveries/?status=failed",
        "deliveries that were processed": "/admin/deliveries/?status=processed",
        "deliveries of a webhook": f"/admin/deliveries/?webhook={webhook}",
        "deliveries that failed of a webhook": f"/admin/deliveries/?status=failed&webhook={webhook}",
        "deliveries of an event with a word": f"/admin/deliveries/?event={event}&text={busy_month.RARE}",
        "deliveries with a word that is nowhere": "/admin/deliveries/?text=nowhere",
        "deliveries, an old page": f"/admin/deliveries/?before={delivery}",
        "a delivery": f"/admin/deliveries/{delivery}",
        "a delivery, explained": f"/admin/deliveries/{delivery}/explain",
        "comments at the desk": "/admin/comments/",
        "comments with a rare word": f"/admin/comments/?status=all&words={busy_month.RARE}",
        "webhooks": "/admin/webhooks/",
        "a webhook": f"/admin/webhooks/{webhook}",
    }


def _first(query: Select[str]) -> str:
    return db.session.scalars(query.limit(1)).one()


def _measure(app: Flask, wanted: dict[str, str]) -> None:
    client = app.test_client()
    log_in(client)
    click.echo(f"{'':<42} {'median':>9} {'p90':>9} {'goal':>9}")
    for name, url in wanted.items():
        times = sorted([ask(client, url) for _ in range(WARM_UPS + TIMES)][WARM_UPS:])
        median, p90 = statistics.median(times), times[TIMES * 9 // 10]
        late = "   SLOW" if median > GOAL else ""
        click.echo(f"{name:<42} {median:>6.1f} ms {p90:>6.1f} ms {GOAL:>6.0f} ms{late}")


def ask(client: FlaskClient, url: str, **more: Any) -> float:
    """Get a page and return how many milliseconds that took; `more` is for the client."""
    start = time.perf_counter()
    answer = client.get(url, **more)
    took = (time.perf_counter() - start) * 1000
    if answer.status_code != 200:
        raise click.ClickException(f"{url} answered {answer.status}.")
    return took


def log_in(client: FlaskClient) -> None:
    """Let the client in at the desk."""
    key = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/login").text)
    assert key
    client.post("/admin/login", data={"csrf_token": key[1], "password": PASSWORD})
