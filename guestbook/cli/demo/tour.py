"""The tour: a delivery, a failure with its retry, a signature check. What it tells has just happened."""

import shlex
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from guestbook.cli.demo import http_visitor, printing, processes, sample_book, steps, workspace
from guestbook.cli.demo.processes import Processes, Stopped
from guestbook.cli.demo.sample_book import Props
from guestbook.cli.demo.steps import Scene
from guestbook.cli.demo.workspace import Place
from guestbook.lib.errors import Refused
from guestbook.storage import engine_setup

STARTS_WITHIN = 30.0  # seconds, on a slow and busy machine

SHORT = 12  # characters of an id that a command is given
WELCOME = (
    "This makes a throwaway book in a temporary folder and serves it on this machine. Nothing goes over the "
    "network, a book of your own is not touched, and in the end everything is removed."
)
READY = (
    "Beside the server works the pass, which sends what is due; on a host, cron starts it. There is also a "
    "bin, an address that keeps whatever is sent to it, and a webhook tells it of every new comment."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of a tour."""

    port: int | None  # None for any that is free
    wait: bool  # for Ctrl-C at the end, while the reader looks around
    typed: Callable[[str], str]  # turns `bins list` into what one types for it
    given: Collection[str]  # names of the settings that the user has


def run(asked: Asked) -> bool:
    """Give the tour and leave nothing behind; False when it was stopped before its end. Raises Refused."""
    with processes.noticed() as stop:
        try:
            with workspace.made(asked.port) as where, Processes(where, stop) as running:
                return _go(asked, where, running)
        except Stopped:
            return False
        except BrokenPipeError:  # nobody reads any more: no sentence would be read either
            raise
        except (OSError, SQLAlchemyError) as error:
            raise Refused(f"The demo cannot go on: {_reason(error)}.") from None


def _go(asked: Asked, where: Place, running: Processes) -> bool:
    printing.title("A tour of the guestbook")
    printing.say(WELCOME)
    read = where.settings()
    with engine_setup.opened(read) as engine:
        ready = sample_book.prepare(engine, read)
        _start(where, running)
        scene = Scene(where, running, engine, ready)
        first = steps.delivery(scene)
        steps.retry(scene)
        steps.signature(scene, first)
        _end(asked, where, running, ready)
    return True


def _start(where: Place, running: Processes) -> None:
    running.start_server()
    running.start_pass()
    running.wait_for(
        lambda: http_visitor.is_served(where.address), STARTS_WITHIN, "The server did not answer"
    )
    printing.say(
        f"The book is ready, and {len(sample_book.COMMENTS)} people have signed it: {where.address}/"
    )
    printing.say(READY)


def _end(asked: Asked, where: Place, running: Processes, ready: Props) -> None:
    if not asked.wait:
        printing.say(
            "That was the tour. Without --no-wait the book would stay until Ctrl-C, so that you can look "
            "around in it."
        )
        return
    printing.title("Now look around")
    printing.whole(_addresses(where, ready))
    printing.say(
        "Sign the book in your browser, and see what the bin gets. Or type in another terminal, in this "
        "folder:"
    )
    for words in ("deliveries list", f"bins show {ready.bin_id[:SHORT]}"):
        printing.whole(_command(asked, where, words))
    printing.say(f"Ctrl-C ends the demo and removes {where.folder}.")
    with suppress(Stopped):
        running.wait_for_ever()


def _addresses(where: Place, ready: Props) -> list[str]:
    return [
        f"The book  {where.address}/",
        f"The desk  {where.address}/admin/",
        f"Password  {ready.password}",
        f"The bin   {where.address}/admin/bins/{ready.bin_id}",
    ]


def _command(asked: Asked, where: Place, words: str) -> list[str]:
    """Return the lines of a command that reaches this book from wherever and with whatever settings."""
    named = where.named_for(asked.given).items()
    parts = [*(f"{name}={shlex.quote(value)}" for name, value in named), asked.typed(words)]
    return [*(f"{part} \\" for part in parts[:-1]), f"  {parts[-1]}"]


def _reason(error: OSError | SQLAlchemyError) -> str:
    """Return the error's own words in one line."""
    said = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
    return " ".join(str(said).split()).rstrip(".")
