"""Visitors sign while a pass is busy with webhooks that fail: neither costs the other anything."""

import time

import pytest
from flask import Flask
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from guestbook.lib.current_process import StopFlag
from guestbook.outbound import event_publisher
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.event_catalogue import EVENTS
from tests.support.at_once import at_once
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.receiver import Answer, Receiver

WEBHOOKS = 8
VISITORS = 4
COMMENTS = 25  # of each
DATA = EVENTS["comment.created"].sample_data()


def test_no_event_is_refused_while_a_pass_records_the_health_of_failing_webhooks(
    each_app: Flask, each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    environ = {**each_environ, "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 50)}
    for number in range(WEBHOOKS):
        answers = [Answer(200), Answer(500)] * 5000
        receiver.answer(f"/{number}", *answers)
        each_book.webhook(receiver.url(f"/{number}"))
    each_book.publish(20)
    running = forks.start(environ, "cron", "--stay")
    receiver.wait_for(1)

    def visit(_number: int) -> None:
        for _ in range(COMMENTS):
            each_book.publish()

    at_once(each_app, VISITORS, visit)
    running.terminate()
    assert running.wait(20) == 0, running.printed
    assert running.printed == ""
    assert each_book.statuses().total() == WEBHOOKS * (20 + VISITORS * COMMENTS)
    each_book.check()


@pytest.mark.parametrize("each_environ", ["postgresql"], indirect=True)
def test_a_visitor_who_comes_just_before_a_tick_commits_need_not_wait_for_it(
    each_book: Book, receiver: Receiver
) -> None:
    """On PostgreSQL; SQLite has one writer at a time, and MariaDB's foreign keys lock more."""
    receiver.answer("/", Answer(500))
    each_book.webhook(receiver.url())
    each_book.publish()
    refused: list[Exception] = []
    visits: list[int] = []

    def visit(_connection: Connection) -> None:
        if visits or not receiver.requests:
            return
        visits.append(1)
        try:
            with each_book.engine.connect() as visitor, visitor.begin():
                visitor.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
                event_publisher.publish(visitor, "comment.created", DATA, each_book.settings)
        except DBAPIError as error:
            refused.append(error)

    event.listen(each_book.engine, "commit", visit)
    dispatch = Dispatcher(each_book.engine, each_book.settings, concurrency=4)
    dispatch.run(until=time.monotonic() + 10, stay=False, stop=StopFlag())
    assert visits == [1]
    assert refused == []
