"""The command that gives the tour."""

import sys

import click

from guestbook import settings
from guestbook.cli import app_command
from guestbook.cli.demo import tour
from guestbook.cli.demo.tour import TourOptions


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
@click.option("--no-wait", is_flag=True, help="End after the last step instead of waiting for Ctrl-C.")
@app_command.run
def demo(port: int | None, no_wait: bool) -> None:
    """Show in a minute what the book does: a delivery, a retry, a signature.

    It uses a throwaway book on this machine and no network. It does not touch your own book.
    """
    finished = tour.run(TourOptions(port, not no_wait, app_command.typed, frozenset(settings.read_all())))
    if not finished:
        click.echo("\nThe demo was stopped early. Everything of it is removed.", err=True)
        sys.exit(1)
    if not no_wait:
        click.echo("\nThe demo is over. Everything of it is removed.")
