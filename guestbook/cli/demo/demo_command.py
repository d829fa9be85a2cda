"""The tour from the shell."""

import sys

import click

from guestbook import settings
from guestbook.cli import app_command
from guestbook.cli.demo import tour
from guestbook.cli.demo.tour import Asked


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
@click.option("--no-wait", is_flag=True, help="End after the last step, not at Ctrl-C.")
@app_command.run
def demo(port: int | None, no_wait: bool) -> None:
    """Show in a minute what a guestbook does: a delivery, a retry, a signature.

    It happens in a throwaway book on this machine, without the network. Your own book is not touched.
    """
    finished = tour.run(Asked(port, not no_wait, app_command.typed, frozenset(settings.read_all())))
    if not finished:
        click.echo("\nThe demo was stopped before its end, and everything of it is removed.", err=True)
        sys.exit(1)
    if not no_wait:
        click.echo("\nThe demo is over, and everything of it is removed.")
