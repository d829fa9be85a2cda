"""The events about one comment reach a webhook in order, on each kind of database."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from guestbook.background import idle_pass
from guestbook.comments import book
from guestbook.lib import clock, retry_policy
from guestbook.outbound import open_webhooks, pull, webhooks
from guestbook.queries import health
from guestbook.queue import clock_repair, comment_order, erasure, leases, requeue
from guestbook.queue.ordered_claims import OrderedClaims
from guestbook.queue.poller import Poller
from guestbook.storage import database, plain_connection
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Comment, Delivery, Webhook
from tests.support import factories
from tests.support.receiver import Answer, Receiver

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ALL = "comment.created comment.published comment.replied comment.deleted"
STATES: dict[str, Callable[[], dict[str, Any]]] = {
    "waits": dict,
    "is retried": lambda: {"attempts": 1, "claims": 1, "due_at": clock.now() + HOUR},
    "is leased": lambda: {"claims": 1, "claimed_by": "a pass", "due_at": clock.now() + HOUR},
}


@pytest.fixture
def hook(each_app: Flask) -> str:  # noqa: ARG001  it lives in the app's context
    return factories.webhook(events=ALL)


@pytest.fixture
def comment_id(hook: str) -> str:
    """A comment of which no webhook has heard."""
    comment_id = factories.sign()
    with database.write(db.engine) as connection:
        connection.execute(DELIVERIES.delete())
    assert hook
    return comment_id


def stored(hook: str, comment_id: str | None, sequence: int | None, **values: Any) -> str:
    return factories.delivery(hook, comment_id=comment_id, sequence=sequence, **values)


def claimed(hook: str, limit: int = 9) -> list[str]:
    """The ids that a pass would lease; nothing is left leased. A claim in order finds the same."""
    db.session.rollback()
    now, mine = clock.now(), DELIVERIES.c.webhook_id == hook
    with db.engine.connect() as connection, connection.begin() as transaction:
        taken = OrderedClaims(DELIVERIES, "webhook_id", ("id", "sequence")).take(
            connection, {hook: limit}, most=limit, now=now, until=now + HOUR, token="a look"
        )
        transaction.rollback()
        row_ids = [row.id for row in taken[hook]]
    with database.write(db.engine) as connection:
        found = leases.claim(connection, DELIVERIES, mine, now=now, limit=limit)
        assert [row.id for row in found][: len(row_ids)] == row_ids
    return row_ids


def change(row_id: str, **values: Any) -> None:
    with database.write(db.engine) as connection:
        connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == row_id).values(**values))


def lease(row_id: str, length: timedelta = HOUR) -> None:
    change(row_id, claimed_by="a pass", claims=1, due_at=clock.now() + length)


def move(comment_id: str, status: str) -> None:
    def once(session: Any) -> None:
        for comment in book.lock(session, [comment_id]):
            book.move(session, comment, status, factories.settings())

    factories.written(once)


def reply(comment_id: str, words: str) -> None:
    def once(session: Any) -> None:
        for comment in book.lock(session, [comment_id]):
            book.reply(session, comment, words, factories.settings())

    factories.written(once)


def delete(comment_id: str) -> None:
    def once(session: Any) -> None:
        for comment in book.lock(session, [comment_id]):
            book.delete(session, comment, factories.settings())

    factories.written(once)


def rows_of(hook: str) -> dict[int, Delivery]:
    return {row.sequence: row for row in factories.deliveries() if row.webhook_id == hook and row.sequence}


def redeliver(*row_ids: str) -> list[int | None]:
    """Make rows due, and return the places of all that became due."""
    db.session.rollback()
    with database.writing() as session:
        return [row.sequence for row in requeue.make_due(session, Delivery, row_ids, clock.now())]


# --- numbers


def test_each_event_about_a_comment_has_the_next_number_in_every_webhook_and_in_its_payload(
    hook: str,
) -> None:
    other = factories.webhook(events="comment.replied")
    first, second = factories.sign(), factories.sign()
    reply(first, "Thanks")
    move(first, "trash")
    move(first, "published")
    found = [
        (row.comment_id, row.event.removeprefix("comment."), row.sequence)
        for row in factories.deliveries()
        if row.webhook_id == hook
    ]
    names = ["created", "published"]
    assert found == [
        *((first, name, place) for place, name in enumerate(names, 1)),
        *((second, name, place) for place, name in enumerate(names, 1)),
        (first, "replied", 3),
        (first, "deleted", 4),
        (first, "created", 5),  # superseded by comment.deleted before
        (first, "published", 6),
        (first, "replied", 7),
    ]
    # It does not hear of the deletion, but its delivery was superseded too.
    assert [row.sequence for row in factories.deliveries() if row.webhook_id == other] == [3, 7]
    assert factories.the(Comment, first).last_sequence == 7
    for row in factories.deliveries():
        assert row.erased_at or json.loads(row.payload)["data"]["sequence"] == row.sequence


@pytest.mark.usefixtures("app")
def test_an_event_without_a_comment_has_no_number() -> None:
    hook = factories.webhook(events="ping")
    with database.writing() as session:
        webhooks.ping(session, session.get_one(Webhook, hook), factories.settings())
    assert factories.one().sequence is None
    assert "sequence" not in json.loads(factories.one().payload)["data"]


# --- claims


@pytest.mark.parametrize("state", STATES)
def test_none_is_claimed_while_an_earlier_one_is_on_its_way(hook: str, comment_id: str, state: str) -> None:
    first = stored(hook, comment_id, 1, **STATES[state]())
    later = [stored(hook, comment_id, number) for number in (2, 3)]
    assert claimed(hook) == ([first] if state == "waits" else [])
    for number, row_id in enumerate(later):
        change(first if not number else later[number - 1], status="failed", due_at=None, claimed_by=None)
        assert claimed(hook) == [row_id]


def test_only_the_same_comment_and_the_same_webhook_wait(hook: str, comment_id: str) -> None:
    other, other_comment = factories.webhook(), factories.sign()
    with database.write(db.engine) as connection:
        connection.execute(DELIVERIES.delete())
    stored(hook, comment_id, 1, **STATES["is retried"]())
    free = [stored(hook, other_comment, 2), stored(hook, None, None), stored(hook, comment_id, None)]
    elsewhere = stored(other, comment_id, 2)
    stored(hook, comment_id, 2)
    assert claimed(hook) == free
    assert claimed(other) == [elsewhere]


def test_a_claim_takes_no_more_than_so_many_in_all_and_asks_no_further(hook: str) -> None:
    hooks = [hook, *(factories.webhook() for _ in range(3))]
    mine = [[stored(one, None, None) for _ in range(2)] for one in hooks[:3]]
    claims, now = OrderedClaims(DELIVERIES, "webhook_id", ("id", "sequence")), clock.now()
    with database.write(db.engine) as connection:
        limits = dict.fromkeys(reversed(hooks), 2)
        taken = claims.take(connection, limits, most=3, now=now, until=now + HOUR, token="a pass")
    found = {one: [row.id for row in rows] for one, rows in taken.items()}
    assert found == {hooks[3]: [], hooks[2]: mine[2], hooks[1]: mine[1][:1]}


def test_those_that_wait_behind_others_keep_none_from_being_claimed(hook: str, comment_id: str) -> None:
    leased = stored(hook, comment_id, 1, **STATES["is leased"]())
    for number in range(2, 12):
        stored(hook, comment_id, number)
    alone = [stored(hook, None, None) for _ in range(4)]
    assert claimed(hook, limit=3) == alone[:3]
    claims, now = OrderedClaims(DELIVERIES, "webhook_id", ("id", "sequence")), clock.now()
    terms: dict[str, Any] = {"most": 99, "now": now, "until": now + HOUR, "token": "a pass"}
    with database.write(db.engine) as connection:
        for limit, mine in ((1, alone[:1]), (2, alone[1:3]), (9, alone[3:]), (9, [])):
            assert [row.id for row in claims.take(connection, {hook: limit}, **terms)[hook]] == mine
    change(leased, status="failed", due_at=None, claimed_by=None)
    assert len(claimed(hook)) == 1


def test_what_another_transaction_has_locked_is_on_its_way_too(hook: str, comment_id: str) -> None:
    if db.engine.dialect.name == "sqlite":
        return  # which has one writer
    stored(hook, comment_id, 1)
    stored(hook, comment_id, 2)
    mine = DELIVERIES.c.webhook_id == hook
    with db.engine.connect() as connection, connection.begin():
        assert len(leases.claim(connection, DELIVERIES, mine, now=clock.now(), limit=1)) == 1
        assert claimed(hook) == []


def test_one_that_a_person_requeued_while_the_claim_looked_is_not_overtaken(
    hook: str, comment_id: str
) -> None:
    stored(hook, comment_id, 1)
    later = stored(hook, comment_id, 2)
    with database.write(db.engine) as connection:
        rows = connection.execute(DELIVERIES.select().where(DELIVERIES.c.id == later)).all()
        now = clock.now()
        assert leases.lease(connection, DELIVERIES, rows, now=now, until=now + HOUR, token="a pass") == set()


def test_what_waits_behind_another_is_not_due_for_anybody(hook: str, comment_id: str) -> None:
    until = clock.now() + HOUR
    stored(hook, comment_id, 1, attempts=1, claims=1, due_at=until)
    later = stored(hook, comment_id, 2, due_at=clock.now() - 2 * HOUR)
    now = clock.now()
    with Poller(db.engine) as poller:
        assert not poller.anything_due(now)
        assert poller.next_due() == until
    with db.engine.connect() as connection:
        assert open_webhooks.with_due(connection, now) == []
    assert health.read(db.session(), now).oldest_due_age is None
    assert not pull.anything_pending(db.session(), hook, now, None)
    assert comment_order.behind(db.session(), [row.id for row in factories.deliveries()]) == {later}


# --- retries


def test_what_follows_waits_until_the_retry_and_a_pass_comes_to_its_end(hook: str) -> None:
    with Receiver() as receiver:
        receiver.answer("/hook", Answer(500))
        with database.writing() as session:
            session.get_one(Webhook, hook).url = receiver.url("/hook")
        comment_id = factories.sign()
        factories.run_pass()
        assert [request.json["type"] for request in receiver.requests] == ["comment.created"]
        reply(comment_id, "Thanks")
        rows = rows_of(hook)
        assert rows[1].due_at is not None
        assert rows[1].due_at > clock.now() + SECOND
        assert {row.due_at for row in rows.values()} == {rows[1].due_at}
        receiver.answer("/hook", Answer())
        factories.all_due()
        factories.run_pass()
        sent = [request.json["data"]["sequence"] for request in receiver.requests]
    assert sent == [1, 1, 2, 3]


def test_a_row_behind_a_retry_is_no_trace_of_a_clock_jump(hook: str, comment_id: str) -> None:
    far = clock.now() + 20 * HOUR
    stored(hook, comment_id, 1, attempts=5, claims=5, due_at=far)
    stored(hook, comment_id, 2, due_at=far)
    schedule = factories.settings().retry_schedule
    clock_repair.repair(db.engine, factories.settings().timeout, schedule)
    assert {row.due_at for row in factories.deliveries()} == {far}
    alone = stored(hook, comment_id, None, due_at=far)
    clock_repair.repair(db.engine, factories.settings().timeout, schedule)
    assert factories.the(Delivery, alone).due_at < far


@pytest.mark.usefixtures("app")
def test_a_row_behind_a_retry_leaves_a_pass_idle() -> None:
    hook = factories.webhook(events=ALL)
    comment_id = factories.sign()
    with database.write(db.engine) as connection:
        connection.execute(DELIVERIES.delete())
    stored(hook, comment_id, 1, attempts=1, claims=1, due_at=clock.now() + MINUTE)
    late = stored(hook, comment_id, 2, due_at=clock.now() - HOUR)
    moments = {"now": clock.to_text(clock.now()), "farthest": clock.to_text(clock.now() + 99 * HOUR)}
    moments |= {"soon": moments["now"], "latest_slot": moments["farthest"]}

    def work() -> list[bool]:
        file = factories.settings().data_dir / "guestbook.db"
        with plain_connection.opened(file, 1.0) as (connection, _):
            names = ("send", "repair due times after a clock jump")
            return [
                connection.execute(idle_pass.WORK[name], moments).fetchone() is not None for name in names
            ]

    assert work() == [False, False]
    change(late, due_at=clock.now() + MINUTE)
    assert work() == [False, False]
    change(late, sequence=None)
    assert work() == [False, True]


# --- comment.deleted


def test_the_deletion_takes_the_place_of_what_has_not_gone_out(hook: str) -> None:
    other = factories.webhook()  # which does not want to hear of it
    comment_id = factories.sign()
    move(comment_id, "trash")
    rows = rows_of(hook)
    assert [rows[number].status for number in (1, 2, 3)] == ["failed", "failed", "new"]
    for number in (1, 2):
        assert (rows[number].payload, rows[number].last_error) == ("", erasure.SUPERSEDED)
        assert rows[number].erased_at
    assert claimed(hook) == [rows[3].id]
    [unsent] = rows_of(other).values()
    assert (unsent.status, unsent.payload, unsent.last_error) == ("failed", "", erasure.SUPERSEDED)
    move(comment_id, "published")
    assert [row.event for row in rows_of(other).values()] == ["comment.created"] * 2


def test_what_was_given_up_before_is_emptied_and_what_was_delivered_stays(hook: str) -> None:
    comment_id = factories.sign()
    rows = rows_of(hook)
    change(rows[1].id, status="processed", due_at=None, finished_at=clock.now())
    change(rows[2].id, status="failed", due_at=None, finished_at=clock.now(), attempts=9, claims=9)
    move(comment_id, "trash")
    rows = rows_of(hook)
    assert rows[1].payload
    assert not rows[1].erased_at
    assert not rows[2].payload
    assert [row.status for row in rows.values()] == ["processed", "failed", "new"]


@pytest.mark.parametrize(
    "ends", [["trash"], ["trash", "published", "trash"], ["trash", "for good"], ["for good"]]
)
def test_the_deletion_waits_until_no_request_about_the_comment_can_be_under_way(
    hook: str, ends: list[str]
) -> None:
    comment_id = factories.sign()
    until = clock.now() + retry_policy.lease(factories.settings().timeout) / 2
    change(rows_of(hook)[1].id, claimed_by="a pass", claims=1, due_at=until)
    for end in ends:
        delete(comment_id) if end == "for good" else move(comment_id, end)
    waiting = [row for row in factories.deliveries() if row.status == "new"]
    assert [(row.event, row.due_at) for row in waiting] == [("comment.deleted", until)]
    assert owned_by("a pass") == []


def owned_by(token: str) -> list[str]:
    return [row.id for row in factories.deliveries() if row.claimed_by == token]


def test_a_comment_that_comes_back_is_announced_to_those_who_have_not_heard_of_it(hook: str) -> None:
    comment_id = factories.sign()
    late = factories.webhook(events="comment.created comment.deleted")
    change(rows_of(hook)[1].id, status="processed", due_at=None, finished_at=clock.now())
    move(comment_id, "trash")
    move(comment_id, "published")
    assert [row.event for row in rows_of(hook).values()][3:] == ["comment.published"]
    assert [row.event for row in rows_of(late).values()] == ["comment.deleted"]
    assert claimed(hook) == [rows_of(hook)[3].id]


# --- redelivery


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
    [group] = requeue.forecast(db.session(), Delivery, Delivery.id.in_(row_ids), clock.now())
    return group.count, group.leased, group.erased, group.later


@pytest.mark.parametrize(
    ("chosen", "due"), [([1], [1, 2, 3]), ([2], [2, 3]), ([3], [3]), ([1, 3], [1, 2, 3]), ([2, 3], [2, 3])]
)
def test_later_ones_follow_one_that_is_redelivered(
    hook: str, heard: dict[int, str], chosen: list[int], due: list[int]
) -> None:
    row_ids = [heard[number] for number in chosen]
    assert forecast(*row_ids) == (len(due), 0, 0, len(due) - len(chosen))
    assert redeliver(*row_ids) == due
    assert claimed(hook) == [heard[due[0]]]


def test_it_counts_each_once_over_several_batches(
    hook: str, heard: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = factories.delivery(hook, status="failed")
    for size in (1, 2, 500):
        monkeypatch.setattr(requeue, "REQUEUE_BATCH", size)
        for chosen, count in (
            ([heard[1], heard[3]], 3),
            ([heard[2], heard[3], alone], 3),
            (list(heard.values()), 3),
        ):
            assert sum(forecast(*chosen)[:1]) == count
            assert requeue.run(Delivery, Delivery.id.in_(chosen)) == count


def test_none_is_redelivered_while_a_pass_sends_one_that_follows_it(heard: dict[int, str]) -> None:
    redeliver(heard[2])
    lease(heard[2])
    assert forecast(heard[1]) == (0, 3, 0, 0)
    assert redeliver(heard[1]) == []
    assert redeliver(heard[3]) == [3]  # it waits behind the other


def test_after_the_deletion_nothing_earlier_is_redelivered(
    each_app: Flask, hook: str, heard: dict[int, str]
) -> None:
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


def test_a_webhook_that_does_not_hear_of_the_deletion_gets_nothing_again_until_the_comment_is_back(
    hook: str, comment_id: str
) -> None:
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
