"""The throwaway book of the talk: its file, its web server, its passes, its clock."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import requests
from sqlalchemy import Engine, Row, func, select
from sqlalchemy.orm import Session

from guestbook import settings
from guestbook.auth import login
from guestbook.cli import talk_clock
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import webhooks
from guestbook.settings import Settings, installation, secret_key
from guestbook.storage import database, engines, preferences, row_changes
from guestbook.storage.models import Comment, Delivery, Webhook

CHILD = """
import guestbook
from guestbook.cli import talk_clock
from guestbook.lib import current_process
talk_clock.follow()
current_process.end_with_parent()
guestbook.main()
"""
PROGRAM = (sys.executable, "-P", "-c", CHILD)
HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds
LOOK_INTERVAL = 0.05  # seconds
END_TIMEOUT = 5.0  # seconds
SHOWN_ROWS = 40
PREFERENCES = {"title": "The talk's guestbook", "look": "1999", "rate": "10000", "flood": "10000"}
COLUMNS = (
    *(Delivery.id, Delivery.payload, Delivery.status, Delivery.event, Delivery.attempts),
    *(Delivery.due_at, Delivery.claimed_by, Delivery.last_error),
)
Process = subprocess.Popen[bytes]


@dataclass
class TalkPass:
    """A pass that cron would have started, with the file of what it prints."""

    process: Process
    output: Path

    @property
    def lines(self) -> list[str]:
        """Return what it has printed so far."""
        return self.output.read_text(errors="replace").splitlines()

    @property
    def ending(self) -> str:
        """Say how it ended."""
        code = self.process.poll()
        if code is None:
            return "at work"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class StoredCounts(NamedTuple):
    """What the file holds: comments, deliveries, and the ids of comments that have no delivery."""

    comments: int
    deliveries: int
    without: set[str]
    ids: set[str]


@dataclass
class TalkBook:
    """The book in its folder. `server` is None while nothing serves it."""

    folder: Path
    address: str
    settings: Settings
    engine: Engine
    webhook_id: str
    password: str
    server: Process | None = None
    passes: list[TalkPass] = field(default_factory=list)
    is_over: bool = False
    starting: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> datetime:
        """Return the time in the book."""
        return clock.now() + talk_clock.ahead(self.folder)

    def rows(self) -> dict[str, Row[Any]]:
        """Return the newest deliveries by id, the newest first."""
        query: Any = select(*COLUMNS).order_by(Delivery.id.desc()).limit(SHOWN_ROWS)
        with database.read(self.engine) as connection:
            return {row.id: row for row in connection.execute(query)}

    def webhook(self) -> Row[Any]:
        """Return what the book knows of its receiver."""
        query: Any = select(Webhook.disabled_at, Webhook.disabled_reason, Webhook.paused_until)
        with database.read(self.engine) as connection:
            row: Row[Any] = connection.execute(query).one()
        return row

    def counts(self) -> StoredCounts:
        """Count what is stored."""
        with database.read(self.engine) as connection:
            ids = set(connection.scalars(select(Comment.id)))
            with_delivery = set(connection.scalars(select(Delivery.comment_id)))
            deliveries = connection.scalar(select(func.count()).select_from(Delivery)) or 0
        return StoredCounts(len(ids), deliveries, ids - with_delivery, ids)

    def enable(self) -> None:
        """Enable the webhook, as the owner does on the admin pages."""
        with Session(self.engine) as opened, database.writing(opened) as session:
            row_changes.enable(session, session.get_one(Webhook, self.webhook_id))

    def sign(self, name: str, message: str) -> requests.Response:
        """Sign the book through its API; raises RequestException."""
        with requests.Session() as visitor:
            visitor.trust_env = False  # No proxy can reach this server.
            comment = {"name": name, "message": message}
            return visitor.post(f"{self.address}/api/v1/comments", json=comment, timeout=PATIENCE)

    def is_served(self) -> bool:
        """Whether the book's page is served."""
        with requests.Session() as visitor, suppress(requests.RequestException):
            visitor.trust_env = False
            return visitor.get(f"{self.address}/", timeout=PATIENCE).ok
        return False

    def start_server(self) -> None:
        """Start the web server."""
        place = self.address.rpartition("/")[2]
        self.server = self._start(["serve", "--listen", place], subprocess.DEVNULL)

    def start_pass(self, timeout: float | None = None) -> TalkPass:
        """Start a pass as cron does. An attempt may take so many seconds."""
        output = self.folder / f"pass-{len(self.passes)}.txt"
        more = {f"{settings.SETTING_PREFIX}TIMEOUT": str(timeout)} if timeout else {}
        with output.open("wb") as file:
            one = TalkPass(self._start(["cron", "-v"], file, more), output)
        self.passes.append(one)
        return one

    def kill(self) -> None:
        """Kill the web server and all passes, as if somebody pulled the plug."""
        server, self.server = self.server, None
        for process in (server, *(one.process for one in self.passes)):
            if process and process.poll() is None:
                process.kill()
                process.wait()

    def end(self) -> None:
        """Let the web server end what is under way, and kill what is left. Nothing starts any more."""
        with self.starting:
            self.is_over = True
        if self.server:
            self.server.terminate()  # It waits for the end of the pipe.
            assert self.server.stdin
            self.server.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.server.wait(END_TIMEOUT)
        self.kill()

    def _start(self, words: Sequence[str], output: Any, more: dict[str, str] | None = None) -> Process:
        own_prefixes = (settings.SETTING_PREFIX, "FLASK_", "PORT")
        env = {key: value for key, value in os.environ.items() if not key.startswith(own_prefixes)}
        env |= {installation.DATA_DIR: str(self.folder), "FLASK_SKIP_DOTENV": "1", **(more or {})}
        env["PYTHONPATH"] = os.pathsep.join([str(installation.CHECKOUT), env.get("PYTHONPATH", "")])
        # In a session of its own, so that Ctrl-C reaches only us. The pipe ends with us, however that comes.
        apart: dict[str, Any] = {"cwd": self.folder, "env": env, "start_new_session": True}
        apart |= {"stdin": subprocess.PIPE, "stdout": output, "stderr": subprocess.STDOUT}
        with self.starting:
            if self.is_over:
                raise Refused("The talk is over.")
            return subprocess.Popen([*PROGRAM, *words], **apart)


