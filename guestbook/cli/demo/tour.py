"""The tour: a delivery, a failure with its retry, a signature check. It prints what has just happened."""

import shlex
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from guestbook.cli.demo import http_visitor, printing, processes, sample_book, steps, workspace
from guestbook.cli.demo.processes import Processes, Stopped
from guestbook.cli.demo.sample_book import SampleBook
from guestbook.cli.demo.steps import Scene
from guestbook.cli.demo.workspace import Workspace
from guestbook.lib.errors import Refused
from guestbook.storage import engine_setup

START_TIMEOUT = 30.0  # seconds, on a slow and busy machine
SHORT_ID_LENGTH = 12
WELCOME = (
    "This makes a throwaway book in a temporary folder and serves it on this machine. It uses no network and "
    "does not touch your own book. At the end everything is removed."
)
PASS_AND_BIN = (
    "Next to the server runs the pass, which sends what is due. On a host, cron starts it. There is also a "
    "bin, a URL that keeps every request, and a webhook that sends it every new comment."
)


@dataclass(frozen=True, slots=True)
class TourOptions:
    """The options of the command."""

    port: int | None  # None for any that is free
    wait: bool  # for Ctrl-C at the end, so that the reader can look around
    typed: Callable[[str], str]  # `bins list` → the command as one types it
    given: Collection[str]  # names of the settings that the user has


def run(options: TourOptions) -> bool:
    """Give the tour and leave nothing behind; False when it was stopped before its end. Raises Refused."""
    with processes.noticed() as stop:
        try:
            with workspace.made(options.port) as where, Processes(where, stop) as running:
                return _go(options, where, running)
        except Stopped:
            return False
        except BrokenPipeError:  # nobody reads any more, not even a sentence about it
            raise
        except (OSError, SQLAlchemyError) as error:
            raise Refused(f"The demo cannot go on: {_reason(error)}.") from None


def _go(options: TourOptions, where: Workspace, running: Processes) -> bool:
    printing.title("A tour of the guestbook")
    printing.paragraph(WELCOME)
    read = where.settings()
    with engine_setup.opened(read) as engine:
        ready = sample_book.prepare(engine, read)
        _start(where, running)
        scene = Scene(where, running, engine, ready)
        first = steps.delivery(scene)
        steps.retry(scene)
        steps.signature(scene, first)
        _end(options, where, running, ready)
    return True


def _start(where: Workspace, running: Processes) -> None:
    running.start_server()
    running.start_pass()
    running.wait_for(
        lambda: http_visitor.is_served(where.address), START_TIMEOUT, "The server did not answer"
    )
    printing.paragraph(
        f"The book is ready, and {len(sample_book.SAMPLE_COMMENTS)} people have signed it: {where.address}/"
    )
    printing.paragraph(PASS_AND_BIN)


def _end(options: TourOptions, where: Workspace, running: Processes, ready: SampleBook) -> None:
    if not options.wait:
        printing.paragraph(
            "That was the tour. Without --no-wait the book stays until Ctrl-C, so that you can look around."
        )
        return
    printing.title("Now look around")
    printing.uncut(_addresses(where, ready))
    printing.paragraph(
        "Sign the book in your browser, and see what the bin gets. Or type this in another terminal, in this "
        "folder:"
    )
    for words in ("deliveries list", f"bins show {ready.bin_id[:SHORT_ID_LENGTH]}"):
        printing.uncut(_command(options, where, words))
    printing.paragraph(f"Ctrl-C ends the demo and removes {where.folder}.")
    with suppress(Stopped):
        running.wait_for_ever()


def _addresses(where: Workspace, ready: SampleBook) -> list[str]:
    return [
        f"The book  {where.address}/",
        f"Admin     {where.address}/admin/",
        f"Password  {ready.password}",
        f"The bin   {where.address}/admin/bins/{ready.bin_id}",
    ]


def _command(options: TourOptions, where: Workspace, words: str) -> list[str]:
    """Return the lines of a command that finds this book, whatever settings the user has."""
    named = where.named_for(options.given).items()
    parts = [*(f"{name}={shlex.quote(value)}" for name, value in named), options.typed(words)]
    return [*(f"{part} \\" for part in parts[:-1]), f"  {parts[-1]}"]


def _reason(error: OSError | SQLAlchemyError) -> str:
    """Return the error's own words in one line."""
    said = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
    return " ".join(str(said).split()).rstrip(".")
