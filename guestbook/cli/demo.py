"""The command `demo`: a tour of a throwaway book with a server, a pass and a bin, in one minute.

First comes the command, then its three steps, then the book with its program, and how the tour prints.
"""

import json
import math
import os
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
from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers

from guestbook import settings
from guestbook.auth import login
from guestbook.cli import app_command, output
from guestbook.inbound import request_bins
from guestbook.lib import current_process, signatures
from guestbook.lib.errors import Refused
from guestbook.lib.text import printable
from guestbook.outbound import webhooks
from guestbook.settings import Settings, installation, secret_key
from guestbook.storage import database, engines
from guestbook.storage.models import Bin, BinRequest, Delivery

PROGRAM = (sys.executable, "-P", "-c", "import guestbook; guestbook.main()")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 30.0  # seconds
LOOK_INTERVAL = 0.05  # seconds
END_TIMEOUT = 5.0  # seconds
GREETING = "Hello from the demo!"
T = TypeVar("T")


@click.command(cls=app_command.AnyVersionCommand)
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
@click.option("--no-wait", is_flag=True, help="End after the last step instead of waiting for Ctrl-C.")
def demo(port: int | None, no_wait: bool) -> None:
    """Show in a minute what the book does: a delivery, a retry, a signature.

    It uses a throwaway book on this machine and no network. It does not touch your own book.
    """
    try:
        with _made(port) as tour:
            _show(tour)
            if no_wait:
                _paragraph("That was the tour. Without --no-wait you can look around until you press Ctrl-C.")
            else:
                _look_around(tour)
    except BrokenPipeError:  # Nobody reads any more, not even a sentence about it.
        raise
    except OSError as error:
        raise Refused(f"The demo cannot go on: {error.strerror or error}.") from None
    if not no_wait:
        click.echo("\nThe demo is over. Everything of it is removed.")


def _show(tour: "Tour") -> None:
    """Show the three steps, once the server answers."""
    click.echo("A tour of the guestbook")
    _paragraph("""This makes a throwaway book in a temporary folder and serves it on this machine. It uses no
        network and does not touch your own book. At the end everything is removed.""")
    tour.wait_for(tour.is_served, "The server did not answer")
    _paragraph(f"The book is ready: {tour.address}/")
    _paragraph("""Next to the server runs the pass, which sends what is due. On a host, cron starts it. There
        is also a bin, a URL that keeps every request, and a webhook that sends it every new comment.""")
    request = _show_delivery(tour)
    _show_retry(tour)
    _show_signature(request, signatures.key_of(tour.secret))


def _show_delivery(tour: "Tour") -> BinRequest:
    """Sign the book and show what arrives at the bin; return it."""
    output.print_heading("1. A delivery")
    sent = tour.sign("Ada", GREETING)
    _paragraph(f"""Ada has signed the book with a real HTTP request: “{GREETING}” She got her answer at once.
        Her comment and its delivery to the bin were stored in one transaction, and nothing was sent yet. The
        pass does the sending.""")
    request = tour.request(sent, 1)
    seconds = (request.received_at - sent.created_at).total_seconds()
    _paragraph(f"{seconds:.2f} seconds later the bin has this request, and has answered {request.answered}:")
    body = json.dumps(json.loads(request.kept), indent=2, ensure_ascii=False)
    _listing([*(f"{name}: {value}" for name, value in request.pairs), "", *body.split("\n")])
    return request


def _show_retry(tour: "Tour") -> None:
    """Let the bin fail once, and show that the webhook is sent again."""
    output.print_heading("2. A failure and its retry")
    with Session(tour.engine) as opened, database.writing(opened) as session:
        request_bins.update(session, session.get_one(Bin, tour.bin_id), {"fail": "1"})
    sent = tour.sign("Alan", "Does this get through?")
    _paragraph("Receivers fail sometimes. We let the bin fail the next request, and Alan signed the book.")
    first = tour.request(sent, 1)
    _listing([_attempt(first)])
    _paragraph("""The delivery stays in the database. The retry schedule makes it due again in about 5
        seconds. So we wait…""")
    second = tour.request(sent, 2)
    _listing([_attempt(second)])
    waited = (second.received_at - first.received_at).total_seconds()
    _paragraph(f"""The retry came {waited:.1f} seconds later, with the same webhook-id and the same body. The
        id lets a receiver drop repeats. If the retry fails too, up to eight more attempts follow, over three
        days.""")


