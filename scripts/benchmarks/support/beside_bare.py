"""The book and bare Flask views in one process, on the web servers that people use: what the book adds."""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import guestbook
from guestbook.lib import http_server
from guestbook.storage.database import db
from scripts.benchmarks.support import bare_views

THREADS = 8
MODULE = "scripts.benchmarks.support.beside_bare"
FACTORY = f"{MODULE}:application"
COMMANDS: dict[str, Sequence[str]] = {  # by the package; each ends with the port
    "waitress": (MODULE,),
    "gunicorn": ("gunicorn", "--worker-class=gthread", f"--threads={THREADS}", f"{FACTORY}()", "-b"),
    "granian": (
        "granian",
        "--interface=wsgi",
        f"--blocking-threads={THREADS}",
        "--factory",
        FACTORY,
        "--port",
    ),
}


def application() -> Callable[..., Iterable[bytes]]:
    """Return the book of the environment's settings, with the bare views beside it."""
    book = guestbook.create_app()
    with book.app_context():
        bare = bare_views.app(str(db.engine.url.database))

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        return (bare if environ["PATH_INFO"] == bare_views.PATH else book)(environ, start)

    return answer


def command(server: str, port: int) -> list[str]:
    """Return the command that serves both at a port of 127.0.0.1."""
    place = str(port) if server == "granian" else f"127.0.0.1:{port}"
    return [sys.executable, "-m", *COMMANDS[server], place]


def installed() -> list[str]:
    """Return the servers that this Python has."""
    return [server for server in COMMANDS if importlib.util.find_spec(server)]


if __name__ == "__main__":
    http_server.listening(application(), listen=sys.argv[1], threads=THREADS, url_prefix="")[0].run()
