"""`serve` ends as a service manager wants it: soon, and with an answer to whoever is being served."""

from concurrent.futures import ThreadPoolExecutor

import requests

from guestbook.storage import cron_token, database
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.receiver import HANG, Receiver


def test_at_sigterm_the_request_under_way_is_answered(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/", HANG)
    with database.writing() as session:
        token = cron_token.make(session)
    with forks.serving(environ) as (address, server), ThreadPoolExecutor(1) as threads:
        book.webhook(receiver.url())
        book.publish()
        asked = threads.submit(requests.post, f"{address}/cron/{token}", timeout=20)
        receiver.wait_for(1)
        server.terminate()
        receiver.release()
        assert asked.result().status_code == 200
        assert server.wait() == 0
    assert book.statuses() == {"processed": 1}
