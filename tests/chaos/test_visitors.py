"""Visitors sign while a pass is busy with webhooks that fail: neither costs the other anything."""

import threading
from typing import Any

from guestbook import database, outbox
from tests.chaos.book import Book
from tests.chaos.forks import Forks
from tests.receiver import Answer, Receiver

WEBHOOKS = 8
VISITORS = 4
COMMENTS = 40  # of each


def test_no_event_is_refused_while_a_pass_records_the_health_of_failing_webhooks(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    environ = {**each_environ, "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 50)}
    for number in range(WEBHOOKS):
        answers = [Answer(200), Answer(500)] * 5000
        receiver.answer(f"/{number}", *answers)
        each_book.webhook(receiver.url(f"/{number}"))
    each_book.publish(20)
    running = forks.start(environ, "cron", "--stay")
    receiver.wait_for(1)
    errors = _publish_in_threads(each_book)
    running.terminate()
    assert running.wait(20) == 0, running.printed
    assert running.printed == ""
    assert errors == []
    assert each_book.statuses().total() == WEBHOOKS * (20 + VISITORS * COMMENTS)
    each_book.check()


def _publish_in_threads(book: Book) -> list[Exception]:
    errors: list[Exception] = []
    data: dict[str, Any] = {"comment": {"message": "Hello"}}

    def visit() -> None:
        for _ in range(COMMENTS):
            try:
                with database.write(book.engine) as connection:
                    outbox.publish(connection, "comment.created", data, book.settings)
            except Exception as error:
                errors.append(error)

    visitors = [threading.Thread(target=visit) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(60)
    return errors
