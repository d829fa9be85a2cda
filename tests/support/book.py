"""A book as the tests of passes want it: fill its outbox, look at all rows, let leases run out, check it."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.exc import OperationalError

from guestbook.lib import clock
from guestbook.outbound import event_publisher
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, Delivery, Pass, Webhook
from tests.support import factories
from tests.support.receiver import Request

DEADLOCKS = 20  # in a row, after which something else is wrong


class Book:
    """Wraps an app whose context is open."""

    def __init__(self, app: Flask) -> None:
        self.engine = db.engine
        self.settings: Settings = app.config["GUESTBOOK"]

    # --- fill it

    def webhook(self, url: str, **columns: Any) -> str:
        """Add a webhook that wants `comment.created`, and return its id."""
        return factories.webhook(url, **{"name": url, **columns})

    def publish(self, count: int = 1, event: str = "comment.created") -> list[str]:
        """Store so many events for all webhooks that want them, and return the events' ids."""
        data, made, query = EVENTS[event].sample_data(), list[str](), select(Delivery.event_id)
        with database.write(self.engine) as connection:
            seen = set(connection.scalars(query))
            for _ in range(count):
                event_publisher.publish(connection, event, data, self.settings)
                made += set(connection.scalars(query)).difference(seen, made)
        return made

    def stock(self, webhook_id: str, count: int, **columns: Any) -> None:
        """Store so many deliveries for one webhook with the same payload: quick for 100,000 of them."""
        now = clock.now()
        plain = {"webhook_id": webhook_id, "event": "comment.created", "payload": "{}" * 300, "status": "new"}
        numbers = {"attempts": 0, "claims": 0, "schedule_start": 0, "due_at": now, "created_at": now}
        width = len(f"{count:x}")
        names = [f"{webhook_id[:-width]}{number:0{width}x}" for number in range(count)]
        with database.write(self.engine) as connection:
            for start in range(0, count, 5000):
                rows = [
                    {"id": name, "event_id": name, **plain, **numbers, **columns}
                    for name in names[start : start + 5000]
                ]
                connection.execute(insert(DELIVERIES), rows)

    def sign(self, message: str = "Hello") -> str:
        """Sign the book as the web does; return the comment's id."""
        return factories.sign(message)

    def note_passes(self) -> None:
        """Store that passes have come for some days, so that the next one trusts its clock and tidies up."""
        moments = [clock.now() - timedelta(hours=12 * ago, minutes=1) for ago in range(12)]
        nothing = {"host": "here", "processed": 0, "retried": 0, "failed": 0}
        rows = [
            {"id": f"{number:032x}", "started_at": then, "finished_at": then, **nothing}
            for number, then in enumerate(moments)
        ]
        with database.write(self.engine) as connection:
            connection.execute(insert(Pass), rows)

    # --- look at it

    def deliveries(self) -> Sequence[Row[Any]]:
        """Return all deliveries, oldest first."""
        with self.engine.connect() as connection:
            return connection.execute(select(DELIVERIES).order_by(DELIVERIES.c.id)).all()

    def delivery(self) -> Row[Any]:
        """Return the only delivery."""
        (row,) = self.deliveries()
        return row

    def attempts(self) -> Sequence[Row[Any]]:
        """Return all attempts, by delivery and number."""
        query = select(ATTEMPTS).order_by(ATTEMPTS.c.delivery_id, ATTEMPTS.c.number)
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def passes(self) -> Sequence[Row[Any]]:
        """Return all passes, oldest first."""
        with self.engine.connect() as connection:
            return connection.execute(select(Pass).order_by(Pass.id)).all()

    def webhook_row(self, webhook_id: str) -> Row[Any]:
        """Return a webhook's values as they are in the table now."""
        with self.engine.connect() as connection:
            return connection.execute(select(Webhook.__table__).where(Webhook.id == webhook_id)).one()

    def statuses(self) -> Counter[str]:
        """Return how many deliveries have which status."""
        with self.engine.connect() as connection:
            query = select(Delivery.status, func.count()).group_by(Delivery.status)
            return Counter(dict(connection.execute(query).all()))

    def leased(self) -> int:
        """Return how many deliveries are under a lease that has not run out."""
        with self.engine.connect() as connection:
            still = DELIVERIES.c.claimed_by.is_not(None) & (DELIVERIES.c.due_at > clock.now())
            query = select(func.count()).where(still)
            return connection.scalar(query) or 0

    # --- turn its time

    def expire(self, holder: str = "") -> int:
        """Do to the leases (of one pass) what time would do: they have run out. Return how many."""
        mine = DELIVERIES.c.claimed_by.like(f"{holder}%")
        with self.engine.connect() as connection:  # by id, so that no row of the living is locked on the way
            row_ids = connection.scalars(select(DELIVERIES.c.id).where(mine)).all()
        these = DELIVERIES.c.id.in_(row_ids) & mine
        for _ in range(DEADLOCKS):
            try:
                with database.write(self.engine) as connection:
                    change = update(DELIVERIES).where(these).values(due_at=clock.now())
                    return connection.execute(change).rowcount
            except OperationalError as error:  # MariaDB's index locks: 1213, try restarting transaction
                if "Deadlock" not in str(error.orig):
                    raise
        raise AssertionError("one deadlock after the other")

    def unpause(self, webhook_id: str) -> None:
        """Let a pause be over, as time would."""
        with database.write(self.engine) as connection:
            here = Webhook.id == webhook_id
            connection.execute(update(Webhook).where(here).values(paused_until=clock.now()))

    # --- what must always hold

    def check(self) -> None:
        """Assert the invariants of all rows and that the database itself is sound."""
        made = Counter(row.delivery_id for row in self.attempts())
        numbers = Counter(row.number for row in self.attempts() if row.number == 1)
        assert numbers[1] == len(made)
        for row in self.deliveries():
            assert (row.status == "new") == (row.due_at is not None), row
            assert row.attempts <= row.claims, row
            assert row.attempts == made[row.id], row
            assert row.status == "new" or (row.claimed_by is None and row.finished_at), row
        self._check_file()

    def check_arrivals(self, lines: Sequence[Request], unrecorded: int) -> None:
        """Assert that everything is final and has arrived, and at most so many requests are on no record."""
        self.check()
        assert set(self.statuses()) == {"processed"}
        with self.engine.connect() as connection:
            rows = connection.execute(select(Webhook.id, Webhook.url)).all()
        paths = {key: urlsplit(url).path for key, url in rows}
        arrivals = Counter((line.path, line.event_id) for line in lines)
        successes = {(line.path, line.event_id) for line in lines if line.status == 200}
        wanted = {(paths[row.webhook_id], row.event_id): row for row in self.deliveries()}
        assert arrivals.keys() == successes == wanted.keys()
        # A claim sends once at the most; what arrived and is no recorded attempt was lost with its sender.
        for here, row in wanted.items():
            assert row.attempts <= arrivals[here] <= row.claims, row
        assert len(lines) - len(self.attempts()) <= unrecorded

    def _check_file(self) -> None:
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
                assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
            elif self.engine.dialect.name != "postgresql":
                tables = "comments, webhooks, deliveries, attempts, passes"
                answers = connection.execute(text(f"CHECK TABLE {tables}")).all()
                assert {answer[3] for answer in answers} == {"OK"}, answers
