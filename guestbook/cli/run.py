"""The commands that run the web server: `serve`, and `run` with passes beside it.

First comes `serve`, then what starts passes, then `run`.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, NoReturn

import click
from click.core import ParameterSource
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from guestbook import settings
from guestbook.auth import setup_code
from guestbook.cli import app_command, database
from guestbook.cli.options import with_default
from guestbook.lib import current_process
from guestbook.lib.text import printable
from guestbook.settings import environment, installation
from guestbook.storage import database as storage_database
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault, WrongVersion

THREADS = 8
BAD_ADDRESS = "Listen on an address and a port, as in 127.0.0.1:8080, or on unix:/path/to/socket."


@click.command(cls=app_command.AnyVersionCommand)  # Its pages say what to do.
@with_default("--listen", metavar="PLACE", default="127.0.0.1:8080", help="Host and port, or unix:/path.")
@with_default(
    "--threads", type=click.IntRange(1, 64), default=THREADS, help="How many requests it handles at once."
)
@click.option("--url-prefix", default="", metavar="PATH", help="The path in the book's address, if any.")
def serve(listen: str, threads: int, url_prefix: str) -> None:
    """Serve the book behind your web server's proxy.

    Slow clients and half-open connections cannot block it. SIGTERM ends it once it has answered the requests
    under way, and after five seconds in any case.
    """
    if listen.isdecimal():  # A port alone would be taken for a host.
        raise click.UsageError(BAD_ADDRESS)
    try:
        serving, where = listening(listen, threads, url_prefix)
    except OSError as error:
        why = f"Cannot listen on {printable(listen)}: {error.strerror or error}."
        raise click.ClickException(why) from None
    except ValueError:
        raise click.UsageError(BAD_ADDRESS) from None
    click.echo(f"Serving on {where}", err=True)
    base, is_chosen = app_command.settings().base_url, "GUESTBOOK_BASE_URL" in settings.read_all()
    with suppress(SQLAlchemyError):  # Its pages say what to do.
        _print_link(base if is_chosen or where.startswith("unix:") else where + url_prefix, err=True)
    with current_process.interrupted_by({signal.SIGTERM}):
        serving.run()


def _print_link(base_url: str, *, err: bool = False) -> None:
    """Print the link with which the owner of a book without a password sets it up, or of an older book."""
    try:
        storage_database.require_version(db.engine)
        if link := setup_code.new_link(base_url):
            click.echo(f"Set up your book within 30 minutes at {link}", err=err)
    except WrongVersion as error:
        if error.fault.repair:
            how = f"Update the book at {base_url}/admin/ or type {app_command.typed(error.fault.repair)}"
            click.echo(f"{error.fault.value}. {how}", err=err)
    finally:
        db.engine.dispose()  # These connections wait as long as a command may, not a visitor.


def listening(listen: str, threads: int = THREADS, url_prefix: str = "") -> tuple[Any, str]:
    """Return the server of this application, which listens already, and its URL; its `run` serves.

    Raises OSError when it cannot listen there, ValueError when that is no address.
    """
    from guestbook.lib import http_server  # Waitress would make each start of cron slower.

    if app_command.settings().log_format == "text":
        logging.basicConfig(force=True)  # A server's lines name their level and module.
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # Flask's own way to the app itself
    return http_server.listening(app, listen=listen, threads=threads, url_prefix=url_prefix)


REST = 1.0  # seconds
# One that ends early has failed, or has found the pass of another process at work. It must not use up a core.
EARLY = 10.0  # seconds
LONG_REST = 5.0  # seconds
# Ctrl-C signals all processes of a terminal, and a service manager all of a service. A pass takes a second
# signal as an order to end at once, so it gets one alone: SIGTERM, when we close the pipe.
SIGNALS_OF_TERMINAL = {signal.SIGINT, signal.SIGHUP}
SIGNALS_FOR_US = SIGNALS_OF_TERMINAL | {signal.SIGTERM}
# Without -P a file in the working directory could take the place of a package.
PASS_CODE = (
    "import guestbook; from guestbook.lib import current_process; "
    "current_process.end_with_parent(); guestbook.main()"
)
PASS_COMMAND = (sys.executable, "-P", "-c", PASS_CODE, "cron", "--stay")

log = logging.getLogger(__name__)


@contextmanager
def passes_beside() -> Iterator[None]:
    """Start a pass, and another one when it has ended.

    At the end the pass may finish and record what is under way. A second Ctrl-C ends it at once.
    """
    read_end, write_end = os.pipe()  # The pass watches it: see current_process.
    stopping = threading.Event()
    running: list[subprocess.Popen[bytes]] = []
    arguments = (read_end, stopping, running)
    thread = threading.Thread(target=_run_passes, args=arguments, name="passes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        for one in running:
            one.terminate()  # One that has begun waits for the end of the pipe.
        os.close(write_end)
        try:
            thread.join()
        except KeyboardInterrupt:
            for one in running:
                one.kill()
            thread.join()
        os.close(read_end)


def _run_passes(read_end: int, stopping: threading.Event, running: "list[subprocess.Popen[bytes]]") -> None:
    # Of this thread; its children inherit it.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_OF_TERMINAL)
    rest = 0.0
    while not stopping.wait(rest):
        began = time.monotonic()
        try:
            running[:] = [subprocess.Popen(PASS_COMMAND, stdin=read_end)]
            running[0].wait()
        except OSError as error:
            log.warning("no pass could be started, so what is due waits: %s.", error.strerror)
        rest = REST if time.monotonic() - began >= EARLY else LONG_REST


HOST = "127.0.0.1"
OTHER_PORTS = range(5001, 5100)  # One of these is advised.


@click.command()
@with_default(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    envvar="PORT",
    metavar="NUMBER",
    show_envvar=True,
    help="Serve on this port.",
)
@with_default("--host", metavar="ADDRESS", default=HOST, help="Serve on this address; 0.0.0.0 means all.")
def run(port: int, host: str) -> None:
    """Run the book on this machine: the web server, and the work of cron beside it.

    The first start makes the data folder and the tables, and prints a link with which you set the book up.
    Ctrl-C stops everything. The next start keeps your data. While it runs, webhooks may reach this machine,
    unless --host lets other machines reach the book.
    """
    if not _is_free(0, host):
        raise click.UsageError(f"This machine does not have the address {printable(host)}.")
    if not _is_free(port, host):
        _refuse(port)  # Before anything is made.
    noted = _settings_noted(port, is_local=host == HOST)
    with suppress(KeyboardInterrupt), current_process.interrupted_by(SIGNALS_FOR_US), noted:
        app_command.call(_make_tables, any_version=True)
        app_command.call(partial(_serve, port, host), any_version=True)


def _make_tables() -> None:
    try:
        database.make_tables()
    except WrongVersion as error:
        if error.fault is not Fault.OLD_TABLES:
            raise  # The pages can update these: in a container there is perhaps no terminal.


def _serve(port: int, host: str) -> None:
    """Serve the site until a signal comes."""
    try:
        server, _ = listening(f"{host}:{port}")
    except OSError:
        _refuse(port)
    with passes_beside():
        click.echo(f"The guestbook is at http://{HOST}:{port}/ and Ctrl-C stops it.")
        click.echo(f"The admin pages are at http://{HOST}:{port}/admin/")
        _print_link(app_command.settings().base_url)
        server.run()


def _refuse(port: int) -> NoReturn:
    source = click.get_current_context().get_parameter_source("port")
    is_script = installation.in_checkout() and source is not ParameterSource.COMMANDLINE
    free = next(filter(_is_free, OTHER_PORTS), OTHER_PORTS[0])
    other = f"PORT={free} scripts/run" if is_script else installation.typed(f"run --port {free}")
    click.echo(f"Port {port} is in use or cannot be used. Take another one: {other}", err=True)
    sys.exit(1)


def _is_free(port: int, host: str = HOST) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


@contextmanager
def _settings_noted(port: int, *, is_local: bool) -> Iterator[None]:
    """Let the web server, passes and commands typed beside them use the book's address on this machine."""
    try:
        values = settings.read_all()
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from None
    if not is_local:  # Visitors could have the book ask what only this machine may reach.
        values = {"GUESTBOOK_ALLOW_NETWORKS": "", **values}
    with ExitStack() as stack:
        with suppress(OSError):  # Commands themselves say that the disk is full.
            stack.callback(environment.note_run(values, str(port), os.getpid()).unlink, missing_ok=True)
        yield
