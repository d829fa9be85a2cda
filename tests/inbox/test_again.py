"""Reprocessing: what an inbound event is once it is due again."""

import pytest

from guestbook import again, browse, clock
from guestbook.database import writing
from guestbook.inbox import worker
from guestbook.models import InboundEvent
from tests import stock

FAILED = browse.InboundEvents(status="failed").condition()


@pytest.mark.usefixtures("each_app")
def test_one_starts_afresh_with_its_bytes_untouched() -> None:
    key = stock.inbound(
        stock.source(), status="failed", attempts=2, claims=12, error="12 passes", note="", payload="a\r\nb"
    )
    with writing() as session:
        [row] = again.make_due(session, InboundEvent, [key], clock.now())
        assert not {"headers", "payload"} & vars(row).keys()
    [row] = stock.inbound_events()
    assert (row.status, row.error, row.note, row.processed_at) == ("new", None, None, None)
    assert (row.attempts, row.claims, row.body) == (2, 2, b"a\r\nb")
    assert row.due_at is not None
    assert row.due_at <= clock.now()


@pytest.mark.usefixtures("app")
def test_what_many_passes_died_over_gets_a_fresh_count() -> None:
    key = stock.inbound(stock.source(), claims=worker.MOST_LOSSES)
    stock.run_pass()
    assert "passes came to no end" in (stock.the(InboundEvent, key).error or "")
    assert again.run(InboundEvent, FAILED) == 1
    stock.run_pass()
    row = stock.the(InboundEvent, key)
    assert (row.status, row.error, row.note) == ("processed", None, "Logged.")
