"""The command that runs the web server."""

import logging
import signal
from typing import Any

import click
from flask import current_app

from guestbook.cli import app_command
from guestbook.lib import stop_flag
from guestbook.lib.text import printable

THREADS = 8
BAD_ADDRESS = "Listen on an address and a port, as in 127.0.0.1:8080, or on unix:/path/to/socket."


@click.command(cls=app_command.AnyVersionCommand)  # its pages say what to do
@click.option(
    "--listen",
    metavar="PLACE",
    default="127.0.0.1:8080",
    show_default=True,
    help="Host and port, or unix:/path.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=THREADS,
    show_default=True,
    help="How many requests it handles at once.",
)
@click.option(
    "--url-prefix",
    default="",
    metavar="PATH",
    help="The path of the book's address, if it is not at the top of the site.",
)
def serve(listen: str, threads: int, url_prefix: str) -> None:
    """Serve the book behind your web server's proxy.

    Slow clients and half-open connections cannot block it. SIGTERM ends it once it has answered the requests
    under way, and after five seconds in any case.
    """
    if listen.isdecimal():  # a port alone would be taken for a host
        raise click.UsageError(BAD_ADDRESS)
    try:
        serving, where = listening(listen, threads, url_prefix)
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {printable(listen)}: {error.strerror or error}."
        ) from None
    except ValueError:
        raise click.UsageError(BAD_ADDRESS) from None
    click.echo(f"Serving on {where}", err=True)
    with stop_flag.interrupted_by({signal.SIGTERM}):
        serving.run()


def listening(listen: str, threads: int = THREADS, url_prefix: str = "") -> tuple[Any, str]:
    """Return the server of this application, which listens already, and its URL; its `run` serves.

    Raises OSError when it cannot listen there, ValueError when that is no address.
    """
    from guestbook.lib import http_server  # here: waitress would make each start of cron slower

    if app_command.settings().log_format == "text":
        logging.basicConfig(force=True)  # a server's lines name their level and module
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # Flask's own way to the app itself
    return http_server.listening(app, listen=listen, threads=threads, url_prefix=url_prefix)
