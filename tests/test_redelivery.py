"""Redelivering many: the forecast says what happens, on every database."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook import browse, clock, redelivery
from guestbook.database import db
from guestbook.models import Delivery
from guestbook.redelivery import Part
from tests import stock

HOUR = timedelta(hours=1)
ALL = Delivery.id > ""
FAILED = browse.Deliveries(status="failed").condition()


def forecast(which: object = ALL) -> list[Part]:
    db.session.rollback()
    return redelivery.forecast(db.session(), which, clock.now())  # type: ignore[arg-type]


def test_the_forecast_is_by_webhook_and_leaves_out_what_a_pass_has_in_hand(each_app: Flask) -> None:  # noqa: ARG001
    one = stock.webhook(name="One")
    two = stock.webhook(name="Two", disabled_at=clock.now(), disabled_reason="gone")
    stock.webhook(name="Three")
    for status in ("failed", "processed", "new"):
        stock.delivery(one, status=status)
    stock.delivery(one, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    stock.delivery(one, claimed_by="one that died", claims=1, due_at=clock.now() - HOUR)
    stock.delivery(two, status="failed")
    parts = forecast()
    assert parts == [Part("One", False, 4, 1), Part("Two", True, 1, 0)]
    assert redelivery.total(parts) == 5
    assert redelivery.run(ALL) == 5
    assert redelivery.total(forecast(FAILED)) == 0


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("many", [0, 1, 2, 3, 4, 5])
def test_it_goes_in_bites_and_misses_none_at_their_ends(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "BITE", 2)
    hook = stock.webhook()
    for _ in range(many):
        stock.delivery(hook, status="failed")
    kept = stock.delivery(hook, status="processed")
    assert redelivery.run(FAILED) == many
    assert [row.id for row in stock.deliveries() if row.status != "new"] == [kept]


@pytest.mark.usefixtures("app")
def test_one_that_still_fits_afterwards_does_not_come_round_a_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redelivery, "BITE", 2)
    hook = stock.webhook()
    for _ in range(5):
        stock.delivery(hook)
    assert redelivery.run(ALL) == 5
