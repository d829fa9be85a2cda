"""A bare Flask app: what any view costs, and what a comment with its deliveries costs without any check."""

import importlib.util
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

import guestbook
from guestbook.lib import clock, http_server, ids
from guestbook.storage import sqlite_file
from guestbook.storage.database import db

PATH = "/bare"
COMMENT = "INSERT INTO comments (id, name, message, status, created_at) VALUES (?, ?, ?, 'spam', ?)"
DELIVERY = (
    "INSERT INTO deliveries (id, payload, status, event_id, event, webhook_id, comment_id, created_at,"
    " due_at, claims, attempts, schedule_start) VALUES (?, ?, 'new', ?, 'bare', ?, ?, ?, ?, 0, 0, 0)"
)


def app(database: str) -> Flask:
    """Return an app whose GET says hello, and whose POST stores the form in a copy of this SQLite file."""
    bare, lock = Flask("bare"), threading.Lock()
    copy = f"{database}.{os.getpid()}"  # the book itself would grow
    with closing(sqlite3.connect(database)) as book:
        book.execute("VACUUM INTO ?", (copy,))
    connection = sqlite3.connect(copy, isolation_level=None, check_same_thread=False)
    sqlite_file.set_pragmas(connection, "wal", 5.0)
    webhooks = [row[0] for row in connection.execute("SELECT id FROM webhooks")]

    @bare.get(PATH)
    def hello() -> str:
        return "Hello"

    @bare.post(PATH)
    def store() -> ResponseReturnValue:
        name, message = request.form["name"], request.form["message"]
        comment, now = ids.new(), clock.to_text(clock.now())
        rows = [(ids.new(), message, comment, webhook, comment, now, now) for webhook in webhooks]
        with lock:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(COMMENT, (comment, name, message, now))
            connection.executemany(DELIVERY, rows)
            connection.execute("COMMIT")
        return redirect(f"{PATH}#{comment}", 303)

    return bare


THREADS = 8
MODULE = "scripts.benchmarks.support.web_servers"
FACTORY = f"{MODULE}:application"
COMMANDS: dict[str, Sequence[str]] = {  # by the package; each ends with the port
    "waitress": (MODULE,),
    "gunicorn": f"gunicorn --worker-class=gthread --threads={THREADS} {FACTORY}() -b".split(),
    "granian": f"granian --interface=wsgi --blocking-threads={THREADS} --factory {FACTORY} --port".split(),
}


def application() -> Callable[..., Iterable[bytes]]:
    """Return the book of the environment's settings, with the bare views beside it."""
    book = guestbook.create_app()
    with book.app_context():
        bare = app(str(db.engine.url.database))

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        return (bare if environ["PATH_INFO"] == PATH else book)(environ, start)

    return answer


def command(server: str, port: int) -> list[str]:
    """Return the command that serves both at a port of 127.0.0.1."""
    place = str(port) if server == "granian" else f"127.0.0.1:{port}"
    return [sys.executable, "-m", *COMMANDS[server], place]


def installed() -> list[str]:
    """Return the servers that this Python has."""
    return [server for server in COMMANDS if importlib.util.find_spec(server)]


if __name__ == "__main__":
    http_server.listening(application(), listen=sys.argv[1], threads=THREADS, url_prefix="")[0].run()
