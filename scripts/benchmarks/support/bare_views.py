"""A bare Flask app: what any view costs, and what a comment with its deliveries costs without any check."""

import os
import sqlite3
import threading
from contextlib import closing

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from guestbook.lib import clock, ids
from guestbook.storage import sqlite_setup

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
    sqlite_setup.set_pragmas(connection, "wal", 5.0)
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
