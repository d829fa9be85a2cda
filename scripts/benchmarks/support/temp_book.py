"""A throwaway book for a benchmark, with webhooks and deliveries in it."""

import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from flask import Flask
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

import guestbook
from guestbook.auth import login
from guestbook.lib import clock
from guestbook.outbound import event_publisher
from guestbook.settings import database_url
from guestbook.storage import database, preferences
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from tests.support import factories

MESSAGE = "Thank you for the lovely weekend by the lake, we shall come back in spring. " * 4
PASSWORD = "correct horse battery staple"

# All visitors share this machine's address, and their comments are alike.
VISITORS_ALIKE = {"rate": "10000", "flood": "10000", "moderation": "off"}


def checked_server(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """Return the URL of a server as it was given, and None for SQLite; raises ClickException."""
    if given is None:
        return None
    try:
        if make_url(database_url.parse(given)).get_backend_name() == "sqlite":
            raise ValueError("only the URL of a PostgreSQL or MariaDB server; SQLite is the default")
    except ValueError as error:
        raise click.ClickException(f"--database: {error}") from None
    return given


server_option = click.option(
    "--database", "server", callback=checked_server, help="URL of a server to use instead of SQLite."
)


@contextmanager
def fresh(server: str | None = None, **settings: str) -> Iterator[Flask]:
    """Give an app on an empty SQLite file, or on a new database of that server."""
    with tempfile.TemporaryDirectory() as folder, new_database(server, Path(folder)) as url:
        environ = {
            "GUESTBOOK_DATA_DIR": folder,
            "GUESTBOOK_DATABASE_URL": url,
            "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            "GUESTBOOK_SECRET_KEY": secrets.token_hex(32),  # processes with their own folders share it
            **{f"GUESTBOOK_{name}": value for name, value in settings.items()},
        }
        app = guestbook.create_app(environ)
        app.config["ENVIRON"] = environ  # for processes beside this one
        with app.app_context():
            database.create_tables(db.engine)
            with database.writing() as session:
                preferences.save(session, VISITORS_ALIKE)
                login.set_password(session, PASSWORD)
            yield app
            db.session.remove()
            db.engine.dispose()


@contextmanager
def new_database(server: str | None, folder: Path) -> Iterator[str]:
    """Give the URL of a new database of that server, dropped at the end, or of a SQLite file."""
    if server is None:
        yield f"sqlite:///{folder / 'guestbook.db'}"
        return
    name = f"guestbook_bench_{secrets.token_hex(4)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError as error:
        raise click.ClickException(f"--database: the server cannot be used: {error.orig}") from None
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if admin.dialect.name == "postgresql" else ""  # killed workers linger there
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        admin.dispose()


def add_webhooks(ports: list[int]) -> list[str]:
    """Add a webhook for each port on this machine; return their ids."""
    return [factories.webhook(f"http://127.0.0.1:{port}/hooks/{at}") for at, port in enumerate(ports)]


def fill(app: Flask, events: int) -> None:
    """Publish so many events to all webhooks, some at a time."""
    settings = app.config["GUESTBOOK"]
    comment = Comment(name="Ada", website=None, message=MESSAGE, status="published")
    for start in range(0, events, 500):
        with database.writing() as session:
            for _ in range(min(500, events - start)):
                comment.id = secrets.token_hex(16)
                comment.created_at = clock.now()
                data = {"comment": comment.public(settings.base_url), "sequence": 1}
                event_publisher.publish(session.connection(), "comment.created", data, settings)


def hidden_field(page: str, name: str) -> str:
    """Return the value of a form's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"The page has no field {name}."
    return found[1]


def log_in(client: Any, site: str = "") -> None:
    """Log the owner in; `client` is a requests.Session or Flask's test client."""
    url = f"{site}/admin/login"
    form = {"csrf_token": hidden_field(client.get(url).text, "csrf_token"), "password": PASSWORD}
    answer = client.post(url, data=form)
    assert answer.status_code < 400, answer.text
