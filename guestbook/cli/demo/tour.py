"""The command that gives the tour: a delivery, a failure with its retry, a signature check."""

import math
import shlex
import sys
from contextlib import suppress

import click
from sqlalchemy.exc import SQLAlchemyError

from guestbook import settings
from guestbook.cli import app_command
from guestbook.cli.demo import http_visitor, printing, processes, sample_book, steps, workspace
from guestbook.cli.demo.processes import Processes, Stopped
from guestbook.cli.demo.steps import Scene
from guestbook.cli.demo.workspace import Workspace
from guestbook.lib.errors import Refused
from guestbook.storage import engine_setup

LONGEST_PASS = "86400"  # seconds
START_TIMEOUT = 30.0  # seconds, on a slow and busy machine
SHORT_ID_LENGTH = 12


@click.command(cls=app_command.AnyVersionCommand)
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
@click.option("--no-wait", is_flag=True, help="End after the last step instead of waiting for Ctrl-C.")
def demo(port: int | None, no_wait: bool) -> None:
    """Show in a minute what the book does: a delivery, a retry, a signature.

    It uses a throwaway book on this machine and no network. It does not touch your own book.
    """
    if not run(port, wait=not no_wait):
        click.echo("\nThe demo was stopped early. Everything of it is removed.", err=True)
        sys.exit(1)
    if not no_wait:
        click.echo("\nThe demo is over. Everything of it is removed.")


def run(port: int | None, *, wait: bool) -> bool:
    """Give the tour and leave nothing behind; False when it was stopped before its end. Raises Refused."""
    with processes.noticed() as stop:
        try:
            with workspace.made(port) as place, Processes(place, stop) as running:
                _go(place, running, wait)
            return True
        except Stopped:
            return False
        except BrokenPipeError:  # nobody reads any more, not even a sentence about it
            raise
        except (OSError, SQLAlchemyError) as error:
            raise Refused(f"The demo cannot go on: {_reason(error)}.") from None


def _go(place: Workspace, running: Processes, wait: bool) -> None:
    printing.title("A tour of the guestbook")
    printing.paragraph(
        "This makes a throwaway book in a temporary folder and serves it on this machine. It uses no network "
        "and does not touch your own book. At the end everything is removed."
    )
    read = place.settings()
    with engine_setup.opened(read) as engine:
        scene = Scene(place, running, engine, sample_book.prepare(engine, read))
        _start(scene)
        first = steps.delivery(scene)
        steps.retry(scene)
        steps.signature(scene, first)
        if wait:
            _look_around(scene)
        else:
            printing.paragraph(
                "That was the tour. Without --no-wait the book stays until Ctrl-C, so that you can look "
                "around."
            )


def _start(scene: Scene) -> None:
    """Start the server, and cron's work in one pass that stays."""
    address, flask = scene.place.address, ("flask", "--app", "guestbook")
    scene.running.start("server", *flask, "serve", "--listen", address.removeprefix("http://"))
    scene.running.start("pass", *flask, "cron", "--stay", "--max-seconds", LONGEST_PASS)
    scene.running.wait_for(
        lambda: http_visitor.is_served(address), START_TIMEOUT, "The server did not answer"
    )
    printing.paragraph(
        f"The book is ready, and {len(sample_book.SAMPLE_COMMENTS)} people have signed it: {address}/"
    )
    printing.paragraph(
        "Next to the server runs the pass, which sends what is due. On a host, cron starts it. There is also "
        "a bin, a URL that keeps every request, and a webhook that sends it every new comment."
    )


def _look_around(scene: Scene) -> None:
    printing.title("Now look around")
    address = scene.place.address
    printing.uncut(
        [
            f"The book  {address}/",
            f"Admin     {address}/admin/",
            f"Password  {scene.sample.password}",
            f"The bin   {address}/admin/bins/{scene.sample.bin_id}",
        ]
    )
    printing.paragraph(
        "Sign the book in your browser, and see what the bin gets. Or type this in another terminal, in this "
        "folder:"
    )
    for words in ("deliveries list", f"bins show {scene.sample.bin_id[:SHORT_ID_LENGTH]}"):
        printing.uncut(_command(scene.place, words))
    printing.paragraph(f"Ctrl-C ends the demo and removes {scene.place.folder}.")
    with suppress(Stopped):
        scene.running.wait_for(lambda: None, math.inf, "")  # or until a process ends


def _command(place: Workspace, words: str) -> list[str]:
    """Return the lines of a command that finds this book, whatever settings the user has."""
    named = place.named_for(settings.read_all()).items()
    parts = [*(f"{name}={shlex.quote(value)}" for name, value in named), app_command.typed(words)]
    return [*(f"{part} \\" for part in parts[:-1]), f"  {parts[-1]}"]


def _reason(error: OSError | SQLAlchemyError) -> str:
    """Return the error's own words in one line."""
    said = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
    return " ".join(str(said).split()).rstrip(".")
