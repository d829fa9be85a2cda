"""A book on a server with one process and no threads, without cron: its requests and a pinger send."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import delete

from guestbook.storage import cron_token, database
from guestbook.storage.models import Pass
from tests.conftest import need
from tests.support import processes
from tests.support.book import Book
from tests.support.processes import Started, wait_for
from tests.support.receiver import HANG, Answer, Receiver

SIMPLE = """
import sys, threading
from wsgiref.simple_server import make_server

def start(self):
    raise RuntimeError("can't start new thread")

threading.Thread.start = start
import guestbook
make_server("127.0.0.1", int(sys.argv[1]), guestbook.create_app()).serve_forever()
"""


@contextmanager
def served(server: str, environ: dict[str, str]) -> Iterator[tuple[str, Started]]:
    """Serve the book; give its address and the server's process."""
    port = str(processes.free_port())
    simple = [sys.executable, "-c", SIMPLE, port]
    bind = ["--workers", "1", "--bind", f"127.0.0.1:{port}"]
    gunicorn = [sys.executable, "-m", "gunicorn", *bind, "guestbook:create_app()"]
    if server == "gunicorn":
        need("gunicorn")
    settings = {**processes.clean_environ(), **environ, "GUESTBOOK_SEND_AFTER_REQUESTS": "true"}
    with processes.started(simple if server == "wsgiref" else gunicorn, env=settings) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: processes.answers(address), 60, process.output)
        yield address, process


@pytest.mark.parametrize("server", ["wsgiref", "gunicorn"])
def test_a_comment_is_sent_by_the_request_that_signs_it_and_a_later_one_by_a_ping(
    book: Book, environ: dict[str, str], receiver: Receiver, server: str
) -> None:
    book.webhook(f"http://localhost:{receiver.port}/hook")
    with served(server, environ) as (address, process):
        assert processes.sign(address) == 303
        receiver.wait_for(1)
        assert processes.sign(address, message="Again") == 303
        wait_for(lambda: book.statuses() == {"processed": 1, "new": 1}, or_show=process.output)
        with database.writing() as session:
            token = cron_token.make(session)
        said = json.loads(processes.fetch(f"{address}/cron/{token}", {})[1])
        assert (said["status"], said["delivered"]) == ("done", 1)
    assert len(receiver.requests) == 2
    book.check()


def test_kill_9_in_the_middle_of_an_attempt_loses_nothing(
    book: Book, environ: dict[str, str], receiver: Receiver
) -> None:
    receiver.answer("/hook", HANG)
    book.webhook(receiver.url("/hook"))
    with served("wsgiref", environ) as (address, process):
        assert processes.sign(address) == 303
        receiver.wait_for(1)
        os.kill(process.process.pid, signal.SIGKILL)
    assert book.statuses() == {"new": 1}
    receiver.answer("/hook", Answer())
    book.expire()
    with database.write(book.engine) as connection:
        connection.execute(delete(Pass))  # or it would wait for a minute
    with served("wsgiref", environ) as (address, process):
        processes.fetch(address)
        wait_for(lambda: book.statuses() == {"processed": 1}, or_show=process.output)
    book.check()
