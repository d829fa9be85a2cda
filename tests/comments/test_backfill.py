"""Past events for a webhook: which, in which order, with which words, and what is left out."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from guestbook.comments import backfill, comment_actions
from guestbook.comments.backfill import BackfillReport, BackfillRules
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import event_publisher
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, AuditEntry, Comment, Origin
from guestbook.storage.models.delivery import Template
from tests.support import factories
from tests.support.at_once import at_once
from tests.support.receiver import Answer, Receiver

pytestmark = pytest.mark.usefixtures("any_app")
DAY = timedelta(days=1)
ALL = "comment.created comment.published comment.replied comment.deleted"


def rules(**more: Any) -> BackfillRules:
    return BackfillRules(**{"since": clock.now() - DAY, "settings": factories.settings(), **more})


def run(hook: str, **more: Any) -> BackfillReport:
    """Send the past events, and compare with the forecast."""
    found = backfill.forecast(hook, rules(**more))
    done = backfill.run(hook, rules(**more))
    assert (done.events, done.comments) == (found.events, found.comments)
    return found


def of(hook: str) -> list[tuple[str | None, str]]:
    """The deliveries of a webhook: comment and event, in the order of their sequence."""
    rows = [row for row in factories.deliveries() if row.webhook_id == hook]
    assert [row.sequence for row in rows] == [json.loads(row.payload)["data"]["sequence"] for row in rows]
    return [(row.comment_id, row.event) for row in rows]


def age(comment_id: str, days: float) -> None:
    """Let a comment be so old."""
    at = clock.now() - days * DAY
    with database.write(db.engine) as connection:
        mine = update(Comment).where(Comment.id == comment_id)
        connection.execute(mine.values(created_at=at, announced_at=at))


def test_a_new_webhook_gets_what_the_book_has_in_order(each_app: Flask) -> None:  # noqa: ARG001  it has the tables
    published = factories.PUBLISHED
    first, second, third = (factories.sign(verdict=one) for one in (published, factories.HELD, published))
    factories.change(first, comment_actions.reply, "Thanks")
    hook = factories.webhook(events=ALL)
    report = run(hook)
    assert of(hook) == [
        *((first, f"comment.{event}") for event in ("created", "published", "replied")),
        (second, "comment.created"),
        *((third, f"comment.{event}") for event in ("created", "published")),
    ]
    assert (report.deliveries, report.comments, report.present, report.pruned) == (6, 3, 0, 0)
    assert report.events == {"comment.created": 3, "comment.published": 2, "comment.replied": 1}
    again = run(hook)
    assert (again.deliveries, again.present, len(of(hook))) == (0, 6, 6)


def test_it_goes_out_in_the_format_of_the_webhook_and_in_order_also_with_retries(receiver: Receiver) -> None:
    comment_id = factories.sign("Hello from the harbour")
    factories.change(comment_id, comment_actions.reply, "Thanks")
    hook = factories.webhook(receiver.url("/hook"), events=ALL, format="slack")
    run(hook)
    receiver.answer("/hook", Answer(500), Answer(200))
    factories.run_pass()
    factories.all_due()
    factories.run_pass()
    bodies = [request.body.decode() for request in receiver.requests]
    assert ("Hello from the harbour" in bodies[0], "Thanks" in bodies[-1]) == (True, True)
    assert {row.status for row in factories.deliveries()} == {"processed"}
    assert bodies[0] == bodies[1]


def test_only_what_it_wants_and_has_not_had_is_sent() -> None:
    first = factories.sign()
    hook = factories.webhook(events="comment.published")
    second = factories.sign()
    assert run(hook).present == 1
    assert of(hook) == [(second, "comment.published"), (first, "comment.published")]


def test_an_event_keeps_the_id_that_other_webhooks_know_and_the_time_when_it_happened() -> None:
    other = factories.webhook(events="comment.created")
    comment_id = factories.sign()
    age(comment_id, 0.5)
    hook = factories.webhook(events="comment.created comment.published")
    run(hook)
    theirs, created, published = factories.deliveries()
    assert (theirs.webhook_id, created.event_id == theirs.event_id) == (other, True)
    assert published.event_id not in (created.event_id, theirs.event_id)
    happened = clock.to_text(factories.the(Comment, comment_id).created_at)
    assert [json.loads(row.payload)["timestamp"] for row in (created, published)] == [happened] * 2
    assert [row.sequence for row in (theirs, created, published)] == [1, 2, 3]


def test_an_answer_that_was_changed_is_another_event() -> None:
    comment_id = factories.sign()
    hook = factories.webhook(events="comment.replied")
    factories.change(comment_id, comment_actions.reply, "Thanks")
    assert run(hook).present == 1
    factories.execute(DELIVERIES.update().values(created_at=clock.now() - DAY))
    assert run(hook).deliveries == 1


def test_what_was_deleted_trashed_or_corrected_is_not_sent() -> None:
    for status in ("trash", "spam"):
        factories.change(factories.sign("Secret words"), comment_actions.move, status)
    factories.change(factories.sign("Secret words"), comment_actions.delete)
    kept = factories.sign("Secret words")
    factories.change(kept, comment_actions.edit, Draft("Ada", None, "Other words", {}))
    hook = factories.webhook(events=ALL)
    assert run(hook).comments == 1
    assert {comment_id for comment_id, _ in of(hook)} == {kept}
    assert not any("Secret words" in row.payload for row in factories.deliveries())


def test_a_comment_that_is_deleted_before_it_goes_out_is_not_sent(receiver: Receiver) -> None:
    comment_id = factories.sign("Secret words")
    run(factories.webhook(receiver.url("/hook"), events=ALL))
    factories.change(comment_id, comment_actions.delete)
    factories.all_due()
    factories.run_pass()
    assert [request.json["type"] for request in receiver.requests] == ["comment.deleted"]
    assert b"Secret" not in receiver.requests[0].body


def test_what_a_deletion_superseded_is_sent_after_the_comment_is_back() -> None:
    hook = factories.webhook(events="comment.created comment.deleted")
    comment_id = factories.sign()
    factories.change(comment_id, comment_actions.move, "trash")
    with database.writing() as session:  # as if it came back without events
        session.execute(update(Comment).values(status="published"))
    assert run(hook).deliveries == 1
    assert factories.deliveries()[-1].event == "comment.created"


def test_only_since_then_counts_and_the_answer_has_a_time_of_its_own() -> None:
    old, new = factories.sign(), factories.sign()
    age(old, 3)
    factories.change(old, comment_actions.reply, "Thanks, late")
    hook = factories.webhook(events=ALL)
    run(hook)
    created = [(new, "comment.created"), (new, "comment.published")]
    assert of(hook) == [(old, "comment.replied"), *created]
    assert run(hook, since=clock.now() + DAY).deliveries == 0


def test_what_may_have_been_pruned_is_left_out_unless_it_is_wanted() -> None:
    comment_id = factories.sign()
    hook = factories.webhook(events="comment.created", created_at=clock.now() - 100 * DAY)
    age(comment_id, 60)
    long_ago = clock.now() - 90 * DAY
    report = run(hook, since=long_ago)
    assert (report.deliveries, report.pruned) == (0, 1)
    younger = factories.webhook(events="comment.created")
    assert run(younger, since=long_ago).deliveries == 1
    assert run(hook, since=long_ago, pruned_too=True).deliveries == 1


@pytest.mark.parametrize(("is_relayed", "count"), [(False, 0), (True, 1)])
def test_comments_of_sources_go_where_their_events_go(is_relayed: bool, count: int) -> None:
    origin = Origin(name="A shop", url=None, told_at=clock.now() if is_relayed else None)
    verdict = Classification("published")

    def sign(session: Any) -> None:
        draft, settings = Draft("Ada", None, "Hi", {}), factories.settings()
        comment_actions.sign(session, draft, verdict, settings=settings, origin=origin)

    factories.written(sign)
    assert run(factories.webhook()).deliveries == count


def test_a_large_book_is_sent_in_parts_that_a_template_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "STORED_TOGETHER", 1)
    monkeypatch.setattr(backfill, "READ_TOGETHER", 3)
    comments = [factories.sign(f"Number {number}") for number in range(8)]
    hook = factories.webhook(format="template")
    with database.writing() as session:
        session.add(Template(webhook_id=hook, text='{"text": {{ comment.message|tojson }}}'))
    seen: list[int] = []
    report = run(hook, after_look=seen.append)
    assert (report.seen, sum(seen)) == (8, 8)
    rows = factories.deliveries()
    assert [json.loads(row.payload)["text"] for row in rows] == [f"Number {number}" for number in range(8)]
    assert [row.comment_id for row in rows] == comments
    assert {row.status for row in rows} == {"new"}


def test_a_kill_leaves_whole_comments_and_the_next_run_does_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "STORED_TOGETHER", 1)
    for _ in range(2):
        factories.sign()
    hook = factories.webhook(events=ALL)
    store, calls = event_publisher.store, iter([True] * 3)

    def failing(*given: Any, **named: Any) -> str:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return store(*given, **named)

    monkeypatch.setattr(event_publisher, "store", failing)
    with pytest.raises(KeyboardInterrupt):
        backfill.run(hook, rules())
    assert len(of(hook)) == 2
    monkeypatch.undo()
    assert run(hook).deliveries == 2


def test_no_transaction_is_open_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "READ_TOGETHER", 1)
    for _ in range(2):
        factories.sign()
    hook, open_ones = factories.webhook(), []
    run(hook, after_look=lambda _: open_ones.append(db.session().in_transaction()))
    assert open_ones == [False, False]
    backfill.forecast(hook, rules())
    assert not db.session().in_transaction()


def test_two_at_once_send_nothing_twice(each_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "STORED_TOGETHER", 1)
    comments = [factories.sign() for _ in range(6)]
    hook, store, both_looked = factories.webhook(), backfill._store, threading.Barrier(2)

    def store_after_both_looked(*given: Any, is_first: bool) -> Any:
        if is_first and given[-1] == comments[:1]:
            both_looked.wait(20)
        return store(*given, is_first=is_first)

    monkeypatch.setattr(backfill, "_store", store_after_both_looked)

    assert sum(at_once(each_app, 2, lambda _: backfill.run(hook, rules()).deliveries)) == 6
    assert of(hook) == [(comment_id, "comment.created") for comment_id in comments]


def test_what_was_moved_since_the_look_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    comment_id, store = factories.sign(), backfill._store
    hook = factories.webhook()

    def store_later(*given: Any, **named: Any) -> Any:
        factories.change(comment_id, comment_actions.move, "trash")
        return store(*given, **named)

    monkeypatch.setattr(backfill, "_store", store_later)
    assert backfill.run(hook, rules()).deliveries == 0
    assert of(hook) == []
    assert db.session.query(AuditEntry).all() == []


def test_other_events_are_refused_and_so_is_a_webhook_that_is_gone() -> None:
    hook = factories.webhook(events="ping webhook.failing")
    sentence = "This webhook gets ping, webhook.failing. Past events are comment.created, comment.published, "
    with pytest.raises(Refused, match=sentence):
        run(hook)
    with pytest.raises(Refused, match="was deleted meanwhile"):
        backfill.run("0" * 32, rules())
