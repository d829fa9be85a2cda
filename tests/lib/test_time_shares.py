"""The two halves of a pass share its time: a full inbox stops no delivery, nor a full outbox the inbox."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert

from guestbook.background import whole_pass
from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import Receiver

OPTIONS = whole_pass.Options(max_seconds=60, concurrency=8, housekeeping=False)


def fill_inbox(count: int) -> None:
    """Store so many events of one source, all due."""
    source_id = factories.source()
    now = clock.now()
    plain = {"source_id": source_id, "headers": {}, "payload": "{}", "encoding": "text", "status": "new"}
    numbers = {"attempts": 0, "claims": 0, "due_at": now, "received_at": now}
    with database.write(db.engine) as connection:
        connection.execute(insert(INBOUND), [{"id": ids.new(), **plain, **numbers} for _ in range(count)])


def story(app: Flask, caplog: pytest.LogCaptureFixture) -> str:
    """Run a pass to its end; return a letter for each row it logged: i for an event, d for a delivery."""
    with caplog.at_level("INFO", "guestbook"):
        whole_pass.run(db.engine, app.config["GUESTBOOK"], OPTIONS)
    letters = {"guestbook.inbound.event_processor": "i", "guestbook.outbound.delivery_dispatcher": "d"}
    return "".join(letters.get(record.name, "") for record in caplog.records)


def test_the_first_delivery_does_not_wait_for_a_full_inbox(
    app: Flask, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    fill_inbox(500)
    factories.delivery(factories.webhook(receiver.url()))
    letters = story(app, caplog)
    assert letters.count("i") == 500
    assert letters.index("d") < 250


def test_a_full_outbox_and_a_full_inbox_advance_together(
    app: Flask, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    fill_inbox(100)
    Book(app).stock(factories.webhook(receiver.url()), 2000)
    letters = story(app, caplog)
    assert (letters.count("i"), letters.count("d")) == (100, 2000)
    assert letters.rindex("i") < len(letters) - 100
    assert "d" in letters[: letters.rindex("i")]


def test_a_pass_that_stays_to_the_end_of_its_time_tidies_up_too(app: Flask) -> None:
    Book(app).note_passes()
    old = clock.now() - timedelta(days=31)
    factories.delivery(factories.webhook(), status="processed", finished_at=old, created_at=old)
    options = whole_pass.Options(max_seconds=0.2, stay=True)
    for _ in range(5):  # on a busy machine the little time that is left may be too short
        whole_pass.run(db.engine, app.config["GUESTBOOK"], options)
        if not factories.deliveries():
            break
    assert factories.deliveries() == []
