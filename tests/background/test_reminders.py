"""Passes that run at the same time, on each database, remind the owner once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from flask import Flask
from sqlalchemy import func, select, update

from guestbook.background import housekeeping
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, Hold
from tests.support import factories

HELD = Classification("held", ("It holds 9 links.",))


def test_two_passes_at_once_remind_once(each_app: Flask) -> None:
    with each_app.app_context():
        factories.webhook(events="comments.waiting")
        factories.sign(verdict=HELD)
        factories.sign(verdict=HELD)
        with database.write(db.engine) as connection:
            connection.execute(update(Hold).values(remind_at=clock.now() - timedelta(hours=1)))
        engine, settings = db.engine, factories.settings()
        assert housekeeping.are_due(engine)
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(housekeeping.remind, engine, settings) for _ in range(8)]:
                done.result()
        assert not housekeeping.are_due(engine)
        db.session.rollback()
        waiting = Delivery.event == "comments.waiting"
        assert db.session.scalar(select(func.count()).select_from(Delivery).where(waiting)) == 1
