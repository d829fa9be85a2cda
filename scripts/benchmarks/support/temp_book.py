"""A throwaway book for a benchmark, with webhooks and deliveries in it."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from flask import Flask
from sqlalchemy import create_engine, func, make_url, select, text

import guestbook
from guestbook.lib import clock
from guestbook.outbound import outbox
from guestbook.storage import database, preferences
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, Comment, Webhook

MESSAGE = "Thank you for the lovely weekend by the lake, we shall come back in spring. " * 4


@contextmanager
def fresh(server: str | None = None, **settings: str) -> Iterator[Flask]:
    """Give an app on an empty SQLite file, or on a new database of that server's."""
    with tempfile.TemporaryDirectory() as folder, database_of(server, Path(folder)) as url:
        environ = {
            "GUESTBOOK_DATA_DIR": folder,
            "GUESTBOOK_DATABASE_URL": url,
            "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            **{f"GUESTBOOK_{name}": value for name, value in settings.items()},
        }
        app = guestbook.create_app(environ)
        app.config["ENVIRON"] = environ
        with app.app_context():
            database.create_tables(db.engine)
            with database.writing() as session:
                preferences.save(session, {"rate": "10000"})  # one machine is all the visitors here
            yield app
            db.session.remove()
            db.engine.dispose()


@contextmanager
def database_of(server: str | None, folder: Path) -> Iterator[str]:
    """Give the URL of a new database of that server's, gone at the end, or of a SQLite file in the folder."""
    if server is None:
        yield f"sqlite:///{folder / 'guestbook.db'}"
        return
    name = f"guestbook_bench_{secrets.token_hex(4)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if admin.dialect.name == "postgresql" else ""  # killed workers linger there
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        admin.dispose()


def places(app: Flask, count: int) -> list[dict[str, str]]:
    """Return the environments of so many passes on the app's book, each with a data folder of its own."""
    environ = app.config["ENVIRON"]
    folders = [Path(environ["GUESTBOOK_DATA_DIR"]) / f"pass {number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
    return [{**environ, "GUESTBOOK_DATA_DIR": str(folder)} for folder in folders]


def processed() -> tuple[int, datetime | None]:
    """Return how many deliveries are processed, with one attempt on record, and when the last of them was."""
    recorded = DELIVERIES.join(ATTEMPTS, ATTEMPTS.c.delivery_id == DELIVERIES.c.id)
    query = (
        select(func.count(), func.max(DELIVERIES.c.finished_at))
        .select_from(recorded)
        .where(DELIVERIES.c.status == "processed", DELIVERIES.c.attempts == 1, ATTEMPTS.c.number == 1)
    )
    with db.engine.connect() as connection:
        count, last = connection.execute(query).one()
    return count, last


def add_webhooks(ports: list[int], events: str = "comment.created") -> None:
    """Add a webhook for each port on this machine."""
    with database.writing() as session:
        for number, port in enumerate(ports):
            url = f"http://127.0.0.1:{port}/hooks/{number}"
            session.add(Webhook(name=f"sink {number}", url=url, events=events, headers={}))


def fill(app: Flask, events: int) -> None:
    """Publish so many events to all webhooks, some at a time."""
    settings = app.config["GUESTBOOK"]
    comment = Comment(name="Ada", website=None, message=MESSAGE, status="published")
    for start in range(0, events, 500):
        with database.writing() as session:
            for _ in range(min(500, events - start)):
                comment.id = secrets.token_hex(16)
                comment.created_at = clock.now()
                data = {"comment": comment.public(settings.base_url)}
                outbox.publish(session.connection(), "comment.created", data, settings)
