"""What a pass does beside sending: it deletes what is old, reminds the owner, and says what went wrong."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from guestbook.background import whole_pass
from guestbook.comments import comment_actions, events_and_reminders
from guestbook.lib import clock, ids
from guestbook.lib.validate import PULL_URL
from guestbook.outbound.attempt_recorder import Tally
from guestbook.storage import database, engines, row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import (
    Comment,
    Delivery,
    Hold,
    IdempotencyKey,
    Limit,
    Login,
    Pass,
    ReceiverLink,
    Refusal,
    SeenSignature,
    TextMark,
)
from tests.support import factories

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def prune(**changes: Any) -> int:
    settings = replace(factories.settings(), **changes)
    return whole_pass.prune(db.engine, settings, until=time.monotonic() + 60)


def left() -> set[str]:
    return {row.id for row in factories.deliveries()}


@pytest.mark.usefixtures("each_app")
def test_what_is_older_than_its_retention_goes_and_nothing_else() -> None:
    now = clock.now()
    hook = factories.webhook()
    old = {
        factories.delivery(hook, status="processed", finished_at=now - 30 * DAY - HOUR),
        factories.delivery(hook, status="failed", finished_at=now - 90 * DAY - HOUR),
    }
    kept = {
        factories.delivery(hook, status="processed", finished_at=now - 30 * DAY + HOUR),
        factories.delivery(hook, status="failed", finished_at=now - 90 * DAY + HOUR),
        factories.delivery(hook, status="processed", created_at=now - 400 * DAY, finished_at=now),
        factories.delivery(hook, created_at=now - 400 * DAY, due_at=now - 400 * DAY),
    }
    assert prune() == len(old)
    assert left() == kept
    assert prune() == 0


@pytest.mark.usefixtures("each_app")
def test_what_waits_for_a_disabled_webhook_goes_when_it_is_as_old_as_failed_ones_may_become() -> None:
    now = clock.now()
    disabled = factories.webhook(disabled_at=now - 91 * DAY, disabled_reason="gone")
    just_disabled = factories.webhook(disabled_at=now - 89 * DAY, disabled_reason="failing")
    old = {"created_at": now - 91 * DAY, "due_at": now - 91 * DAY}
    kept = {
        factories.delivery(disabled, created_at=now - 89 * DAY, due_at=now - 89 * DAY),
        factories.delivery(factories.webhook(), **old),
        factories.delivery(just_disabled, **old),
    }
    factories.delivery(disabled, **old)
    assert prune() == 1
    assert left() == kept


@pytest.mark.usefixtures("each_app")
def test_an_old_delivery_or_inbound_event_that_was_put_back_into_the_queue_stays() -> None:
    long_ago = clock.now() - 91 * DAY
    pulled, closed = factories.webhook(url=PULL_URL), factories.source(disabled_at=long_ago)
    just_closed = factories.source(disabled_at=clock.now())
    kept = {factories.delivery(pulled, created_at=long_ago, due_at=clock.now())}
    processed_again = factories.inbound(closed, received_at=long_ago, due_at=clock.now())
    waits = factories.inbound(just_closed, received_at=long_ago, due_at=long_ago)
    factories.inbound(closed, received_at=long_ago, due_at=long_ago)
    assert prune() == 1
    assert left() == kept
    assert {row.id for row in factories.inbound_events()} == {processed_again, waits}


@pytest.mark.usefixtures("each_app")
def test_rows_of_small_tables_go_when_their_time_is_over() -> None:
    now, hook = clock.now(), factories.webhook()
    for name, late, days in (("old", HOUR, 92), ("new", -HOUR, 89)):
        day_ago, month_ago = now - DAY - late, now - 30 * DAY - late
        with writing() as session:
            session.add(Login(id=name, browser="", created_at=now, expires_at=now - late))
            session.add(Limit(who=name, hits=9, since=now - 9 * DAY, last_at=day_ago))
            session.add(IdempotencyKey(id=name, request="", answer="", created_at=day_ago))
            session.add(SeenSignature(mark=name, event_id="", seen_at=month_ago))
            session.add(ReceiverLink(id=name, webhook_id=hook, name="Ada", expires_at=month_ago))
            day = clock.to_text(now - days * DAY)[:10]
            session.add(Refusal(id=name, day=day, reason="rate", number=1))
    assert prune() == 6
    keys = Login.id, Limit.who, IdempotencyKey.id, SeenSignature.mark, ReceiverLink.id, Refusal.id
    assert [list(db.session.scalars(select(key))) for key in keys] == [["new"]] * 6


@pytest.mark.usefixtures("each_app")
def test_attempts_go_with_their_delivery_and_old_passes_go() -> None:
    hook = factories.webhook()
    for days in (31, 29):
        old = clock.now() - days * DAY
        factories.attempt(factories.delivery(hook, status="processed", finished_at=old))
        factories.past_pass(days * DAY)
    assert prune() == 2
    assert [row.delivery_id for row in factories.attempts()] == list(left())
    assert len(left()) == db.session.scalar(select(func.count()).select_from(Pass)) == 1


@pytest.mark.usefixtures("app")
def test_it_goes_on_by_batches_until_all_or_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_changes, "BATCH_SIZE", 2)
    hook = factories.webhook()
    for _ in range(5):
        factories.delivery(hook, status="processed", finished_at=clock.now() - 31 * DAY)
    assert whole_pass.prune(db.engine, factories.settings(), until=time.monotonic()) == 0
    assert len(left()) == 5
    assert prune() == 5


@pytest.mark.usefixtures("app")
def test_the_settings_say_how_long() -> None:
    hook = factories.webhook()
    factories.delivery(hook, status="processed", finished_at=clock.now() - HOUR)
    failed = factories.delivery(hook, status="failed", finished_at=clock.now() - HOUR)
    assert prune(keep_processed_days=0) == 1
    assert left() == {failed}
    assert prune(keep_failed_days=0) == 1


@pytest.mark.usefixtures("each_app")
def test_a_row_that_was_redelivered_after_the_look_stays() -> None:
    row_id = factories.delivery(factories.webhook(), status="failed", finished_at=clock.now() - 91 * DAY)

    looks: list[object] = []

    def redeliver(*_: object) -> None:
        looks.append("given back")
        if len(looks) == 2:  # after the look at the processed ones came that at the failed ones
            factories.written(lambda session: session.get_one(Delivery, row_id).requeue(clock.now()))

    event.listen(db.engine, "checkin", redeliver)
    prune()
    event.remove(db.engine, "checkin", redeliver)
    assert factories.one().status == "new"


@pytest.mark.usefixtures("app")
def test_when_nothing_is_old_no_write_lock_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.delivery(factories.webhook(), status="failed")
    monkeypatch.setattr(engines, "FOR_PASSES", replace(engines.FOR_PASSES, write=0.0))
    with database.write(db.engine):
        assert prune() == 0


# --- spam

LONG = "A text that is long enough to have marks of its own in the table of marks."


def stored(written: float, marked: float | None, status: str = "spam") -> str:
    """Store a comment so many days old, that became spam so many days ago."""
    now = clock.now()
    created, since = now - written * DAY, None if marked is None else now - marked * DAY
    with writing() as session:
        row = Comment(id=ids.first_of(created)[:20] + ids.new()[20:], name="Eve", message=LONG)
        row.status, row.created_at, row.spam_since = status, created, since
        session.add(row)
        session.flush()
        session.add(TextMark(comment_id=row.id, first="a", second="b"))
        return row.id


def comments_left(days: int = 30) -> set[str]:
    db.session.rollback()
    prune(keep_spam_days=days)
    return set(db.session.scalars(select(Comment.id)))


@pytest.mark.usefixtures("each_app")
def test_spam_goes_after_thirty_days_and_nothing_else_does() -> None:
    old = stored(31, 31)
    young, marked_late, held = stored(29, 29), stored(400, 1), stored(400, None, "held")
    trash, published = stored(400, None, "trash"), stored(400, None, "published")
    assert comments_left() == {young, marked_late, held, trash, published}
    assert db.session.get(TextMark, old) is None


@pytest.mark.usefixtures("each_app")
def test_the_owner_sets_for_how_long_spam_is_kept() -> None:
    ids_by_age = {days: stored(days, days) for days in (1, 6, 8, 40)}
    assert comments_left(7) == {ids_by_age[1], ids_by_age[6]}
    assert comments_left(0) == set()


@pytest.mark.usefixtures("each_app")
def test_spam_with_deliveries_stays_as_long_as_its_deliveries() -> None:
    factories.webhook(events="comment.created comment.deleted")
    comment_id = factories.sign(LONG)
    factories.change(comment_id, comment_actions.move, "spam")
    factories.written(
        lambda session: session.execute(update(Comment).values(spam_since=clock.now() - 50 * DAY))
    )
    assert comments_left(0) == {comment_id}
    factories.written(lambda session: session.connection().exec_driver_sql("DELETE FROM deliveries"))
    assert comments_left(0) == set()


@pytest.mark.usefixtures("each_app")
def test_a_comment_that_becomes_spam_again_starts_its_time_again() -> None:
    comment_id = factories.sign(LONG, verdict=factories.SPAM)
    with writing() as session:
        comment = session.get_one(Comment, comment_id)
        assert comment.spam_since == comment.created_at
        comment_actions.move(session, comment, "held", factories.settings())
        assert comment.spam_since is None
        comment_actions.move(session, comment, "spam", factories.settings())
        assert comment.spam_since is not None


# --- reminders and warnings


@pytest.mark.usefixtures("each_app")
def test_passes_at_once_remind_the_owner_once() -> None:
    factories.webhook(events="comments.waiting")
    for _ in range(2):
        factories.sign(verdict=factories.HELD)
    with database.write(db.engine) as connection:
        connection.execute(update(Hold).values(remind_at=clock.now() - HOUR))
    engine, settings = db.engine, factories.settings()
    assert factories.written(lambda session: events_and_reminders.is_reminder_due(session.connection()))
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(whole_pass.remind, engine, settings) for _ in range(8)]:
            done.result()
    assert not factories.written(lambda session: events_and_reminders.is_reminder_due(session.connection()))
    assert [row.event for row in factories.deliveries()] == ["comments.waiting"]


def test_each_webhook_and_each_fault_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally(host_limit="Few files.", disabled=["webhook Bea was disabled"])
    tally.given_up.update({("Bea", "2"): 1, ("Ada", "1"): 3})
    with caplog.at_level(logging.WARNING):
        whole_pass.log_warnings(tally)
    ada, bea, *others = caplog.messages
    assert ada.startswith("3 deliveries were given up for webhook Ada. See: ")
    assert ada.endswith("deliveries list --status failed --webhook 1")
    assert bea.startswith("1 delivery was given up for webhook Bea. See: ")
    assert others == ["Few files.", "webhook Bea was disabled."]


def test_a_pass_that_ended_early_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    sentence = "This host allows not a single request: it limits open files."
    whole_pass.log_warnings(Tally(local_error=sentence, host_limit="open files"))
    assert caplog.messages == [f"the pass ended early, and what is due waits. {sentence}"]
