"""The web server from the shell."""

import logging

import click
from flask import current_app

from guestbook.cli import app_command
from guestbook.lib.text import printable

THREADS = 8
NOT_THERE = "It cannot listen on {}: {}."
NO_PLACE = "Listen on an address and a port, as in 127.0.0.1:8080, or on unix:/path/to/socket."


@click.command()
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
    help="Requests that are worked on at once.",
)
@click.option("--url-prefix", default="", metavar="PATH", help="The path below which the book is shown.")
@app_command.run
def serve(listen: str, threads: int, url_prefix: str) -> None:
    """Serve the book, for your web server's proxy.

    Slow clients and half-open connections cannot use it up.
    """
    from guestbook.lib import http_server  # here: waitress would make each start of cron slower

    if app_command.settings().log_format == "text":
        logging.basicConfig(force=True)  # a server's lines name their level and module
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # Flask's own way to the app itself
    try:
        serving, where = http_server.listening(app, listen=listen, threads=threads, url_prefix=url_prefix)
    except OSError as error:
        raise click.ClickException(NOT_THERE.format(printable(listen), error.strerror or error)) from None
    except ValueError:
        raise click.ClickException(NO_PLACE) from None
    click.echo(f"Serving on {where}", err=True)
    serving.run()
