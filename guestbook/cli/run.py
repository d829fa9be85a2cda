"""The command that runs the whole guestbook on this machine: the web server, and passes beside it."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from guestbook import settings
from guestbook.auth import login
from guestbook.cli import app_command, init_db, serve
from guestbook.cli.pass_supervisor import SIGNALS_FOR_US, PassSupervisor
from guestbook.lib import stop_flag
from guestbook.lib.text import printable
from guestbook.settings import installation, run_settings
from guestbook.storage.database import db, writing

HOST = "127.0.0.1"
HIGHEST_PORT = 65535
OTHER_PORTS = range(5001, 5100)  # one of these is advised when the wanted one is in use


@click.command()
@click.option(
    "--port",
    default="5000",
    envvar="PORT",
    metavar="NUMBER",
    show_default=True,
    show_envvar=True,
    help="Serve on this port of 127.0.0.1.",
)
def run(port: str) -> None:
    """Run the book on this machine: the web server, and the work of cron beside it.

    The first start makes the data folder, the tables and a password for the admin pages, which it prints.
    Ctrl-C stops everything. The next start keeps your data. While it runs, webhooks may reach this machine.
    """
    _require_port(port)
    with suppress(KeyboardInterrupt), stop_flag.interrupted_by(SIGNALS_FOR_US), _settings_noted(port):
        context = click.get_current_context()
        app_command.call(partial(context.invoke, init_db.init_db), any_version=True)
        app_command.call(partial(_serve, port))


def _serve(port: str) -> None:
    """Serve the site until a signal comes."""
    password = _first_password()
    server = _server(port)
    address = f"http://{HOST}:{port}"
    with PassSupervisor():
        click.echo(f"The guestbook is at {address}/ and Ctrl-C stops it.")
        said = f" and their password is {password}" if password else ""
        click.echo(f"The admin pages are at {address}/admin/{said}")
        server.run()


def _server(port: str) -> Any:
    try:
        return serve.listening(f"{HOST}:{port}")[0]
    except OSError:
        _refuse(port)


def _first_password() -> str | None:
    """Set a password if there is none yet, and return it."""
    if login.has_password(db.session()):
        return None
    password = login.random_password()
    with writing() as session:
        login.set_password(session, password)
    return password


def _require_port(port: str) -> None:
    """Refuse a port that cannot be had, before anything is made."""
    is_number = port.isascii() and port.isdecimal() and len(port) <= len(str(HIGHEST_PORT))
    if not (is_number and 0 < int(port) <= HIGHEST_PORT):
        _refuse(port, f"is not a number from 1 to {HIGHEST_PORT}", code=2)
    if not _is_free(int(port)):
        _refuse(port)


def _refuse(port: str, why: str = "is in use or cannot be used", code: int = 1) -> NoReturn:
    source = click.get_current_context().get_parameter_source("port")
    is_script = installation.in_checkout() and source is not ParameterSource.COMMANDLINE
    free = next(filter(_is_free, OTHER_PORTS), OTHER_PORTS[0])
    other = f"PORT={free} scripts/run" if is_script else installation.typed(f"run --port {free}")
    click.echo(f"Port {printable(port)} {why}. Take another one: {other}", err=True)
    sys.exit(code)


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


@contextmanager
def _settings_noted(port: str) -> Iterator[None]:
    """Let the web server, passes and commands typed beside them use the book's address on this machine."""
    try:
        values = settings.read_all()
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from None
    noted = None
    with suppress(OSError):  # a full disk: the commands themselves say so
        noted = run_settings.note_run(values, port, os.getpid())
    try:
        yield
    finally:
        if noted:
            noted.unlink(missing_ok=True)
