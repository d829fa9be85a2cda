"""Looking through the inbox: each filter, alone and with others, page by page, on every database."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.storage.database import db
from tests.support import factories

HOUR = timedelta(hours=1)


def found(**wanted: Any) -> list[str]:
    db.session.rollback()
    return [
        row.id
        for row in filtered_lists.inbound_events(db.session(), filtered_lists.InboundEvents(**wanted)).rows
    ]


def all_pages(limit: int, **wanted: Any) -> list[str]:
    """The ids of all pages, one after the other."""
    db.session.rollback()
    page = filtered_lists.inbound_events(db.session(), filtered_lists.InboundEvents(**wanted), limit=limit)
    seen = [row.id for row in page.rows]
    while page.older:
        page = filtered_lists.inbound_events(
            db.session(), filtered_lists.InboundEvents(**wanted), page.older, limit
        )
        assert len(page.rows) <= limit
        seen += [row.id for row in page.rows]
    return seen


def test_every_set_of_filters_finds_what_has_all_of_it_and_nothing_else(each_app: Flask) -> None:  # noqa: ARG001
    now = clock.now()
    sources = [factories.source(), factories.source()]
    rows: list[dict[str, Any]] = []
    for number, (source, status) in enumerate(itertools.product(sources, ("new", "processed", "failed"))):
        for event, sender in (("issues.opened", "octocat"), ("push", "Hubot"), (None, None)):
            made = now - (number + 0.5) * HOUR
            values = {
                "source_id": source, "status": status, "event": event, "sender": sender, "received_at": made,
                "payload": '{"word":"Birne"}' if number % 2 else "{}",
                "external_id": "once" if event == "push" and status == "failed" else None,
            }  # fmt: skip
            rows.append({**values, "id": factories.inbound(**values)})
    filters: list[dict[str, Any]] = [
        {}, {"status": "new"}, {"status": "processed"}, {"status": "failed"}, {"source_id": sources[0]},
        {"event": "issues"}, {"event": "issues.opened"}, {"event": "issue"}, {"sender": "cto"},
        {"external_id": "once"}, {"since": now - 4 * HOUR}, {"until": now - HOUR}, {"text": "bIRNE"},
    ]  # fmt: skip
    for some in itertools.combinations(filters, 3):
        wanted = {name: value for one in some for name, value in one.items()}
        expected = sorted((row["id"] for row in rows if fits(row, **wanted)), reverse=True)
        assert found(**wanted) == expected, wanted


def fits(row: dict[str, Any], **wanted: Any) -> bool:
    return all(
        {
            "status": row["status"] == value,
            "source_id": row["source_id"] == value,
            "event": value in (row["event"], (row["event"] or "").partition(".")[0]),
            "sender": str(value) in (row["sender"] or "").lower(),
            "external_id": row["external_id"] == value,
            "since": name != "since" or row["received_at"] >= value,
            "until": name != "until" or row["received_at"] < value,
            "text": str(value).lower() in row["payload"].lower(),
        }[name]
        for name, value in wanted.items()
    )


@pytest.mark.usefixtures("each_app")
def test_words_are_looked_for_as_they_are_typed_however_the_sender_spells_them() -> None:
    source = factories.source()
    plain = factories.inbound(source, payload='{"a":"Zoë said \\"hi\\" 🎈 100% \\\\ under_score"}')
    ascii_alone = factories.inbound(source, payload='{"a":"Zo\\u00eb said \\"hi\\" \\ud83c\\udf88"}')
    form = factories.inbound(source, payload="a=Zo%C3%AB+said+%22hi%22")
    failed = factories.inbound(source, status="failed", error="There is no header X-Hub-Signature-256.")
    done = factories.inbound(source, status="processed", note="It became a comment.")
    assert found(text='zoë said "hi"') == [form, ascii_alone, plain] or found(text='Zoë said "hi"') == [
        form, ascii_alone, plain,
    ]  # fmt: skip
    assert found(text="🎈") == [ascii_alone, plain]
    for words in ("100%", "\\ under_score", '{"a"'):
        assert plain in found(text=words), words
    assert found(text="no header x-hub") == [failed]
    assert found(text="became a comment") == [done]
    assert found(text="1_0%") == []


@pytest.mark.usefixtures("app")
def test_a_filter_takes_no_pattern() -> None:
    source = factories.source()
    factories.inbound(source, event="push", sender="octocat")
    for wanted in ({"event": "p%"}, {"event": "%"}, {"sender": "o_t"}, {"sender": "%"}, {"event": ""}):
        assert found(**wanted) == ([] if any(wanted.values()) else found())


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("look", [1, 3, 7, 1000])
def test_pages_hold_everything_once_however_far_each_looks(
    look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", look)
    monkeypatch.setattr(filtered_lists, "SCANNED_PAYLOADS", look)
    source = factories.source()
    keys = [factories.inbound(source, event="ping" if number % 4 else "push") for number in range(22)]
    pings = [key for number, key in enumerate(keys) if number % 4]
    for limit in (1, 2, 5, 50):
        assert all_pages(limit) == keys[::-1]
        assert all_pages(limit, event="ping") == pings[::-1]
        assert all_pages(limit, text="{") == all_pages(limit, source_id=source, status="new") == keys[::-1]


@pytest.mark.usefixtures("app")
def test_payloads_are_looked_into_a_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_PAYLOADS", 4)
    source, now = factories.source(), clock.now()
    for hours in range(10):
        factories.inbound(source, received_at=now - hours * HOUR)
    assert (
        filtered_lists.inbound_events(db.session(), filtered_lists.InboundEvents(text="x")).looked_to
        == now - 3 * HOUR
    )
    assert (
        filtered_lists.inbound_events(db.session(), filtered_lists.InboundEvents(event="x")).looked_to is None
    )


@pytest.mark.usefixtures("app")
def test_a_list_reads_neither_payloads_nor_headers() -> None:
    factories.inbound(factories.source())
    [row] = filtered_lists.inbound_events(db.session(), filtered_lists.InboundEvents()).rows
    assert not {"payload", "headers"} & set(vars(row))
