"""The tour: a delivery, a failure with its retry, a signature check. What it tells has just happened."""

import shlex
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from guestbook import engines
from guestbook.demo import paper, place, processes, props, steps, visitor
from guestbook.demo.place import Place
from guestbook.demo.processes import Processes, Stopped
from guestbook.demo.props import Props
from guestbook.demo.steps import Scene
from guestbook.refusal import Refused

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
            with place.made(asked.port) as where, Processes(where, stop) as running:
                return _go(asked, where, running)
        except Stopped:
            return False
        except BrokenPipeError:  # nobody reads any more: no sentence would be read either
            raise
        except (OSError, SQLAlchemyError) as error:
            raise Refused(f"The demo cannot go on: {_reason(error)}.") from None


def _go(asked: Asked, where: Place, running: Processes) -> bool:
    paper.title("A tour of the guestbook")
    paper.say(WELCOME)
    read = where.settings()
    with engines.opened(read) as engine:
        ready = props.prepare(engine, read)
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
    running.wait_for(lambda: visitor.is_served(where.address), STARTS_WITHIN, "The server did not answer")
    paper.say(f"The book is ready, and {len(props.COMMENTS)} people have signed it: {where.address}/")
    paper.say(READY)


def _end(asked: Asked, where: Place, running: Processes, ready: Props) -> None:
    if not asked.wait:
        paper.say(
            "That was the tour. Without --no-wait the book would stay until Ctrl-C, so that you can look "
            "around in it."
        )
        return
    paper.title("Now look around")
    paper.whole(_addresses(where, ready))
    paper.say(
        "Sign the book in your browser, and see what the bin gets. Or type in another terminal, in this "
        "folder:"
    )
    for words in ("deliveries list", f"bins show {ready.bin_id[:SHORT]}"):
        paper.whole(_command(asked, where, words))
    paper.say(f"Ctrl-C ends the demo and removes {where.folder}.")
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
