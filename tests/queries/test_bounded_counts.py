"""Counting ends at a limit, and failed rows count for a week."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queries import statistics
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent
from tests.support import factories

HOUR = timedelta(hours=1)


def test_failed_ones_count_for_a_week_by_whose_they_are(each_app: Flask) -> None:  # noqa: ARG001
    one, other = factories.webhook(), factories.webhook()
    for days in (0, 6, 8):
        factories.delivery(one, status="failed", created_at=clock.now() - timedelta(days=days))
    factories.delivery(one, status="processed")
    factories.delivery(other, status="failed")
    source = factories.source()
    factories.inbound(source, status="failed")
    factories.inbound(source, status="processed")
    assert lately(Delivery) == statistics.Lately({one: 2, other: 1})
    assert lately(InboundEvent) == statistics.Lately({source: 1})


def test_of_many_that_failed_the_newest_count(monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:  # noqa: ARG001
    monkeypatch.setattr(statistics, "FAILED_LIMIT", 2)
    loud, quiet = factories.webhook(), factories.webhook()
    for hours in (3, 4):
        factories.delivery(loud, status="failed", created_at=clock.now() - hours * HOUR)
    assert lately(Delivery) == statistics.Lately({loud: 2})
    for hours in (1, 2):
        factories.delivery(quiet, status="failed", created_at=clock.now() - hours * HOUR)
    assert lately(Delivery) == statistics.Lately({loud: 1, quiet: 2}, cut_at=2)


def lately(model: type[Delivery] | type[InboundEvent]) -> statistics.Lately:
    db.session.rollback()
    return statistics.failed_lately(db.session(), model, clock.now())