def _attempt(row: BinRequest) -> str:
    number = Headers(row.pairs)["X-Guestbook-Attempt"]
    return f"attempt {number}  answered {row.answered}  webhook-id {row.event_id}"


def _show_signature(request: BinRequest, key: bytes) -> None:
    """Verify the request as a receiver does, and show that one changed letter breaks the signature."""
    output.print_heading("3. A signature check")
    headers = Headers(request.pairs)
    stamp = headers["webhook-id"], int(headers["webhook-timestamp"])
    _paragraph("""Anybody can send something to the bin. The signature proves that Ada's webhook came from the
        book. It covers the id, the timestamp and the exact body, joined by dots:""")
    _listing([signatures.signed_content(*stamp, request.kept).decode()])
    _paragraph("""A receiver computes the HMAC-SHA256 of that in base64, with the webhook's secret as the key,
        for what arrived, and for what arrives if one letter changes on the way, Hello to Jello:""")
    for body in (request.kept, request.kept.replace(b"Hello", b"Jello", 1)):
        computed, arrived = signatures.standard((key,), *stamp, body), headers["webhook-signature"]
        verdict = "equal: genuine" if computed == arrived else "different: refused"
        _listing([f"computed  {computed}", f"arrived   {arrived}", verdict])
    _paragraph("The admin pages explain this for each delivery, with code in Python, PHP, Node and Ruby.")


def _look_around(tour: "Tour") -> None:
    """Name what the visitor can open, and wait for Ctrl-C."""
    admin = f"{tour.address}/admin/"
    pages = {"The book": f"{tour.address}/", "Admin": admin, "The bin": f"{admin}bins/{tour.bin_id}"}
    output.print_part("Now look around", pages | {"Password": tour.password})
    _paragraph("Sign the book in your browser, and see what the bin gets.")
    _paragraph(f"Ctrl-C ends the demo and removes {tour.folder}.")
    with suppress(click.Abort):
        tour.wait_for(lambda: None, "", math.inf)  # It also ends when the program does.


@contextmanager
def _made(port: int | None) -> Iterator["Tour"]:
    """Yield the tour with its book. At the end no process of it runs, and nothing is left."""
    try:
        with socket.create_server(("127.0.0.1", port or 0)) as listener:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    except OSError:
        sentence = f"Port {port} is in use or cannot be used. Take another one, or leave out --port."
        raise Refused(sentence) from None
    # A handler that raised could do so before a started process is noted, so signals set a flag. A signal
    # that nohup ignores stays ignored.
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    with (
        tempfile.TemporaryDirectory(prefix="guestbook-demo-", ignore_cleanup_errors=True) as made,
        current_process.flag_set_by(caught, second_ends=False) as stop,
    ):
        folder = Path(made).resolve()
        own = {"DATA_DIR": str(folder), "BASE_URL": address, "ALLOW_NETWORKS": "127.0.0.0/8"}
        read = settings.load({settings.SETTING_PREFIX + name: own[name] for name in own}, alone=True)
        read = replace(read, secret_key=secret_key.make(folder))
        with engines.opened(read) as engine:
            bin_id, secret, password = _fill(engine, read)
            with _server(folder, address.rpartition(":")[2]) as program:
                yield Tour(folder, address, stop, engine, program, bin_id, secret, password)


