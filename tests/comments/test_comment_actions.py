"""The book: a comment and its deliveries are one; a page is twenty, by keyset; changes make events."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.outbound import event_publisher
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Comment, Delivery, Webhook
from guestbook.storage.models.delivery import FIRST_VERSION
from tests.support import factories
from tests.support.amount import examples
from tests.support.at_once import at_once

HELD, SPAM = factories.HELD, factories.SPAM
DRAFT = Draft("Ada", None, "Hello", {})
pytestmark = pytest.mark.usefixtures("any_app")


def count(model: type[Comment] | type[Delivery]) -> int | None:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model))


def events() -> list[str]:
    return [row.event for row in factories.deliveries()]


@pytest.mark.usefixtures("each_app")
def test_a_comment_and_its_deliveries_commit_together() -> None:
    factories.webhook()
    factories.webhook(name="two")
    comment_id = factories.sign()
    assert [row.comment_id for row in factories.deliveries()] == [comment_id] * 2
    assert len({row.event_id for row in factories.deliveries()}) == 1
    assert len({row.payload for row in factories.deliveries()}) == 1


def sign_and_stumble_after_all() -> None:
    with database.writing() as session:
        comment_actions.sign(session, DRAFT, factories.PUBLISHED, settings=factories.settings())
        raise ZeroDivisionError


def sign_and_stumble_in_between() -> None:
    """Let the database refuse a delivery, because its webhook is not there."""
    with database.writing() as session:
        comment_actions.sign(session, DRAFT, factories.PUBLISHED, settings=factories.settings())
        gone = {"nobody": event_publisher.BodyInput("json", "", None, FIRST_VERSION)}
        ping = event_publisher.NewEvent("ping", EVENTS["ping"].sample_data())
        event_publisher.store(session.connection(), ping, factories.settings(), gone)


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize("stumble", [sign_and_stumble_after_all, sign_and_stumble_in_between])
def test_an_error_in_between_leaves_neither(stumble: Callable[[], None]) -> None:
    factories.webhook()
    with pytest.raises((ZeroDivisionError, IntegrityError)):
        stumble()
    assert (count(Comment), count(Delivery)) == (0, 0)
    factories.sign()
    assert (count(Comment), count(Delivery)) == (1, 1)


@pytest.mark.usefixtures("each_app")
def test_nothing_is_seen_before_the_commit() -> None:
    factories.webhook()
    with database.writing() as session:
        comment_actions.sign(session, DRAFT, factories.PUBLISHED, settings=factories.settings())
        with Session(db.engine) as other:
            assert other.scalars(select(Comment)).all() == []
            assert other.scalars(select(Delivery)).all() == []
    assert (count(Comment), count(Delivery)) == (1, 1)


@pytest.mark.parametrize(("verdict", "sent_events"), [
    (factories.PUBLISHED, ["comment.created", "comment.published"]),
    (HELD, ["comment.created"]),
    (SPAM, []),
])  # fmt: skip
def test_what_is_stored_is_told_unless_it_is_spam(verdict: Classification, sent_events: Any) -> None:
    factories.webhook(events="comment.created comment.published comment.deleted")
    comment = factories.the(Comment, factories.sign(verdict=verdict))
    assert events() == sent_events
    assert (comment.status, comment.reason) == (verdict.status, verdict.reason)
    for row in factories.deliveries():
        assert json.loads(row.payload)["data"]["comment"]["status"] == verdict.status


@pytest.mark.parametrize(("verdict", "is_sent"), [(factories.PUBLISHED, True), (HELD, True), (SPAM, False)])
def test_a_webhook_that_had_a_comment_hears_of_its_end(verdict: Classification, is_sent: bool) -> None:
    factories.webhook(events="comment.deleted")
    comment_id = factories.sign(verdict=verdict)
    factories.change(comment_id, comment_actions.delete)
    assert count(Comment) == 0
    assert events() == (["comment.deleted"] if is_sent else [])
    for row in factories.deliveries():
        assert row.comment_id is None
        assert json.loads(row.payload)["data"]["comment"]["id"] == comment_id


@pytest.mark.parametrize(("verdict", "to", "sent_events"), [
    (HELD, "published", ["comment.published"]),
    (HELD, "held", []),
    (HELD, "spam", ["comment.deleted"]),
    (HELD, "trash", ["comment.deleted"]),
    (SPAM, "published", ["comment.created", "comment.published"]),
    (SPAM, "held", ["comment.created"]),
    (SPAM, "trash", []),
    (factories.PUBLISHED, "published", []),
    (factories.PUBLISHED, "held", []),
    (factories.PUBLISHED, "spam", ["comment.deleted"]),
    (factories.PUBLISHED, "trash", ["comment.deleted"]),
])  # fmt: skip
def test_a_move_tells_what_changes_there(verdict: Classification, to: str, sent_events: list[str]) -> None:
    comment_id = factories.sign(verdict=verdict)
    factories.webhook(events="comment.created comment.published comment.deleted")
    factories.change(comment_id, comment_actions.move, to)
    assert events() == sent_events
    assert factories.the(Comment, comment_id).status == to


def test_a_restored_comment_is_new_to_those_alone_that_have_not_heard_of_it() -> None:
    early = factories.webhook(events="comment.created comment.published comment.deleted")
    comment_id = factories.sign()
    all_sent()  # what has not gone out would be superseded
    factories.change(comment_id, comment_actions.move, "spam")
    late = factories.webhook(events="comment.created")
    factories.change(comment_id, comment_actions.restore)
    last = [f"comment.{name}" for name in ("created", "published", "deleted", "published")]
    assert events_of(early) == last
    assert events_of(late) == ["comment.created"]
    factories.change(comment_id, comment_actions.move, "trash")
    factories.change(comment_id, comment_actions.restore)
    assert events_of(late) == ["comment.created"] * 2  # the first was superseded before it went out


def test_who_has_heard_of_a_comment_is_remembered_after_its_deliveries_are_pruned() -> None:
    early = factories.webhook()
    comment_id = factories.sign()
    factories.change(comment_id, comment_actions.move, "spam")
    late = factories.webhook()
    with database.write(db.engine) as connection:
        connection.execute(DELIVERIES.delete())
        long_ago = clock.now() - timedelta(days=100)
        connection.execute(update(Comment).values(announced_at=long_ago, reason="held once"))
        connection.execute(update(Webhook).where(Webhook.id == early).values(created_at=long_ago))
    factories.change(comment_id, comment_actions.restore)
    assert (events_of(early), events_of(late)) == ([], ["comment.created"])


ACTIONS = ["published", "held", "spam", "trash", "restore", "a webhook", "a pass"]
MOVES = st.lists(st.sampled_from(ACTIONS), max_size=9)


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([factories.PUBLISHED, HELD, SPAM]), MOVES)
def test_no_webhook_hears_of_a_comment_as_new_twice(verdict: Classification, moves: list[str]) -> None:
    hooks = [factories.webhook()]
    comment_id = factories.sign(verdict=verdict)
    for to in moves:
        if to == "a webhook":
            hooks.append(factories.webhook())
        elif to == "a pass":
            all_sent()
        elif to == "restore":
            factories.change(comment_id, comment_actions.restore)
        else:
            factories.change(comment_id, comment_actions.move, to)
    kept = [row.webhook_id for row in factories.deliveries() if not row.erased_at]
    times = [kept.count(hook) for hook in hooks]  # without those that a deletion has superseded
    assert max(times) <= 1
    was_known = verdict is not SPAM or {"published", "held", "restore"} & set(moves)
    assert times[0] == 1 if factories.the(Comment, comment_id).is_known else times[0] <= bool(was_known)


def all_sent() -> None:
    """Let all that waits be delivered, as by a pass."""
    with database.write(db.engine) as connection:
        final = {"status": "processed", "due_at": None, "finished_at": clock.now()}
        connection.execute(DELIVERIES.update().where(DELIVERIES.c.status == "new").values(final))


def events_of(webhook_id: str) -> list[str]:
    return [row.event for row in factories.deliveries() if row.webhook_id == webhook_id]


@pytest.mark.parametrize(("verdict", "thrown", "back"), [
    (HELD, "trash", "held"),
    (SPAM, "spam", "held"),
    (factories.PUBLISHED, "trash", "published"),
    (factories.PUBLISHED, "spam", "published"),
])  # fmt: skip
def test_a_comment_is_restored_to_where_it_was(verdict: Classification, thrown: str, back: str) -> None:
    comment_id = factories.sign(verdict=verdict)
    factories.change(comment_id, comment_actions.move, thrown)
    factories.change(comment_id, comment_actions.restore)
    assert factories.the(Comment, comment_id).status == back


def test_two_who_publish_at_the_same_time_tell_it_once(each_app: Flask) -> None:
    factories.webhook(events="comment.published")
    comment_ids = [factories.sign(verdict=HELD) for _ in range(8)]
    together = threading.Barrier(2)

    def publish(_: int) -> None:
        for comment_id in comment_ids:
            together.wait(20)
            factories.change(comment_id, comment_actions.move, "published")

    at_once(each_app, 2, publish)
    assert len(events()) == 8
