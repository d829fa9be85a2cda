"""Reprocessing: an inbound event becomes due once more."""

import pytest

from guestbook.inbound import processor
from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.queue import redelivery
from guestbook.storage.database import writing
from guestbook.storage.models import InboundEvent
from tests.support import factories

FAILED = filtered_lists.InboundEvents(status="failed").condition()


@pytest.mark.usefixtures("each_app")
def test_one_starts_afresh_with_its_bytes_untouched() -> None:
    key = factories.inbound(
        factories.source(),
        status="failed",
        attempts=2,
        claims=12,
        error="12 passes",
        note="",
        payload="a\r\nb",
    )
    with writing() as session:
        [row] = redelivery.make_due(session, InboundEvent, [key], clock.now())
        assert not {"headers", "payload"} & vars(row).keys()
    [row] = factories.inbound_events()
    assert (row.status, row.error, row.note, row.processed_at) == ("new", None, None, None)
    assert (row.attempts, row.claims, row.body) == (2, 2, b"a\r\nb")
    assert row.due_at is not None
    assert row.due_at <= clock.now()


@pytest.mark.usefixtures("app")
def test_what_many_passes_died_over_gets_a_fresh_count() -> None:
    key = factories.inbound(factories.source(), claims=processor.MOST_LOST_PASSES)
    factories.run_pass()
    assert "passes ended in the middle of it" in (factories.the(InboundEvent, key).error or "")
    assert redelivery.run(InboundEvent, FAILED) == 1
    factories.run_pass()
    row = factories.the(InboundEvent, key)
    assert (row.status, row.error, row.note) == ("processed", None, "Logged.")
