"""A book on a server with one process and no threads, without cron: its requests and a pinger send.

These are the two ways of the guide run-without-cron.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import delete

from guestbook.storage import cron_token, database
from guestbook.storage.models import Pass
from tests.conftest import need
from tests.support import processes
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import wait_for
from tests.support.receiver import HANG, Answer, Receiver


@contextmanager
def served(server: str, environ: dict[str, str], forks: Forks) -> Iterator[tuple[str, Callable[[], str]]]:
    """Serve the book; give its address, and what returns what the server has printed."""
    settings = environ | {"GUESTBOOK_SEND_AFTER_REQUESTS": "true"}
    if server == "wsgiref":
        with forks.serving(settings, point="without_threads") as (address, one):
            yield address, lambda: one.printed
        return
    need("gunicorn")
    place = f"127.0.0.1:{processes.free_port()}"
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", place, "guestbook:create_app()"]
    with processes.started(command, env=processes.clean_environ(**settings)) as process:
        wait_for(lambda: processes.answers(f"http://{place}"), 60, process.output)
        yield f"http://{place}", process.output


@pytest.mark.parametrize("server", ["wsgiref", "gunicorn"])
def test_a_comment_is_sent_by_the_request_that_signs_it_and_a_later_one_by_a_ping(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver, server: str
) -> None:
    book.webhook(f"http://localhost:{receiver.port}/hook")
    with served(server, environ, forks) as (address, output):
        assert processes.sign(address) == 303
        receiver.wait_for(1)
        assert processes.sign(address, message="Again") == 303
        wait_for(lambda: book.statuses() == {"processed": 1, "new": 1}, or_show=output)
        with database.writing() as session:
            token = cron_token.make(session)
        said = json.loads(processes.fetch(f"{address}/cron/{token}", {})[1])
        assert (said["status"], said["delivered"]) == ("done", 1)
    assert len(receiver.requests) == 2
    book.check()


def test_kill_9_in_the_middle_of_an_attempt_loses_nothing(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/hook", HANG)
    book.webhook(receiver.url("/hook"))
    settings = environ | {"GUESTBOOK_SEND_AFTER_REQUESTS": "true"}
    with forks.serving(settings, point="without_threads") as (address, server):
        assert processes.sign(address) == 303
        receiver.wait_for(1)
        server.kill()
    assert book.statuses() == {"new": 1}
    receiver.answer("/hook", Answer())
    book.expire()
    with database.write(book.engine) as connection:
        connection.execute(delete(Pass))  # or it would wait for a minute
    with served("wsgiref", environ, forks) as (address, output):

        def is_sent() -> bool:
            processes.fetch(address)  # On a busy machine the half second of one visit may be too short.
            return book.statuses() == {"processed": 1}

        wait_for(is_sent, 60, or_show=output)
    book.check()
