"""Looking through the deliveries: each filter, alone and with others, page by page, on every database."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook import browse, clock
from guestbook.database import db
from guestbook.models import Delivery, InboundEvent
from tests import stock

HOUR = timedelta(hours=1)


def found(wanted: browse.Deliveries) -> list[str]:
    db.session.rollback()
    return [row.id for row in browse.deliveries(db.session(), wanted).rows]


def all_pages(wanted: browse.Deliveries, limit: int) -> list[str]:
    """The ids of all pages, one after the other."""
    db.session.rollback()
    page = browse.deliveries(db.session(), wanted, limit=limit)
    seen = [row.id for row in page.rows]
    while page.older:
        page = browse.deliveries(db.session(), wanted, page.older, limit)
        assert len(page.rows) <= limit
        seen += [row.id for row in page.rows]
    return seen


def test_every_set_of_filters_finds_what_has_all_of_it_and_nothing_else(each_app: Flask) -> None:  # noqa: ARG001
    now = clock.now()
    hooks = [stock.webhook(), stock.webhook()]
    rows = []
    for number, (hook, status) in enumerate(itertools.product(hooks, ("new", "processed", "failed"))):
        for event in ("ping", "comment.created"):
            made = now - (number + 0.5) * HOUR
            payload = '{"word":"Birne"}' if number % 2 else "{}"
            key = stock.delivery(hook, status=status, event=event, created_at=made, payload=payload)
            rows.append((key, status, hook, event, made, "birne" in payload.lower()))
    filters: list[dict[str, Any]] = [
        {}, {"status": "new"}, {"status": "processed"}, {"status": "failed"}, {"webhook_id": hooks[0]},
        {"event": "ping"}, {"since": now - 4 * HOUR}, {"until": now - HOUR}, {"text": "bIRNE"},
    ]  # fmt: skip
    for one, other in itertools.combinations(filters, 2):
        wanted = browse.Deliveries(**(one | other))
        expected = {
            key
            for key, status, hook, event, made, has_word in rows
            if wanted.status in (None, status) and wanted.webhook_id in (None, hook)
            and wanted.event in (None, event) and (wanted.since is None or made >= wanted.since)
            and (wanted.until is None or made < wanted.until) and (wanted.text is None or has_word)
        }  # fmt: skip
        assert found(wanted) == sorted(expected, reverse=True), wanted
        assert browse.count(db.session(), wanted) == len(expected)


@pytest.mark.usefixtures("each_app")
def test_words_are_looked_for_as_they_are_typed() -> None:
    hook = stock.webhook()
    key = stock.delivery(hook, payload='{"message":"she said \\"hi\\" 100% \\\\ under_score\\n🎈"}')
    failed = stock.delivery(hook, status="failed", last_error="The receiver answered 500.")
    for words in ('said "hi"', "100%", "\\ under_score", "🎈", '{"message"', "SHE"):
        assert found(browse.Deliveries(text=words)) == [key], words
    assert found(browse.Deliveries(text="answered 500")) == [failed]
    assert found(browse.Deliveries(text="1_0%")) == []


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("look", [1, 3, 7, 1000])
def test_pages_hold_everything_once_however_far_each_looks(
    look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "LOOK", look)
    hook = stock.webhook()
    keys = [stock.delivery(hook, event="ping" if number % 4 else "comment.created") for number in range(22)]
    pings = [key for number, key in enumerate(keys) if number % 4]
    for limit in (1, 2, 5, 50):
        assert all_pages(browse.Deliveries(), limit) == keys[::-1]
        assert all_pages(browse.Deliveries(event="ping"), limit) == pings[::-1]
        assert all_pages(browse.Deliveries(webhook_id=hook, status="new"), limit) == keys[::-1]


@pytest.mark.usefixtures("app")
def test_it_says_how_far_it_looked_only_where_that_is_why_a_page_is_not_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browse, "LOOK", 4)
    hook, now = stock.webhook(), clock.now()
    for hours in range(10):
        stock.delivery(hook, created_at=now - hours * HOUR)
    rare = browse.deliveries(db.session(), browse.Deliveries(event="ping"))
    assert rare.rows == []
    assert rare.looked_to == now - 3 * HOUR
    full = browse.deliveries(db.session(), browse.Deliveries(event="comment.created"), limit=2)
    assert (len(full.rows), full.looked_to) == (2, None)
    assert browse.deliveries(db.session(), browse.Deliveries()).looked_to is None


@pytest.mark.usefixtures("app")
def test_a_list_reads_no_payload() -> None:
    stock.delivery(stock.webhook())
    [row] = browse.deliveries(db.session(), browse.Deliveries()).rows
    assert "payload" not in vars(row)


def test_failed_ones_count_for_a_week_by_whose_they_are(each_app: Flask) -> None:  # noqa: ARG001
    one, other = stock.webhook(), stock.webhook()
    for days in (0, 6, 8):
        stock.delivery(one, status="failed", created_at=clock.now() - timedelta(days=days))
    stock.delivery(one, status="processed")
    stock.delivery(other, status="failed")
    source = stock.source()
    stock.inbound(source, status="failed")
    stock.inbound(source, status="processed")
    assert lately(Delivery) == browse.Lately({one: 2, other: 1})
    assert lately(InboundEvent) == browse.Lately({source: 1})


def test_of_many_that_failed_the_newest_count(monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:  # noqa: ARG001
    monkeypatch.setattr(browse, "FAILED", 2)
    loud, quiet = stock.webhook(), stock.webhook()
    for hours in (3, 4):
        stock.delivery(loud, status="failed", created_at=clock.now() - hours * HOUR)
    assert lately(Delivery) == browse.Lately({loud: 2})
    for hours in (1, 2):
        stock.delivery(quiet, status="failed", created_at=clock.now() - hours * HOUR)
    assert lately(Delivery) == browse.Lately({loud: 1, quiet: 2}, cut_at=2)


def lately(model: type[Delivery] | type[InboundEvent]) -> browse.Lately:
    db.session.rollback()
    return browse.failed_lately(db.session(), model, clock.now())
