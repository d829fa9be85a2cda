"""Where the peers record status and attempt: lighter tables than ours, and the drivers' own statements.

The tables have our columns as far as an attempt is concerned, but no index beside their keys.
"""

import sqlite3
import threading
from typing import Any

from scripts.benchmarks.support import start_line
from scripts.benchmarks.support.peers import job

TABLES = (
    "CREATE TABLE deliveries (id VARCHAR(32) PRIMARY KEY, status VARCHAR(9), attempts INTEGER,"
    " finished_at VARCHAR(24), last_status_code INTEGER)",
    "CREATE TABLE attempts (delivery_id VARCHAR(32), number INTEGER, triggered_by VARCHAR(12),"
    " started_at VARCHAR(24), milliseconds INTEGER, status_code INTEGER, error VARCHAR(300),"
    " request_headers TEXT, response_headers TEXT, response_body TEXT, PRIMARY KEY (delivery_id, number))",
)
DONE = "UPDATE deliveries SET status = ?, attempts = 1, finished_at = ?, last_status_code = ? WHERE id = ?"
TRIED = "INSERT INTO attempts VALUES (?, 1, 'schedule', ?, ?, ?, NULL, ?, ?, ?)"


class Sqlite:
    """Records in a SQLite file; a thread commits all rows that wait together, and their tasks wait for it.

    Faster than usual: a transaction for each task costs a third of the rate.
    """

    def __init__(self) -> None:
        self._wanted = threading.Condition()
        self._rows: list[tuple[job.Row, threading.Lock]] = []
        self._writer: threading.Thread | None = None

    def __call__(self, row: job.Row) -> None:
        """Record one; return once it is durable."""
        done = threading.Lock()
        done.acquire()
        with self._wanted:
            if self._writer is None:  # in the process that works, which may be a fork
                self._writer = threading.Thread(target=self._write, daemon=True)
                self._writer.start()
            self._rows.append((row, done))
            self._wanted.notify()
        done.acquire()

    def _write(self) -> None:
        connection = sqlite3.connect(start_line.folder() / "guestbook.db", timeout=30, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")  # the settings that ours has
        connection.execute("PRAGMA synchronous = FULL")
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._rows)
                rows, self._rows = self._rows, []
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(DONE, [row[0] for row, _ in rows])
            connection.executemany(TRIED, [row[1] for row, _ in rows])
            connection.execute("COMMIT")
            for _, done in rows:
                done.release()


class Postgresql:
    """Records in PostgreSQL; a connection for each thread, both statements in one round trip."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._both = f"WITH done AS ({DONE}) {TRIED}".replace("?", "%s")

    def __call__(self, row: job.Row) -> None:
        """Record one; return once it is durable."""
        if not hasattr(self._mine, "connection"):
            self._mine.connection = _connect()
        self._mine.connection.execute(self._both, (*row[0], *row[1]))


def _connect() -> Any:
    import psycopg

    return psycopg.connect(job.setting("POSTGRESQL"), autocommit=True)
