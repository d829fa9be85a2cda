"""The throwaway book of the talk: its file, its web server, its passes and its clock."""

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from guestbook import settings
from guestbook.auth import login
from guestbook.lib import clock
from guestbook.outbound import webhooks
from guestbook.settings import installation, secret_key
from guestbook.storage import database, engines, preferences
from guestbook.storage.models import Comment, Delivery, Webhook

# The clock of these processes goes ahead by as many hours as the file has bytes.
CHILD = """
import os, time, guestbook
from datetime import timedelta
from guestbook.lib import clock, current_process
seconds, now = time.time, clock.now
time.time = lambda: seconds() + 3600 * os.stat("hours").st_size
clock.now = lambda: now() + timedelta(hours=os.stat("hours").st_size)
current_process.end_with_parent()
guestbook.main()
"""
PROGRAM = (sys.executable, "-P", "-c", CHILD)
HOST = "127.0.0.1"
REQUEST_TIMEOUT = 30.0  # seconds
SHOWN_ROWS = 40
PREFERENCES = {"title": "The talk's guestbook", "look": "1999", "rate": "10000", "flood": "10000"}
Process = subprocess.Popen[bytes]
browser = requests.Session()
browser.trust_env = False  # No proxy can reach these servers.


@dataclass
class TalkBook:
    """The book in its folder. `server` is None while nothing serves it."""

    folder: Path
    address: str
    engine: Engine
    password: str
    secret: str
    server: Process | None = None
    passes: list[tuple[Process, Path]] = field(default_factory=list)
    in_use: threading.Lock = field(default_factory=threading.Lock)  # At the end nobody gets it any more.

    def now(self) -> datetime:
        """Return the time in the book."""
        with self.in_use:
            return clock.now() + timedelta(hours=(self.folder / "hours").stat().st_size)

    def read(self) -> tuple[Webhook, dict[str, Delivery]]:
        """Return the webhook, and the newest deliveries by id, the newest first."""
        newest = select(Delivery).order_by(Delivery.id.desc()).limit(SHOWN_ROWS)
        with self.in_use, Session(self.engine) as session:
            return session.scalars(select(Webhook)).one(), {row.id: row for row in session.scalars(newest)}

    def stored(self) -> dict[str, str | None]:
        """Return the id of the delivery, if there is one, by the id of each comment."""
        both = select(Comment.id, Delivery.id).outerjoin(Delivery, Delivery.comment_id == Comment.id)
        with self.in_use, Session(self.engine) as session:
            return {row[0]: row[1] for row in session.execute(both)}

    def sign(self, name: str, message: str) -> requests.Response:
        """Sign the book through its API; raises RequestException."""
        comment = {"name": name, "message": message}
        return browser.post(f"{self.address}/api/v1/comments", json=comment, timeout=REQUEST_TIMEOUT)

    def is_served(self) -> bool:
        """Whether the web server answers."""
        with suppress(requests.RequestException):
            return browser.get(f"{self.address}/", timeout=REQUEST_TIMEOUT).ok
        return False

    def start_server(self) -> None:
        """Start the web server."""
        self.server = self._start(subprocess.DEVNULL, "serve", "--listen", self.address.rpartition("/")[2])

    def start_pass(self, **more: str) -> Process:
        """Start a pass as cron does, with more settings. Its output goes into a file."""
        path = self.folder / f"pass-{len(self.passes)}.txt"
        with path.open("wb") as file:
            self.passes.append((self._start(file, "cron", "-v", **more), path))
        return self.passes[-1][0]

    def kill(self) -> None:
        """Kill the web server and all passes."""
        server, self.server = self.server, None
        for process in (server, *(one for one, _ in self.passes)):
            if process and process.poll() is None:
                process.kill()
                process.wait()

    def set_the_clock_on(self) -> None:
        """Set the clock of the book one hour on."""
        with (self.folder / "hours").open("a") as file:
            file.write("h")

    def start_over(self) -> None:
        """Give the book its first content, with the same password and webhook. Nothing serves it yet."""
        self.kill()
        self.passes = []
        with self.in_use:
            (self.folder / "hours").write_text("")
            _copy(self.folder / "new.db", self.folder / "guestbook.db")

    def _start(self, output: Any, *words: str, **more: str) -> Process:
        own_prefixes = (settings.SETTING_PREFIX, "FLASK_", "PORT")
        env = {key: value for key, value in os.environ.items() if not key.startswith(own_prefixes)}
        env |= {installation.DATA_DIR: str(self.folder), "FLASK_SKIP_DOTENV": "1", **more}
        env["PYTHONPATH"] = os.pathsep.join([str(installation.CHECKOUT), env.get("PYTHONPATH", "")])
        # In a session of its own, so that Ctrl-C reaches only us. The pipe ends with us, however that comes.
        apart: dict[str, Any] = {"cwd": self.folder, "env": env, "start_new_session": True}
        apart |= {"stdin": subprocess.PIPE, "stdout": output, "stderr": subprocess.STDOUT}
        with self.in_use:
            return subprocess.Popen([*PROGRAM, *words], **apart)


@contextmanager
def made(receiver_url: str) -> Iterator[TalkBook]:
    """Yield a new book with a webhook. At the end no process of it runs, and nothing is left."""
    with tempfile.TemporaryDirectory(prefix="guestbook-talk-", ignore_cleanup_errors=True) as made_folder:
        folder, password = Path(made_folder).resolve(), login.random_password()
        with socket.create_server((HOST, 0)) as listener:
            address = f"http://{HOST}:{listener.getsockname()[1]}"
        own = f"GUESTBOOK_BASE_URL={address}\nGUESTBOOK_ALLOW_NETWORKS=127.0.0.0/8\n"
        (folder / ".env").write_text(own)
        (folder / "hours").touch()
        read = settings.load({installation.DATA_DIR: str(folder)}, alone=True)
        read = replace(read, secret_key=secret_key.make(folder))
        with engines.opened(read) as engine:
            database.create_tables(engine)
            with Session(engine) as opened, database.writing(opened) as session:
                login.set_password(session, password)
                preferences.save(session, PREFERENCES)
                secret = webhooks.add(session, {"url": receiver_url, "name": "the receiver"}, read).secret
            _copy(folder / "guestbook.db", folder / "new.db")
            book = TalkBook(folder, address, engine, password, secret)
            try:
                yield book
            finally:
                book.in_use.acquire()
                book.kill()


def _copy(from_file: Path, to_file: Path) -> None:
    """Give one SQLite file the content of another. Open connections to it see the new content."""
    with closing(sqlite3.connect(from_file)) as one, closing(sqlite3.connect(to_file)) as other:
        one.backup(other)
