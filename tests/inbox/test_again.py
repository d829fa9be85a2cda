"""Reprocessing: the forecast says what happens, what a pass has in hand stays, on every database."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook import browse, clock
from guestbook.database import db, writing
from guestbook.inbox import again, worker
from guestbook.inbox.again import Part
from guestbook.models import InboundEvent
from tests import stock

HOUR = timedelta(hours=1)
ALL = InboundEvent.id > ""
FAILED = browse.InboundEvents(status="failed").condition()


def forecast(which: object = ALL) -> list[Part]:
    db.session.rollback()
    return again.forecast(db.session(), which, clock.now())  # type: ignore[arg-type]


def in_hand(source: str) -> str:
    return stock.inbound(source, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)


def test_the_forecast_is_by_source_and_leaves_out_what_a_pass_has_in_hand(each_app: Flask) -> None:  # noqa: ARG001
    one = stock.source(name="One")
    two = stock.source(name="Two", disabled_at=clock.now())
    stock.source(name="Three")
    for status in ("failed", "processed", "new"):
        stock.inbound(one, status=status)
    leased = in_hand(one)
    stock.inbound(one, claimed_by="one that died", claims=1, due_at=clock.now() - HOUR)
    stock.inbound(two, status="failed")
    parts = forecast()
    assert parts == [Part("One", False, 4, 1), Part("Two", True, 1, 0)]
    assert again.total(parts) == 5
    assert again.run(ALL) == 5
    assert again.total(forecast(FAILED)) == 0
    for row in stock.inbound_events():
        assert (row.status, row.claimed_by) == ("new", "a pass" if row.id == leased else None)


@pytest.mark.usefixtures("each_app")
def test_one_starts_afresh_with_its_bytes_untouched() -> None:
    key = stock.inbound(
        stock.source(), status="failed", attempts=2, claims=12, error="12 passes", note="", payload="a\r\nb"
    )
    with writing() as session:
        [row] = again.reprocess(session, [key], clock.now())
        assert "payload" not in vars(row)
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
    assert again.run(FAILED) == 1
    stock.run_pass()
    row = stock.the(InboundEvent, key)
    assert (row.status, row.error, row.note) == ("processed", None, "Logged.")


@pytest.mark.usefixtures("app")
def test_one_that_a_pass_took_after_somebody_looked_is_left_alone() -> None:
    key = in_hand(stock.source())
    assert again.run(ALL) == 0
    assert stock.the(InboundEvent, key).claimed_by == "a pass"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("many", [0, 1, 2, 3, 4, 5])
def test_it_goes_in_bites_and_misses_none_at_their_ends(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "BITE", 2)
    source = stock.source()
    for _ in range(many):
        stock.inbound(source, status="failed")
    kept = stock.inbound(source, status="processed")
    assert again.run(FAILED) == many
    assert [row.id for row in stock.inbound_events() if row.status != "new"] == [kept]


@pytest.mark.usefixtures("app")
def test_one_that_still_fits_afterwards_does_not_come_round_a_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(again, "BITE", 2)
    source = stock.source()
    for _ in range(5):
        stock.inbound(source)
    assert again.run(ALL) == 5
