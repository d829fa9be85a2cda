"""Looking through deliveries, inbox and comments: each filter, alone and with others, page by page."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.queries.filtered_lists import Deliveries, InboundEvents
from guestbook.storage.database import db
from guestbook.storage.models import Delivery
from tests.support import factories

HOUR = timedelta(hours=1)


def found(wanted: Deliveries) -> list[str]:
    db.session.rollback()
    return [row.id for row in wanted.page(db.session()).rows]


def all_pages(wanted: Deliveries, limit: int) -> list[str]:
    """The ids of all pages, one after the other."""
    db.session.rollback()
    page = wanted.page(db.session(), limit=limit)
    seen = [row.id for row in page.rows]
    while page.older:
        page = wanted.page(db.session(), page.older, limit)
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
        wanted = Deliveries(**(one | other))
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
        assert found(Deliveries(text=words)) == [key], words
    assert found(Deliveries(text="answered 500")) == [failed]
    assert found(Deliveries(text="1_0%")) == []


@pytest.mark.parametrize("look", [1, 3, 7, 1000])
def test_pages_hold_all_once_however_far_each_looks(look: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", look)
    hook = factories.webhook()
    keys = [factories.delivery(hook, event="ping" if n % 4 else "comment.created") for n in range(22)]
    pings = [key for number, key in enumerate(keys) if number % 4]
    for limit in (1, 2, 5, 50):
        assert all_pages(Deliveries(), limit) == keys[::-1]
        assert all_pages(Deliveries(event="ping"), limit) == pings[::-1]
        assert all_pages(Deliveries(webhook_id=hook, status="new"), limit) == keys[::-1]


def test_it_says_how_far_it_looked_only_where_a_page_is_not_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", 4)
    hook, now = factories.webhook(), clock.now()
    for hours in range(10):
        factories.delivery(hook, created_at=now - hours * HOUR)
    rare = Deliveries(event="ping").page(db.session())
    assert rare.rows == []
    assert rare.looked_to == now - 3 * HOUR
    full = Deliveries(event="comment.created").page(db.session(), limit=2)
    assert (len(full.rows), full.looked_to) == (2, None)
    assert Deliveries().page(db.session()).looked_to is None


def test_a_list_reads_no_payload() -> None:
    factories.delivery(factories.webhook())
    [row] = Deliveries().page(db.session()).rows
    assert "payload" not in vars(row)


# --- the inbox


def inbound_events(**wanted: Any) -> list[str]:
    db.session.rollback()
    return [row.id for row in InboundEvents(**wanted).page(db.session()).rows]


def test_every_set_of_filters_of_the_inbox_finds_what_has_all_of_it(each_app: Flask) -> None:  # noqa: ARG001
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
        assert inbound_events(**wanted) == expected, wanted


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
    said = [inbound_events(text=f'{name} said "hi"') for name in ("zoë", "Zoë")]
    assert [form, ascii_alone, plain] in said
    assert inbound_events(text="🎈") == [ascii_alone, plain]
    for words in ("100%", "\\ under_score", '{"a"'):
        assert plain in inbound_events(text=words), words
    assert inbound_events(text="no header x-hub") == [failed]
    assert inbound_events(text="became a comment") == [done]
    assert inbound_events(text="1_0%") == []


def test_a_filter_takes_no_pattern() -> None:
    source = factories.source()
    factories.inbound(source, event="push", sender="octocat")
    for wanted in ({"event": "p%"}, {"event": "%"}, {"sender": "o_t"}, {"sender": "%"}, {"event": ""}):
        assert inbound_events(**wanted) == ([] if any(wanted.values()) else inbound_events())


def test_payloads_are_looked_into_a_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_PAYLOADS", 4)
    source, now = factories.source(), clock.now()
    for hours in range(10):
        factories.inbound(source, received_at=now - hours * HOUR)
    assert InboundEvents(text="x").page(db.session()).looked_to == now - 3 * HOUR
    assert InboundEvents(event="x").page(db.session()).looked_to is None


def test_the_inbox_reads_neither_payloads_nor_headers() -> None:
    factories.inbound(factories.source())
    [row] = InboundEvents().page(db.session()).rows
    assert not {"payload", "headers"} & set(vars(row))


# --- comments


def comments(words: str | None = None, status: str | None = None) -> list[str]:
    """The messages that are found, newest first."""
    db.session.rollback()
    return [row.message for row in filtered_lists.comments(db.session(), status, words).rows]


@pytest.mark.usefixtures("each_app")
def test_words_are_found_in_name_message_and_website_in_any_case() -> None:
    factories.sign("Hello", name="Ada Lovelace")
    factories.sign("From the LOVE boat")
    factories.sign_draft(Draft("Zoë", "https://love.example/", "Bonjour 🦋", {}))
    factories.sign("Good day")
    assert comments("love") == ["Bonjour 🦋", "From the LOVE boat", "Hello"]
    assert comments("Zoë") == comments("🦋") == ["Bonjour 🦋"]


@pytest.mark.usefixtures("each_app")
def test_each_word_must_be_somewhere_and_their_order_is_no_matter() -> None:
    factories.sign("Hello there", name="Ada")
    factories.sign("Hello", name="Bob")
    assert comments("there hello  ada") == ["Hello there"]
    assert comments("there bob") == []


@pytest.mark.usefixtures("each_app")
def test_signs_that_a_database_reads_stand_for_themselves() -> None:
    factories.sign("plain 100 axb")
    for sign in ("%", "_", "/", "\\", "'", '"', "100$", "c_d", "\\&"):
        factories.sign(f"with {sign} in it")
    for sign in ("100%", "a_b", "\\%", "%_", "p%n"):
        assert comments(sign) == []
    for sign in ("%", "'", '"', "100$", "c_d", "\\&"):
        assert comments(sign) == [f"with {sign} in it"]
    assert comments("_") == ["with c_d in it", "with _ in it"]


@pytest.mark.usefixtures("each_app")
def test_no_words_find_everything_and_no_words_break_the_search() -> None:
    factories.sign("Hello")
    for nothing in (None, "", "  ", "\0", "\ud800\u202e"):
        assert comments(nothing) == ["Hello"]
    for odd in ("q\0", "x" * 100_000, "q " * 5000, "\ud800q", "🦋" * 999):
        assert comments(odd) == []


def test_a_status_has_its_own_list() -> None:
    for status in ("published", "held", "spam", "trash"):
        factories.sign(status, verdict=Classification(status))
    assert comments() == ["trash", "spam", "held", "published"]
    assert comments(status="held") == comments("held") == ["held"]
    assert comments("held", status="spam") == []


@pytest.mark.usefixtures("each_app")
def test_the_deliveries_of_a_comment_are_the_latest_with_the_names_of_their_webhooks() -> None:
    factories.webhook(name="first", events="comment.created comment.published")
    factories.webhook(name="second")
    factories.sign()
    comment_id = factories.sign()
    mine = Delivery.comment_id == comment_id
    listed = filtered_lists.with_webhook_names(db.session(), mine)
    assert {(row.event, name) for row, name in listed} == {
        ("comment.created", "first"),
        ("comment.published", "first"),
        ("comment.created", "second"),
    }
    assert [row.id for row, _ in listed] == sorted((row.id for row, _ in listed), reverse=True)
    assert filtered_lists.with_webhook_names(db.session(), mine, 1) == listed[:1]
