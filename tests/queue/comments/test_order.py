"""The events about one comment reach a webhook in order, on each kind of database."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from guestbook.background import pass_with_nothing_due
from guestbook.lib import clock
from guestbook.outbound import delivery_tasks, pulled_deliveries
from guestbook.queries import cron_status
from guestbook.queue import claims, clock_repair, comment_order
from guestbook.queue.poller import Poller
from guestbook.storage import database, sqlite_file
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Comment, Delivery, Webhook
from tests.queue.comments.steps import ALL, change, claimed, move, reply, rows_of, stored
from tests.support import factories
from tests.support.receiver import Answer, Receiver

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
STATES: dict[str, Callable[[], dict[str, Any]]] = {
    "waits": dict,
    "is retried": lambda: {"attempts": 1, "claims": 1, "due_at": clock.now() + HOUR},
    "is leased": lambda: {"claims": 1, "claimed_by": "a pass", "due_at": clock.now() + HOUR},
}

COLUMNS = ("id", "sequence")


# --- numbers


def test_each_event_about_a_comment_has_the_next_number_in_each_webhook_and_payload(hook: str) -> None:
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
    factories.execute(DELIVERIES.delete())
    stored(hook, comment_id, 1, **STATES["is retried"]())
    free = [stored(hook, other_comment, 2), stored(hook, None, None), stored(hook, comment_id, None)]
    elsewhere = stored(other, comment_id, 2)
    stored(hook, comment_id, 2)
    assert claimed(hook) == free
    assert claimed(other) == [elsewhere]


def test_a_claim_takes_no_more_than_so_many_in_all_and_asks_no_further(hook: str) -> None:
    hooks = [hook, *(factories.webhook() for _ in range(3))]
    mine = [[stored(one, None, None) for _ in range(2)] for one in hooks[:3]]
    now = clock.now()
    terms: dict[str, Any] = {"most": 3, "now": now, "until": now + HOUR, "token": "a pass"}
    with database.write(db.engine) as connection:
        limits = dict.fromkeys(reversed(hooks), 2)
        taken = claims.take(connection, DELIVERIES, COLUMNS, limits, **terms)
    found = {one: [row.id for row in rows] for one, rows in taken.items()}
    assert found == {hooks[3]: [], hooks[2]: mine[2], hooks[1]: mine[1][:1]}


def test_those_that_wait_behind_others_keep_none_from_being_claimed(hook: str, comment_id: str) -> None:
    leased = stored(hook, comment_id, 1, **STATES["is leased"]())
    for number in range(2, 12):
        stored(hook, comment_id, number)
    alone = [stored(hook, None, None) for _ in range(4)]
    assert claimed(hook, limit=3) == alone[:3]
    now = clock.now()
    terms: dict[str, Any] = {"most": 99, "now": now, "until": now + HOUR, "token": "a pass"}
    with database.write(db.engine) as connection:
        for limit, mine in ((1, alone[:1]), (2, alone[1:3]), (9, alone[3:]), (9, [])):
            taken = claims.take(connection, DELIVERIES, COLUMNS, {hook: limit}, **terms)
            assert [row.id for row in taken[hook]] == mine
    change(leased, status="failed", due_at=None, claimed_by=None)
    assert len(claimed(hook)) == 1


def test_what_another_transaction_has_locked_is_on_its_way_too(hook: str, comment_id: str) -> None:
    if db.engine.dialect.name == "sqlite":
        return  # which has one writer
    stored(hook, comment_id, 1)
    stored(hook, comment_id, 2)
    with db.engine.connect() as connection, connection.begin():
        assert len(claims.claim(connection, DELIVERIES, COLUMNS, hook, now=clock.now(), limit=1)) == 1
        assert claimed(hook) == []


def test_one_that_was_requeued_while_the_claim_looked_is_not_overtaken(hook: str, comment_id: str) -> None:
    stored(hook, comment_id, 1)
    later = stored(hook, comment_id, 2)
    with database.write(db.engine) as connection:
        rows = connection.execute(DELIVERIES.select().where(DELIVERIES.c.id == later)).all()
        now = clock.now()
        assert claims.lease(connection, DELIVERIES, rows, now=now, until=now + HOUR, token="a pass") == set()


def test_what_waits_behind_another_is_not_due_for_anybody(hook: str, comment_id: str) -> None:
    until = clock.now() + HOUR
    stored(hook, comment_id, 1, attempts=1, claims=1, due_at=until)
    later = stored(hook, comment_id, 2, due_at=clock.now() - 2 * HOUR)
    now = clock.now()
    with Poller(db.engine) as poller:
        assert not poller.anything_due(now)
        assert poller.next_due() == until
    with db.engine.connect() as connection:
        assert delivery_tasks.open_with_due(connection, now) == []
    assert cron_status.read(db.session(), now).oldest_due_age is None
    assert not pulled_deliveries.anything_pending(db.session(), hook, now, None)
    assert comment_order.behind(db.session(), [row.id for row in factories.deliveries()]) == {later}


# --- retries


def test_what_follows_a_retry_gets_its_due_time_unless_its_own_is_later(hook: str, comment_id: str) -> None:
    now, other_comment = clock.now(), factories.sign()
    factories.execute(DELIVERIES.delete())
    first, retried = (stored(hook, comment_id, number, due_at=now) for number in (1, 2))
    next_one, much_later = (
        stored(hook, comment_id, 3, due_at=now),
        stored(hook, comment_id, 4, due_at=now + HOUR),
    )
    free = [stored(hook, comment_id, None), stored(hook, other_comment, 3), stored(hook, None, None)]
    before = {row.id: row.due_at for row in factories.deliveries()}
    with database.write(db.engine) as connection:
        comment_order.hold_back(connection, {(comment_id, hook): (2, now + MINUTE)})
    after = {row.id: row.due_at for row in factories.deliveries()}
    assert after == before | {next_one: now + MINUTE}
    assert {first, retried, much_later, *free} < set(after)


def test_a_new_event_waits_in_each_webhook_for_the_last_that_is_retried(hook: str, comment_id: str) -> None:
    now, other = clock.now(), factories.webhook()
    for webhook_id, minutes in ((hook, 1), (hook, 3), (other, 2)):
        stored(webhook_id, comment_id, minutes, due_at=now + minutes * MINUTE)
    stored(other, comment_id, 9, due_at=now + HOUR, claimed_by="a pass", claims=1)
    stored(factories.webhook(), comment_id, 1, status="processed")
    with database.read(db.engine) as connection:
        found = comment_order.next_due(connection, comment_id)
    assert found == {hook: now + 3 * MINUTE, other: now + 2 * MINUTE}


def test_those_that_wait_behind_others_are_named(hook: str, comment_id: str) -> None:
    first, second, third = (stored(hook, comment_id, number) for number in (1, 2, 3))
    final = stored(hook, comment_id, 4, status="processed")
    assert comment_order.behind(db.session(), [first, second, final]) == {second}
    assert comment_order.behind(db.session(), []) == set()
    assert comment_order.behind(db.session(), [first, second, third]) == {second, third}


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
    factories.execute(DELIVERIES.delete())
    stored(hook, comment_id, 1, attempts=1, claims=1, due_at=clock.now() + MINUTE)
    late = stored(hook, comment_id, 2, due_at=clock.now() - HOUR)
    moments = {"now": clock.to_text(clock.now()), "farthest": clock.to_text(clock.now() + 99 * HOUR)}
    moments |= {"soon": moments["now"], "latest_slot": moments["farthest"]}

    def work() -> list[bool]:
        file = factories.settings().data_dir / "guestbook.db"
        with sqlite_file.opened_plain(file, 1.0) as (connection, _):
            names = ("send", "repair due times after a clock jump")
            return [
                bool(connection.execute(pass_with_nothing_due.WORK[name], moments).fetchone())
                for name in names
            ]

    assert work() == [False, False]
    change(late, due_at=clock.now() + MINUTE)
    assert work() == [False, False]
    change(late, sequence=None)
    assert work() == [False, True]
