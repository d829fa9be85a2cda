"""Redeliver and reprocess: the forecast matches the result, and leased rows stay, in both directions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.queue import redelivery
from guestbook.queue.redelivery import RequeueGroup
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent
from tests.support import factories

HOUR = timedelta(hours=1)
pytestmark = pytest.mark.usefixtures("any_app")


class Way(NamedTuple):
    """One direction: the model, its failed rows, factories of a row and its owner, a reason to disable it."""

    model: type[Any]
    failed: Any
    owner: Callable[..., str]
    row: Callable[..., str]
    rows: Callable[[], list[Any]]
    why: dict[str, str]

    def forecast(self, which: Any = None) -> list[RequeueGroup]:
        db.session.rollback()
        which = self.model.id > "" if which is None else which
        return redelivery.forecast(db.session(), self.model, which, clock.now())

    def run_all(self) -> int:
        return redelivery.run(self.model, self.model.id > "")

    def in_hand(self, owner: str) -> str:
        return self.row(owner, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)


WAYS = {
    "out": Way(Delivery, filtered_lists.Deliveries(status="failed").condition(), factories.webhook,
        factories.delivery, factories.deliveries, {"disabled_reason": "gone"}),
    "in": Way(InboundEvent, filtered_lists.InboundEvents(status="failed").condition(), factories.source,
        factories.inbound, factories.inbound_events, {}),
}  # fmt: skip


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def test_the_forecast_is_by_owner_and_leaves_out_what_a_pass_has_in_hand(each_app: Flask, way: Way) -> None:  # noqa: ARG001
    one = way.owner(name="One")
    two = way.owner(name="Two", disabled_at=clock.now(), **way.why)
    way.owner(name="Three")
    for status in ("failed", "processed", "new"):
        way.row(one, status=status)
    leased = way.in_hand(one)
    way.row(one, claimed_by="one that died", claims=1, due_at=clock.now() - HOUR)
    way.row(two, status="failed")
    parts = way.forecast()
    assert parts == [RequeueGroup("One", False, 4, 1, 0), RequeueGroup("Two", True, 1, 0, 0)]
    assert {type(part.count) for part in parts} == {int}  # MariaDB has decimals, which JSON makes texts
    assert redelivery.total(parts) == 5
    assert way.run_all() == 5
    assert redelivery.total(way.forecast(way.failed)) == 0
    for row in way.rows():
        assert (row.status, row.claimed_by) == ("new", "a pass" if row.id == leased else None)


@pytest.mark.parametrize("many", [0, 1, 2, 3, 4, 5])
def test_it_goes_in_batches_and_misses_none(way: Way, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    owner = way.owner()
    for _ in range(many):
        way.row(owner, status="failed")
    kept = way.row(owner, status="processed")
    assert redelivery.run(way.model, way.failed) == many
    assert [row.id for row in way.rows() if row.status != "new"] == [kept]


def test_one_that_still_fits_then_does_not_come_again(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    owner = way.owner()
    for _ in range(5):
        way.row(owner)
    assert way.run_all() == 5


def test_the_forecast_counts_e_mails_that_were_sent_and_no_others(each_app: Flask) -> None:  # noqa: ARG001
    mail, hook = factories.webhook("mailto:owner@example.org", format="email"), factories.webhook()
    for webhook in (mail, hook):
        for status in ("failed", "processed", "new"):
            factories.delivery(webhook, status=status, comment_id=factories.sign(status), sequence=1)
            factories.delivery(webhook, status=status)
        factories.delivery(webhook, status="processed", erased_at=clock.now())
    parts = WAYS["out"].forecast()
    assert redelivery.mailed(parts) == 2
    assert {type(part.mailed) for part in parts} == {int}
    assert redelivery.mailed(WAYS["out"].forecast(WAYS["out"].failed)) == 0
