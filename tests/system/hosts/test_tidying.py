"""Four machines tidy up at once: none is in the way of others, no day is counted twice or by halves."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.models import ATTEMPTS, DELIVERIES, Day
from tests.system.hosts.conftest import Hook
from tests.system.hosts.fleet import MACHINES, Fleet

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

DAY = timedelta(days=1)
OLD = 1250  # deliveries of one day that are to be counted and to be removed: three bites
YOUNG = 100  # of each of the days that stay
DUE = 80


def test_passes_that_tidy_up_at_once_remove_and_count_each_delivery_once(fleet: Fleet, hook: Hook) -> None:
    fleet.book.note_passes()
    webhook_id = fleet.book.webhook(hook.base_url)
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = {midnight - 31 * DAY: OLD, midnight - 2 * DAY: YOUNG, midnight - DAY: YOUNG}
    for since, count in days.items():
        _deliver(fleet, webhook_id, since, count)
    fleet.book.stock(webhook_id, DUE)
    for command in ("cron", "prune"):  # a pass does so for a second, which a busy machine may use up
        running = [fleet.start(number, command) for number in MACHINES]
        for one in running:
            assert (one.wait(), one.printed) == (0, "")
        assert _kept(fleet) == {f"{since:%Y-%m-%d}": count for since, count in days.items()}
    left = fleet.book.deliveries()
    assert Counter(row.status for row in left) == {"processed": 2 * YOUNG + DUE}
    assert {row.delivery_id for row in fleet.book.attempts()} == {row.id for row in left}
    assert len(hook.receiver.event_ids("/")) == len(hook.receiver.requests) == DUE


def _deliver(fleet: Fleet, webhook_id: str, since: datetime, count: int) -> None:
    """Store what was delivered in the first seconds of that day."""
    plain = {"webhook_id": webhook_id, "event": "comment.created", "payload": "{}", "status": "processed"}
    plain |= {"attempts": 1, "claims": 1, "schedule_start": 0, "created_at": since, "finished_at": since}
    made = {"number": 1, "triggered_by": "schedule", "started_at": since, "milliseconds": 5}
    made |= {"status_code": 200, "request_headers": {}, "response_headers": {}}
    first = ids.first_of(since)[:12]
    row_ids = [first + f"{number:020x}" for number in range(count)]
    with database.write(fleet.book.engine) as connection:
        connection.execute(insert(DELIVERIES), [{"id": one, "event_id": one, **plain} for one in row_ids])
        connection.execute(insert(ATTEMPTS), [{"delivery_id": one, **made} for one in row_ids])


def _kept(fleet: Fleet) -> dict[str, int]:
    """Return how many deliveries were counted for the days that had some."""
    with fleet.book.engine.connect() as connection:
        rows = connection.execute(select(Day.day, Day.processed).where(Day.processed > 0)).all()
        assert connection.scalar(select(func.count()).select_from(Day)) == 31
        return {row.day: row.processed for row in rows}