def _fill(engine: Engine, read: Settings) -> tuple[str, str, str]:
    """Create the tables, a bin with a webhook, and the password; return its id and both secrets."""
    password = login.random_password()
    database.create_tables(engine)
    with Session(engine) as opened, database.writing(opened) as session:
        login.set_password(session, password)
        bin_ = request_bins.add(session, {"name": "demo", "body": "Thank you!\n"})
        webhook = webhooks.add(session, {"url": bin_.url(read.base_url), "name": "the bin"}, read)
        return bin_.id, webhook.secret, password


@contextmanager
def _server(folder: Path, port: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve the book, with passes beside it. At the end those that do not listen are killed."""
    own_prefixes = (settings.SETTING_PREFIX, "FLASK_", "PORT")
    env = {key: value for key, value in os.environ.items() if not key.startswith(own_prefixes)}
    env |= {f"{settings.SETTING_PREFIX}DATA_DIR": str(folder), "FLASK_SKIP_DOTENV": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(installation.CHECKOUT), env.get("PYTHONPATH", "")])
    # In a session of its own, so that Ctrl-C reaches only us. What goes wrong stands on stderr.
    apart: dict[str, Any] = {"cwd": folder, "env": env, "start_new_session": True}
    apart |= dict.fromkeys(("stdin", "stdout"), subprocess.DEVNULL)
    with subprocess.Popen([*PROGRAM, "run", "--port", port], **apart) as program:
        try:
            yield program
        finally:
            program.terminate()
            with suppress(subprocess.TimeoutExpired):
                program.wait(END_TIMEOUT)
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)


@dataclass
class Tour:
    """The book in its temporary folder, the program that serves it, and what has arrived at its bin."""

    folder: Path
    address: str
    stop: current_process.StopFlag
    engine: Engine
    program: "subprocess.Popen[bytes]"
    bin_id: str
    secret: str
    password: str

    def wait_for(self, look: Callable[[], T | None], otherwise: str, seconds: float = PATIENCE) -> T:
        """Return what `look` finds. Raises Abort after a signal, and Refused with `otherwise`."""
        give_up = time.monotonic() + seconds
        while (found := look()) is None:
            if self.program.poll() is not None:
                raise Refused("The demo's server has ended by itself.")
            if time.monotonic() > give_up:
                raise Refused(f"{otherwise} within {seconds:g} seconds.")
            if self.stop.wait(LOOK_INTERVAL):
                raise click.Abort
        return found

    def is_served(self) -> bool | None:
        """Whether the book's page is served; None for not yet."""
        with suppress(requests.RequestException):
            return _browser.get(f"{self.address}/", timeout=10).ok or None
        return None

    def sign(self, name: str, message: str) -> Delivery:
        """Sign the book through its API; return the delivery that this caused."""
        comment = {"name": name, "message": message}
        answer = _browser.post(f"{self.address}/api/v1/comments", json=comment, timeout=10)
        answer.raise_for_status()
        comment_id = str(answer.json()["id"])
        with Session(self.engine) as session:
            return session.scalars(select(Delivery).where(Delivery.comment_id == comment_id)).one()

    def request(self, sent: Delivery, number: int) -> BinRequest:
        """Wait for that number of requests of a delivery in the bin; return the last of them."""
        query = select(BinRequest).where(BinRequest.event_id == sent.event_id).order_by(BinRequest.id)

        def look() -> BinRequest | None:
            with Session(self.engine) as session:
                return session.scalar(query.offset(number - 1).limit(1))

        return self.wait_for(look, f"Attempt {number} did not arrive at the bin")


_browser = requests.Session()
_browser.trust_env = False  # No proxy can reach this server.


def _paragraph(words: str) -> None:
    """Print an empty line and a paragraph; addresses and paths are not broken."""
    filled = textwrap.wrap(" ".join(words.split()), 78, break_long_words=False, break_on_hyphens=False)
    click.echo("\n" + "\n".join(filled))


def _listing(lines: Iterable[str]) -> None:
    """Print lines indented, without what is too long for a terminal or would control it."""
    click.echo()
    for line in map(printable, lines):
        click.echo(f"    {line if len(line) <= 74 else line[:73] + '…'}".rstrip())
