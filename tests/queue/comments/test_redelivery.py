"""Redelivery takes along what follows about the same comment, on each kind of database."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queue import comment_order, redelivery
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery
from tests.queue.comments.steps import HOUR, change, claimed, move, reply, rows_of, stored
from tests.support import factories

SECONDS = timedelta(seconds=20)


def redeliver(*row_ids: str) -> list[int | None]:
    """Make rows due, and return the places of all that became due."""
    db.session.rollback()
    with database.writing() as session:
        return [row.sequence for row in redelivery.make_due(session, Delivery, row_ids, clock.now())]


@pytest.fixture
def heard(hook: str) -> dict[int, str]:
    """A comment of which a webhook has had three events; the second was given up."""
    reply(factories.sign(), "Thanks")
    for number, row in rows_of(hook).items():
        status = "failed" if number == 2 else "processed"
        change(row.id, status=status, due_at=None, finished_at=clock.now(), attempts=1, claims=1)
    return {number: row.id for number, row in rows_of(hook).items()}


def forecast(*row_ids: str) -> tuple[int, int, int, int]:
    db.session.rollback()
    [group] = redelivery.forecast(db.session(), Delivery, Delivery.id.in_(row_ids), clock.now())
    return group.count, group.leased, group.erased, group.later


@pytest.mark.parametrize(
    ("chosen", "due"), [([1], [1, 2, 3]), ([2], [2, 3]), ([3], [3]), ([1, 3], [1, 2, 3]), ([2, 3], [2, 3])]
)
def test_later_ones_follow_one_that_is_redelivered(hook: str, heard: Any, chosen: Any, due: Any) -> None:
    row_ids = [heard[number] for number in chosen]
    assert forecast(*row_ids) == (len(due), 0, 0, len(due) - len(chosen))
    assert redeliver(*row_ids) == due
    assert claimed(hook) == [heard[due[0]]]


def test_each_counts_once(hook: str, heard: dict[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = factories.delivery(hook, status="failed")
    for size in (1, 2, 500):
        monkeypatch.setattr(redelivery, "REQUEUE_BATCH", size)
        for chosen, count in (
            ([heard[1], heard[3]], 3),
            ([heard[2], heard[3], alone], 3),
            (list(heard.values()), 3),
        ):
            assert sum(forecast(*chosen)[:1]) == count
            assert redelivery.run(Delivery, Delivery.id.in_(chosen)) == count


def test_none_is_redelivered_while_a_pass_sends_one_that_follows_it(heard: dict[int, str]) -> None:
    redeliver(heard[2])
    change(heard[2], claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    assert forecast(heard[1]) == (0, 3, 0, 0)
    assert redeliver(heard[1]) == []
    assert redeliver(heard[3]) == [3]  # it waits behind the other


def test_nothing_is_redelivered_after_the_deletion(each_app: Flask, hook: str, heard: dict[int, str]) -> None:
    comment_id = factories.deliveries()[0].comment_id
    assert comment_id
    move(comment_id, "trash")
    end = rows_of(hook)[4].id
    assert forecast(*heard.values(), end) == (1, 0, 3, 0)
    for row_id in heard.values():
        assert redeliver(row_id) == []
        assert comment_order.is_over(db.session(), row_id)
        refused = each_app.test_cli_runner().invoke(args=["deliveries", "redeliver", row_id])
        assert refused.exit_code == 1
        assert "the comment was deleted" in refused.output
    assert redeliver(end) == [4]
    move(comment_id, "published")
    assert redeliver(heard[1], end) == [4, 5, *([6] if 6 in rows_of(hook) else [])]


def test_only_what_came_before_the_deletion_to_the_same_webhook_is_over(hook: str, comment_id: str) -> None:
    other, other_comment = factories.webhook(), factories.sign()
    final = {"status": "processed"}
    before = stored(hook, comment_id, 1, **final)
    end = stored(hook, comment_id, 2, event="comment.deleted", **final)
    after = stored(hook, comment_id, 3, **final)
    others = [stored(other, comment_id, 1, **final), stored(hook, other_comment, 1, **final)]
    over = [one for one in (before, end, after, *others) if comment_order.is_over(db.session(), one)]
    assert over == [before]
    factories.alter(Comment, comment_id, status="trash")
    over = [one for one in (before, end, after, *others) if comment_order.is_over(db.session(), one)]
    assert over == [before, after, others[0]]
    change(others[1], erased_at=clock.now())
    db.session.rollback()
    assert comment_order.is_over(db.session(), others[1])


def test_a_deletion_that_waits_for_a_request_is_not_sent_sooner(hook: str) -> None:
    comment_id = factories.sign()
    until = clock.now() + SECONDS
    change(rows_of(hook)[1].id, claimed_by="a pass", claims=1, due_at=until)
    move(comment_id, "trash")
    end = rows_of(hook)[3].id
    assert forecast(end) == (0, 1, 0, 0)
    assert redeliver(end) == []
    assert rows_of(hook)[3].due_at == until
    change(end, due_at=clock.now())
    assert redeliver(end) == [3]


def test_a_webhook_without_deletions_gets_nothing_until_it_is_back(hook: str, comment_id: str) -> None:
    other = factories.webhook()
    sent = stored(other, comment_id, 1, status="processed")
    for status in ("trash", "spam"):
        move(comment_id, status)
        assert redeliver(sent) == []
        assert comment_order.is_over(db.session(), sent)
        move(comment_id, "published")
    assert redeliver(sent) == [1]
    assert claimed(other) == [sent]
    assert hook
