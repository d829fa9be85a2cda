"""The command `demo`: a tour of a throwaway book with a server, a pass and a bin, in one minute.

First comes the command, then its three steps, then the book with its program, and how the tour prints.
"""

import math
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import requests
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers

from guestbook import settings
from guestbook.auth import login
from guestbook.cli import app_command
from guestbook.comments import book
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.inbound import bins
from guestbook.lib import body_view, current_process, signatures, verification
from guestbook.lib.current_process import StopFlag
from guestbook.lib.errors import Refused
from guestbook.lib.text import printable
from guestbook.outbound import webhooks
from guestbook.settings import Settings, installation, secret_key
from guestbook.storage import database, engines
from guestbook.storage.models import Bin, BinRequest, Delivery

DATA_DIR = f"{settings.SETTING_PREFIX}DATA_DIR"
PROGRAM = (sys.executable, "-P", "-c", "import guestbook; guestbook.main()")
LOG = "output.log"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 30.0  # seconds
LOOK_INTERVAL = 0.05  # seconds
END_TIMEOUT = 5.0  # seconds
SAMPLE_COMMENTS = (
    ("Grace", "Found your site by way of a friend's. The photos of the harbour are lovely!"),
    ("Łukasz", "Greetings from Łódź 🦋 I have taken your recipe for pierogi home."),
    ("Mary", "I was here, and I will come back."),
)
REPLY = "Please do, Mary! The next photos come in spring."
GREETING = "Hello from the demo!"
WORD, OTHER_WORD = b"Hello", b"Jello"  # One letter of the greeting changes.
SHOWN_HEADERS = (
    *("Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "webhook-signature"),
    *("X-Hub-Signature-256", "X-Guestbook-Event", "X-Guestbook-Attempt"),
)
T = TypeVar("T")


class Stopped(Exception):
    """Ctrl-C or another signal has ended the demo."""


@click.command(cls=app_command.AnyVersionCommand)
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
@click.option("--no-wait", is_flag=True, help="End after the last step instead of waiting for Ctrl-C.")
def demo(port: int | None, no_wait: bool) -> None:
    """Show in a minute what the book does: a delivery, a retry, a signature.

    It uses a throwaway book on this machine and no network. It does not touch your own book.
    """
    try:
        with _made(port) as tour:
            _go(tour, wait=not no_wait)
    except Stopped:
        click.echo("\nThe demo was stopped early. Everything of it is removed.", err=True)
        sys.exit(1)
    except BrokenPipeError:  # Nobody reads any more, not even a sentence about it.
        raise
    except (OSError, SQLAlchemyError) as error:
        said = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
        raise Refused(f"The demo cannot go on: {' '.join(str(said).split()).rstrip('.')}.") from None
    if not no_wait:
        click.echo("\nThe demo is over. Everything of it is removed.")


def _go(tour: "Tour", *, wait: bool) -> None:
    _title("A tour of the guestbook")
    _paragraph("""This makes a throwaway book in a temporary folder and serves it on this machine. It uses no
        network and does not touch your own book. At the end everything is removed.""")
    tour.start("run", "--port", tour.address.rpartition(":")[2])
    tour.wait_for(lambda: _is_served(tour.address), PATIENCE, "The server did not answer")
    _paragraph(f"The book is ready, and {len(SAMPLE_COMMENTS)} people have signed it: {tour.address}/")
    _paragraph("""Next to the server runs the pass, which sends what is due. On a host, cron starts it. There
        is also a bin, a URL that keeps every request, and a webhook that sends it every new comment.""")
    first = _show_delivery(tour)
    _show_retry(tour)
    _show_signature(tour, first)
    if wait:
        _look_around(tour)
    else:
        _paragraph("That was the tour. Without --no-wait you can look around until you press Ctrl-C.")


def _show_delivery(tour: "Tour") -> BinRequest:
    """Sign the book and show what arrives at the bin; return it."""
    _title("1. A delivery")
    _paragraph(f"Ada signs the book with a real HTTP request: “{GREETING}”")
    sent = tour.sign("Ada", GREETING)
    _paragraph("""She got her answer at once. Her comment and its delivery to the bin were stored in one
        transaction, and nothing was sent yet. The pass does the sending.""")
    request = tour.request(sent, 1)
    seconds = (request.received_at - sent.created_at).total_seconds()
    _paragraph(f"{seconds:.2f} seconds later the bin has this request:")
    headers = Headers(request.pairs)
    body = body_view.views(request.kept, headers["Content-Type"])[0].text
    shown = [f"{name}: {headers.get(name, '')}" for name in SHOWN_HEADERS]
    _listing([f"{request.method} (the bin's address)", *shown, "", *body.split("\n")])
    _paragraph(f"The bin answered {request.answered}: delivered.")
    return request


def _show_retry(tour: "Tour") -> None:
    """Let the bin fail once, and show that the webhook is sent again."""
    _title("2. A failure and its retry")
    _paragraph("Receivers fail sometimes. We let the bin fail the next request, and Alan signs the book.")
    with Session(tour.engine) as opened, database.writing(opened) as session:
        bins.update(session, session.get_one(Bin, tour.bin_id), {"fail": "1"})
    sent = tour.sign("Alan", "Does this get through?")
    first = tour.request(sent, 1)
    _listing([_attempt(first)])
    _paragraph("""The delivery stays in the database. The retry schedule makes it due again in about 5
        seconds. So we wait…""")
    second = tour.request(sent, 2)
    _listing([_attempt(second)])
    if (first.answered, second.answered) != (500, 200) or first.kept != second.kept:
        raise Refused(f"The attempts were not as they should be: {_attempt(first)}, {_attempt(second)}.")
    waited = (second.received_at - first.received_at).total_seconds()
    _paragraph(f"""The retry came {waited:.1f} seconds later, with the same webhook-id and the same body. The
        id lets a receiver drop repeats. If the retry fails too, up to eight more attempts follow, over three
        days.""")


def _show_signature(tour: "Tour", request: BinRequest) -> None:
    """Verify the request as a receiver does, and show that one changed letter breaks the signature."""
    _title("3. A signature check")
    _paragraph("""Anybody can send something to the bin. The signature proves that Ada's webhook came from the
        book. It covers the id, the timestamp and the exact body, joined by dots:""")
    headers = {name.lower(): value for name, value in request.pairs}
    stamp = headers["webhook-id"], int(headers["webhook-timestamp"])
    _listing([signatures.signed_content(*stamp, request.kept).decode()])
    _paragraph("This is the HMAC-SHA256 of that in base64, with the webhook's secret as the key:")
    _compare(tour, request, request.kept, genuine=True)
    _paragraph("They are equal: the webhook is genuine. Now one letter changes on the way, Hello to Jello:")
    _compare(tour, request, request.kept.replace(WORD, OTHER_WORD, 1), genuine=False)
    _paragraph("""They differ, so a receiver refuses it. The admin pages explain this for each delivery, with
        code in Python, PHP, Node and Ruby.""")


def _compare(tour: "Tour", request: BinRequest, body: bytes, *, genuine: bool) -> None:
    """Show the signature that a body needs and the one that arrived; Refused when our verdict is wrong."""
    headers = {name.lower(): value for name, value in request.pairs}
    stamp, came = (headers["webhook-id"], int(headers["webhook-timestamp"])), headers["webhook-signature"]
    needed = signatures.standard((signatures.key_of(tour.secret),), *stamp, body)
    _listing([f"computed  {needed}", f"arrived   {came}"])
    verdict = verification.verify("standard", (tour.secret,), headers, body, request.received_at)
    if not verdict.ok == (needed == came) == genuine:
        raise Refused(f"The signature check went wrong: {verdict.sentence}")


def _look_around(tour: "Tour") -> None:
    """Name what the visitor can open and type, and wait for Ctrl-C."""
    _title("Now look around")
    admin = f"{tour.address}/admin/"
    addresses = {"The book": f"{tour.address}/", "Admin": admin, "Password": tour.password}
    addresses["The bin"] = f"{admin}bins/{tour.bin_id}"
    _copyable(f"{name:<9} {value}" for name, value in addresses.items())
    _paragraph("""Sign the book in your browser, and see what the bin gets. Or type this in another terminal,
        in this folder:""")
    # Settings of the user's own would be stronger than those of the demo's folder.
    own = {"DATABASE_URL": tour.read.database_url, "SECRET_KEY": "", "SECRET_KEY_FILE": ""}
    named = {DATA_DIR: str(tour.folder)} | {settings.SETTING_PREFIX + name: own[name] for name in own}
    given = settings.read_all()
    lines = [f"{name}={shlex.quote(named[name])} \\" for name in named if name in given]
    for words in ("deliveries list", f"bins show {tour.bin_id[:12]}"):
        _copyable([*lines, f"  {app_command.typed(words)}"])
    _paragraph(f"Ctrl-C ends the demo and removes {tour.folder}.")
    with suppress(Stopped):
        tour.wait_for(lambda: None, math.inf, "")  # It also ends when the program does.


def _attempt(row: BinRequest) -> str:
    headers = Headers(row.pairs)
    number, event_id = headers["X-Guestbook-Attempt"], headers["webhook-id"]
    return f"attempt {number}  answered {row.answered}  webhook-id {event_id}"


@contextmanager
def _made(port: int | None) -> Iterator["Tour"]:
    """Yield the tour with its book. At the end no process of it runs, and nothing is left."""
    try:
        with socket.create_server(("127.0.0.1", port or 0)) as listener:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    except OSError:
        sentence = f"Port {port} is in use or cannot be used. Take another one, or leave out --port."
        raise Refused(sentence) from None
    folder = Path(tempfile.mkdtemp(prefix="guestbook-demo-")).resolve()  # Only its owner may read it.
    own = {"DATA_DIR": str(folder), "BASE_URL": address, "ALLOW_NETWORKS": "127.0.0.0/8"}
    try:
        read = settings.load({settings.SETTING_PREFIX + name: own[name] for name in own}, alone=True)
        read = replace(read, secret_key=secret_key.make(folder))
        # A handler that raised could do so before a started process is noted, so signals set a flag. A signal
        # that nohup ignores stays ignored.
        caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        with current_process.flag_set_by(caught, second_ends=False) as stop, engines.opened(read) as engine:
            tour = Tour(folder, address, stop, engine, read)
            try:
                tour.fill()
                yield tour
            finally:
                tour.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Tour:
    """The book in its temporary folder, the program that serves it, and what has arrived at its bin."""

    folder: Path
    address: str
    stop: StopFlag
    engine: Engine
    read: Settings
    bin_id: str = ""
    secret: str = ""
    password: str = ""
    program: "subprocess.Popen[bytes] | None" = None

    def fill(self) -> None:
        """Create the tables, the password, some comments, a bin, and then the webhook that sends to it."""
        database.create_tables(self.engine)
        self.password = login.random_password()
        with Session(self.engine) as opened, database.writing(opened) as session:
            login.set_password(session, self.password)
            for name, message in SAMPLE_COMMENTS:
                draft, published = Draft(name, None, message, {}), Classification("published")
                comment = book.sign(session, draft, published, settings=self.read)
            book.reply(session, comment, REPLY, self.read)
            bin_ = bins.add(session, {"name": "demo", "body": "Thank you!\n"})
            fields = {"url": bin_.url(self.address), "name": "the bin"}
            self.bin_id, self.secret = bin_.id, webhooks.add(session, fields, self.read).secret

    def start(self, *command: str) -> None:
        """Run it in a session of its own, so that Ctrl-C reaches only us; its output goes to a log."""
        own_prefixes = (settings.SETTING_PREFIX, "FLASK_", "PORT")
        env = {key: value for key, value in os.environ.items() if not key.startswith(own_prefixes)}
        env |= {DATA_DIR: str(self.folder), "FLASK_SKIP_DOTENV": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(installation.CHECKOUT), env.get("PYTHONPATH", "")])
        with (self.folder / LOG).open("wb") as log:
            apart: dict[str, Any] = {"cwd": self.folder, "env": env, "start_new_session": True}
            apart |= {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.program = subprocess.Popen([*PROGRAM, *command], **apart)

    def wait_for(self, look: Callable[[], T | None], seconds: float, otherwise: str) -> T:
        """Return what `look` finds. Raises Stopped, or Refused in a sentence that `otherwise` begins."""
        give_up = time.monotonic() + seconds
        while (found := look()) is None:
            if self.program and self.program.poll() is not None:
                raise Refused(f"The demo's server has ended by itself.{self._last_line()}")
            if time.monotonic() > give_up:
                raise Refused(f"{otherwise} within {seconds:g} seconds.{self._last_line()}")
            if self.stop.wait(LOOK_INTERVAL):
                raise Stopped
        return found

    def end(self) -> None:
        """End the program and its passes, by force where one does not listen."""
        if self.program:
            self.program.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.program.wait(END_TIMEOUT)
            with suppress(ProcessLookupError):
                os.killpg(self.program.pid, signal.SIGKILL)
            self.program.wait()

    def sign(self, name: str, message: str) -> Delivery:
        """Sign the book through its API; return the delivery that this caused."""
        comment = {"name": name, "message": message}
        try:
            answer = _browser.post(f"{self.address}/api/v1/comments", json=comment, timeout=10)
            if not answer.ok:
                raise Refused(f"The book did not take the comment: it answered {answer.status_code}.")
            comment_id = str(answer.json()["id"])
        except (requests.RequestException, ValueError, KeyError) as error:
            raise Refused(f"The book did not take the comment: {error}.") from None
        with Session(self.engine) as session:
            return session.scalars(select(Delivery).where(Delivery.comment_id == comment_id)).one()

    def request(self, sent: Delivery, number: int) -> BinRequest:
        """Wait for that number of requests of a delivery in the bin; return the last of them."""

        def look() -> BinRequest | None:
            with Session(self.engine) as session:
                rows = reversed(bins.latest(session, self.bin_id, bins.REQUESTS_KEPT))
                found = [row for row in rows if Headers(row.pairs).get("webhook-id") == sent.event_id]
            return found[number - 1] if len(found) >= number else None

        return self.wait_for(look, PATIENCE, f"Attempt {number} did not arrive at the bin")

    def _last_line(self) -> str:
        """Return the last line that the program has printed."""
        lines = (self.folder / LOG).read_text(errors="replace").strip().split("\n")
        return f" It printed last: {lines[-1].strip()[:200]}" if lines[-1] else ""


_browser = requests.Session()
_browser.trust_env = False  # No proxy can reach this server.


def _is_served(address: str) -> bool | None:
    """Whether the book's page is served; None for not yet."""
    with suppress(requests.RequestException):
        return _browser.get(f"{address}/", timeout=10).ok or None
    return None


def _title(words: str) -> None:
    """Print a heading with an empty line after it, in bold on a terminal."""
    click.echo((words if "NO_COLOR" in os.environ else click.style(words, bold=True)) + "\n")


def _paragraph(words: str) -> None:
    """Print a paragraph with an empty line after it; addresses and paths are not broken."""
    filled = textwrap.wrap(" ".join(words.split()), 78, break_long_words=False, break_on_hyphens=False)
    click.echo("\n".join(filled) + "\n")


def _listing(lines: Iterable[str]) -> None:
    """Print lines indented, without what is too long for a terminal or would control it."""
    for line in map(printable, lines):
        click.echo(f"    {line if len(line) <= 74 else line[:73] + '…'}".rstrip())
    click.echo()


def _copyable(lines: Iterable[str]) -> None:
    """Print lines that somebody may copy, in full."""
    click.echo("".join(f"  {line}\n" for line in lines))
