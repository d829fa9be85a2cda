"""A delivery: whether a pass has it in hand, and what a redelivery makes of it."""

from datetime import UTC, datetime, timedelta

import pytest

from guestbook.storage.models import Delivery

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("claimed_by", "due_at", "leased"),
    [
        ("me", NOW + SECOND, True),
        ("me", NOW, False),
        ("me", NOW - SECOND, False),
        (None, NOW + SECOND, False),
        (None, None, False),
    ],
)
def test_it_is_leased_while_a_claim_has_not_run_out(
    claimed_by: str | None, due_at: datetime | None, leased: bool
) -> None:
    assert Delivery(claimed_by=claimed_by, due_at=due_at).is_leased(NOW) is leased


@pytest.mark.parametrize("status", ["new", "processed", "failed"])
def test_a_redelivery_makes_it_due_with_the_whole_schedule_before_it(status: str) -> None:
    row = Delivery(
        id="1", event_id="2", payload="{}", status=status, attempts=3, claims=4, schedule_start=0,
        due_at=NOW + SECOND if status == "new" else None, finished_at=None if status == "new" else NOW,
        last_status_code=500, last_error="The receiver answered 500.",
    )  # fmt: skip
    row.requeue(NOW)
    assert (row.status, row.due_at, row.claimed_by, row.finished_at) == ("new", NOW, None, None)
    assert (row.schedule_start, row.attempts, row.claims) == (3, 3, 4)
    assert (row.id, row.event_id, row.payload) == ("1", "2", "{}")
    assert row.last_error == "The receiver answered 500."
