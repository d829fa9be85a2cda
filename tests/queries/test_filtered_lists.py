"""Looking through the deliveries: each filter, alone and with others, page by page, on every database."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.storage.database import db
from guestbook.storage.models import Delivery
from tests.support import factories

HOUR = timedelta(hours=1)


def found(wanted: filtered_lists.Deliveries) -> list[str]:
    db.session.rollback()
    return [row.id for row in filtered_lists.deliveries(db.session(), wanted).rows]


def all_pages(wanted: filtered_lists.Deliveries, limit: int) -> list[str]:
    """The ids of all pages, one after the other."""
    db.session.rollback()
    page = filtered_lists.deliveries(db.session(), wanted, limit=limit)
    seen = [row.id for row in page.rows]
    while page.older:
        page = filtered_lists.deliveries(db.session(), wanted, page.older, limit)
        assert len(page.rows) <= limit
        seen += [row.id for row in page.rows]
    return seen


def test_every_set_of_filters_finds_what_has_all_of_it_and_nothing_else(each_app: Flask) -> None:  # noqa: ARG001
    now = clock.now()
    hooks = [factories.webhook(), factories.webhook()]
    rows = []
    for number, (hook, status) in enumerate(itertools.product(hooks, ("new", "processed", "failed"))):
        for event in ("ping", "comment.created"):
            made = now - (number + 0.5) * HOUR
            payload = '{"word":"Birne"}' if number % 2 else "{}"
            key = factories.delivery(hook, status=status, event=event, created_at=made, payload=payload)
            rows.append((key, status, hook, event, made, "birne" in payload.lower()))
    filters: list[dict[str, Any]] = [
        {}, {"status": "new"}, {"status": "processed"}, {"status": "failed"}, {"webhook_id": hooks[0]},
        {"event": "ping"}, {"since": now - 4 * HOUR}, {"until": now - HOUR}, {"text": "bIRNE"},
    ]  # fmt: skip
    for one, other in itertools.combinations(filters, 2):
        wanted = filtered_lists.Deliveries(**(one | other))
        expected = {
            key
            for key, status, hook, event, made, has_word in rows
            if wanted.status in (None, status) and wanted.webhook_id in (None, hook)
            and wanted.event in (None, event) and (wanted.since is None or made >= wanted.since)
            and (wanted.until is None or made < wanted.until) and (wanted.text is None or has_word)
        }  # fmt: skip
        assert found(wanted) == sorted(expected, reverse=True), wanted
        count = select(func.count()).select_from(Delivery).where(wanted.condition())
        assert db.session.scalar(count) == len(expected)


@pytest.mark.usefixtures("each_app")
def test_words_are_looked_for_as_they_are_typed() -> None:
    hook = factories.webhook()
    key = factories.delivery(hook, payload='{"message":"she said \\"hi\\" 100% \\\\ under_score\\n🎈"}')
    failed = factories.delivery(hook, status="failed", last_error="The receiver answered 500.")
    for words in ('said "hi"', "100%", "\\ under_score", "🎈", '{"message"', "SHE"):
        assert found(filtered_lists.Deliveries(text=words)) == [key], words
    assert found(filtered_lists.Deliveries(text="answered 500")) == [failed]
    assert found(filtered_lists.Deliveries(text="1_0%")) == []


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("look", [1, 3, 7, 1000])
def test_pages_hold_everything_once_however_far_each_looks(
    look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", look)
    hook = factories.webhook()
    keys = [
        factories.delivery(hook, event="ping" if number % 4 else "comment.created") for number in range(22)
    ]
    pings = [key for number, key in enumerate(keys) if number % 4]
    for limit in (1, 2, 5, 50):
        assert all_pages(filtered_lists.Deliveries(), limit) == keys[::-1]
        assert all_pages(filtered_lists.Deliveries(event="ping"), limit) == pings[::-1]
        assert all_pages(filtered_lists.Deliveries(webhook_id=hook, status="new"), limit) == keys[::-1]


@pytest.mark.usefixtures("app")
def test_it_says_how_far_it_looked_only_where_that_is_why_a_page_is_not_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", 4)
    hook, now = factories.webhook(), clock.now()
    for hours in range(10):
        factories.delivery(hook, created_at=now - hours * HOUR)
    rare = filtered_lists.deliveries(db.session(), filtered_lists.Deliveries(event="ping"))
    assert rare.rows == []
    assert rare.looked_to == now - 3 * HOUR
    full = filtered_lists.deliveries(
        db.session(), filtered_lists.Deliveries(event="comment.created"), limit=2
    )
    assert (len(full.rows), full.looked_to) == (2, None)
    assert filtered_lists.deliveries(db.session(), filtered_lists.Deliveries()).looked_to is None


@pytest.mark.usefixtures("app")
def test_a_list_reads_no_payload() -> None:
    factories.delivery(factories.webhook())
    [row] = filtered_lists.deliveries(db.session(), filtered_lists.Deliveries()).rows
    assert "payload" not in vars(row)