@contextmanager
def made(receiver_url: str) -> Iterator[tuple[TalkBook, str]]:
    """Yield a new book and its webhook's secret. At the end no process of it runs, and nothing is left."""
    with tempfile.TemporaryDirectory(prefix="guestbook-talk-", ignore_cleanup_errors=True) as folder:
        own = Path(folder).resolve()
        with socket.create_server((HOST, 0)) as listener:
            address = f"http://{HOST}:{listener.getsockname()[1]}"
        names = {"BASE_URL": address, "ALLOW_NETWORKS": "127.0.0.0/8"}
        lines = [f"{settings.SETTING_PREFIX}{name}={value}\n" for name, value in names.items()]
        (own / ".env").write_text("".join(lines))
        (own / talk_clock.FILE).touch()
        read = settings.load({installation.DATA_DIR: str(own)}, alone=True)
        read = replace(read, secret_key=secret_key.make(own))
        with engines.opened(read) as engine:
            password = login.random_password()
            database.create_tables(engine)
            with Session(engine) as opened, database.writing(opened) as session:
                login.set_password(session, password)
                preferences.save(session, PREFERENCES)
                webhook = webhooks.add(session, {"url": receiver_url, "name": "the receiver"}, read)
                found = webhook.id, webhook.secret
            book = TalkBook(own, address, read, engine, found[0], password)
            try:
                yield book, found[1]
            finally:
                book.end()


def wait_for(look: Callable[[], object], otherwise: str, meanwhile: Callable[[], object]) -> None:
    """Wait until `look` finds something; raises Refused with `otherwise`."""
    give_up = time.monotonic() + PATIENCE
    while not look():
        meanwhile()
        if time.monotonic() > give_up:
            raise Refused(f"{otherwise} within {PATIENCE:g} seconds.")
        time.sleep(LOOK_INTERVAL)
