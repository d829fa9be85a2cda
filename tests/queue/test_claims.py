"""The queue in a table: claims, leases and tokens, on each kind of database."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import make_url, select
from sqlalchemy.exc import DBAPIError

from guestbook.lib import clock
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, INBOUND, Delivery, Webhook
from tests.support import factories

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def hook(each_app: Flask) -> str:  # noqa: ARG001
    return factories.webhook()


def take(token: str, *, limit: int = 10, hook: str = "", ahead: timedelta = timedelta(0)) -> list[str]:
    """Claim and lease for a minute, as a tick of a pass does."""
    now = clock.now() + ahead
    with database.write(db.engine) as connection:
        hook = hook or connection.scalars(select(Webhook.id)).one()
        rows = claims.claim(connection, DELIVERIES, ("id", "sequence"), hook, now=now, limit=limit)
        row_ids = [row.id for row in rows]
        leased = claims.lease(connection, DELIVERIES, rows, now=now, until=now + MINUTE, token=token)
        assert leased == set(row_ids)
    return row_ids


def owned(tokens: dict[str, str]) -> set[str]:
    with database.write(db.engine) as connection:
        return {row_id for row_id, _ in claims.owned(connection, DELIVERIES, tokens.items())}


def finish(row_ids: Sequence[str], status: str = "processed") -> None:
    with database.write(db.engine) as connection:
        values = {"finished_at": clock.now(), "last_status_code": 200, "last_error": None}
        claims.finish(connection, DELIVERIES, row_ids, status, **values)


def test_what_is_due_is_claimed_in_the_order_of_its_time(hook: str) -> None:
    now = clock.now()
    late, early = factories.delivery(hook, due_at=now), factories.delivery(hook, due_at=now - MINUTE)
    factories.delivery(hook, due_at=now + MINUTE)
    factories.delivery(hook, status="processed")
    factories.delivery(hook, status="failed")
    assert take("me") == [early, late]


def test_a_claim_takes_no_more_than_its_limit_and_only_of_its_webhook(hook: str) -> None:
    other = factories.webhook()
    mine = [factories.delivery(hook) for _ in range(3)]
    factories.delivery(other)
    assert take("me", limit=2, hook=hook) == mine[:2]
    assert take("me", limit=9, hook=hook) == mine[2:]


def test_a_lease_moves_the_due_time_and_counts_the_claim(hook: str) -> None:
    factories.delivery(hook)
    before = clock.now()
    take("me")
    row = factories.one()
    assert before + MINUTE <= row.due_at <= clock.now() + MINUTE
    assert (row.status, row.claimed_by, row.claims, row.attempts) == ("new", "me", 1, 0)


def test_nobody_else_gets_what_is_leased_until_the_lease_is_over(hook: str) -> None:
    row_id = factories.delivery(hook)
    assert take("me") == [row_id]
    assert take("you") == []
    assert take("you", ahead=MINUTE + SECOND) == [row_id]
    assert factories.one().claims == 2


def test_only_the_holder_of_the_lease_owns_a_row(hook: str) -> None:
    mine, final, theirs = (factories.delivery(hook) for _ in range(3))
    take("me", limit=2)
    take("you")
    finish([final])
    assert owned({mine: "me", final: "me", theirs: "me", "no such row": "me"}) == {mine}


def test_a_late_holder_owns_nothing_once_another_has_claimed(hook: str) -> None:
    row_id = factories.delivery(hook)
    take("me")
    take("you", ahead=2 * MINUTE)
    assert owned({row_id: "me"}) == set()
    assert owned({row_id: "you"}) == {row_id}


@pytest.mark.parametrize("status", ["processed", "failed"])
def test_a_final_row_has_no_due_time_and_no_lease(hook: str, status: str) -> None:
    row_id = factories.delivery(hook)
    take("me")
    finish([row_id], status)
    row = factories.one()
    assert (row.status, row.due_at, row.claimed_by, row.attempts) == (status, None, None, 1)
    assert row.finished_at is not None


def test_a_final_row_is_neither_finished_again_nor_rescheduled(hook: str) -> None:
    row_id = factories.delivery(hook)
    take("me")
    finish([row_id])
    before = factories.everything()
    finish([row_id], "failed")
    retry = {"row_id": row_id, "due_at": clock.now(), "last_status_code": 500, "last_error": "late"}
    with database.write(db.engine) as connection:
        claims.reschedule(connection, DELIVERIES, [retry])
    assert factories.everything() == before


def test_the_failing_ones_among_some_webhooks_are_found(hook: str) -> None:
    failing, _ = (factories.webhook(failures_in_a_row=count) for count in (1, 2))
    with database.read(db.engine) as connection:
        found = claims.run_sql(connection, claims.FAILING, {}, ids=[hook, failing])
        assert list(found.scalars()) == [failing]


def test_a_retry_gives_each_row_its_own_time_and_error(hook: str) -> None:
    one, two = factories.delivery(hook), factories.delivery(hook)
    take("me")
    due = {one: clock.now() + MINUTE, two: clock.now() + 2 * MINUTE}
    with database.write(db.engine) as connection:
        rows = [
            {"row_id": key, "due_at": due[key], "last_status_code": code, "last_error": f"error {code}"}
            for key, code in ((one, 500), (two, None))
        ]
        claims.reschedule(connection, DELIVERIES, rows)
    found = {row.id: (row.due_at, row.last_status_code, row.last_error) for row in factories.deliveries()}
    assert found == {one: (due[one], 500, "error 500"), two: (due[two], None, "error None")}
    for row in factories.deliveries():
        assert (row.status, row.claimed_by, row.attempts) == ("new", None, 1)


def test_a_release_gives_back_the_due_time_that_the_row_had_and_counts_no_attempt(hook: str) -> None:
    was = clock.now() - SECOND
    row_id, other = (factories.delivery(hook, due_at=was) for _ in range(2))
    take("me")
    with database.write(db.engine) as connection:
        claims.release(connection, DELIVERIES, [{"row_id": row_id, "token": "me", "due_at": was}])
    row = factories.the(Delivery, row_id)
    assert factories.the(Delivery, other).claimed_by == "me"
    assert (row.due_at, row.claimed_by, row.attempts, row.claims) == (was, None, 0, 1)


def test_a_release_under_another_token_changes_nothing(hook: str) -> None:
    row_id = factories.delivery(hook)
    take("you")
    with database.write(db.engine) as connection:
        claims.release(connection, DELIVERIES, [{"row_id": row_id, "token": "me", "due_at": clock.now()}])
    assert factories.one().claimed_by == "you"


def test_waiting_rows_are_made_due_leased_or_not_and_no_others(hook: str) -> None:
    now = clock.now()
    free, leased = factories.delivery(hook, due_at=now + 2 * MINUTE), factories.delivery(hook)
    take("me")
    near = factories.delivery(hook, due_at=now + SECOND)
    final = factories.delivery(hook, status="failed")
    with database.write(db.engine) as connection:
        assert claims.make_due(connection, DELIVERIES, DELIVERIES.c.due_at > now + SECOND, now) == 2
    due = {row.id: (row.due_at, row.claimed_by) for row in factories.deliveries()}
    assert due == {free: (now, None), leased: (now, None), near: (now + SECOND, None), final: (None, None)}


def test_rows_are_postponed_while_they_wait_and_nobody_has_them_in_hand(hook: str) -> None:
    now = clock.now()
    leased = factories.delivery(hook, due_at=now - MINUTE)
    take("me")
    free, other, final = (
        factories.delivery(hook, due_at=now),
        factories.delivery(hook, due_at=now),
        factories.delivery(hook, status="failed"),
    )
    before = {row.id: row.due_at for row in factories.deliveries()}
    with database.write(db.engine) as connection:
        rows = [{"row_id": row_id, "due_at": now + MINUTE} for row_id in (leased, free, final)]
        claims.postpone(connection, DELIVERIES, rows)
    assert {row.id: row.due_at for row in factories.deliveries()} == before | {free: now + MINUTE}
    assert before[other] == now


def test_a_worker_takes_over_what_was_handed_to_it_and_the_old_token_is_void(hook: str) -> None:
    handed, left, elsewhere = (factories.delivery(hook) for _ in range(3))
    take("the relay", limit=2)
    take("a pass")
    final = factories.delivery(hook, status="processed")
    until = clock.now() + 5 * MINUTE
    with database.write(db.engine) as connection:
        named = {(one, "the relay") for one in (handed, elsewhere, final, "no such row")}
        rows = claims.handed_over(connection, DELIVERIES, named, ["payload", "id"])
        assert [(row.id, row.claimed_by, row.payload) for row in rows] == [(handed, "the relay", "{}")]
        assert claims.handed_over(connection, DELIVERIES, [], ["payload"]) == []
        claims.take_over(connection, DELIVERIES, [handed, final], until=until, token="a worker")
    found = {row.id: (row.claimed_by, row.claims) for row in factories.deliveries()}
    expected = {handed: ("a worker", 2), left: ("the relay", 1), elsewhere: ("a pass", 1), final: (None, 0)}
    assert found == expected
    assert factories.the(Delivery, handed).due_at == until
    assert owned({handed: "the relay"}) == set()


def test_the_rows_in_flight_are_those_that_are_leased_and_those_that_are_due_soon(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    lease = {"claimed_by": "a worker", "claims": 1}
    rows: list[dict[str, Any]] = [
        {"due_at": now + 5 * MINUTE, **lease},
        {"due_at": now + SECOND, **lease},
        {"due_at": now, **lease},  # the lease has run out
        {"due_at": now - SECOND},
        {"due_at": now + MINUTE},
        {"due_at": now + MINUTE + SECOND},
        {"status": "processed"},
    ]
    row_ids = [factories.delivery(hook, **row) for row in rows]
    factories.delivery(hook, due_at=now)
    for size in (1, 2, 500):
        monkeypatch.setattr(claims, "IDS_PER_QUERY", size)
        with database.read(db.engine) as connection:
            leased, due = claims.in_flight(connection, DELIVERIES, row_ids, now=now, soon=now + MINUTE)
        assert (leased, due) == (set(row_ids[:2]), set(row_ids[2:5]))


def test_a_lease_takes_only_the_claimed_rows_that_are_still_due(hook: str) -> None:
    now = clock.now()
    _, one, two = (factories.delivery(hook, due_at=now - age * SECOND) for age in (3, 2, 1))
    take("me", limit=1)
    with database.write(db.engine) as connection:
        rows = claims.claim(connection, DELIVERIES, ("id", "sequence"), hook, now=now, limit=9)
        connection.execute(DELIVERIES.update().where(DELIVERIES.c.id == two).values(due_at=now + MINUTE))
        leased = claims.lease(connection, DELIVERIES, rows, now=now, until=now + MINUTE, token="me")
    assert leased == {one}
    assert factories.the(Delivery, two).claimed_by is None


@pytest.mark.usefixtures("hook")
def test_inbound_events_are_claimed_and_leased_alike_and_may_be_locked_by_id() -> None:
    source = factories.source()
    row_ids, now = [factories.inbound(source) for _ in range(3)], clock.now()
    with database.write(db.engine) as connection:
        terms: dict[str, Any] = {"most": 2, "now": now, "until": now + MINUTE, "token": "me"}
        taken = claims.take(connection, INBOUND, ("id", "1 AS sequence"), {source: 9}, **terms)
        assert [row.id for row in taken[source]] == row_ids[:2]
        locked = claims.locked(connection, INBOUND, row_ids[1:])
        assert [(row.id, row.claimed_by) for row in locked] == [(row_ids[1], "me"), (row_ids[2], None)]
        assert list(claims.locked(connection, INBOUND, [])) == []


def test_a_lease_that_the_relay_takes_counts_no_claim(hook: str) -> None:
    factories.delivery(hook)
    now = clock.now()
    with database.write(db.engine) as connection:
        lease: dict[str, Any] = {"now": now, "until": now + MINUTE, "token": "the relay", "counted": False}
        claims.take(connection, DELIVERIES, ("id", "sequence"), {hook: 1}, most=1, **lease)
    row = factories.one()
    assert (row.claimed_by, row.claims) == ("the relay", 0)


@pytest.mark.parametrize("name", ["mysql+pymysql", "mariadb+pymysql", "postgresql+psycopg", "sqlite"])
def test_statements_by_id_name_the_index_to_mysql_and_mariadb_alone(name: str) -> None:
    dialect = make_url(f"{name}://").get_dialect()()
    query = claims.use_index(select(DELIVERIES), DELIVERIES, claims.BY_ID)
    for statement in (query, claims.by_id(DELIVERIES, ["x"])):
        text = str(statement.compile(dialect=dialect))
        assert ("deliveries FORCE INDEX (PRIMARY)" in text) == (dialect.name in ("mysql", "mariadb")), text


def test_the_table_itself_refuses_a_state_that_cannot_be(hook: str) -> None:
    row_id = factories.delivery(hook)
    wrong: list[dict[str, Any]] = [
        {"status": "sending"},
        {"status": "processed"},  # with a due time
        {"due_at": None},
        {"status": "failed", "due_at": None, "claimed_by": "me"},
        {"attempts": 1},  # more than claims
    ]
    for values in wrong:
        with pytest.raises(DBAPIError) as raised, database.write(db.engine) as connection:
            connection.execute(DELIVERIES.update().where(DELIVERIES.c.id == row_id).values(**values))
        assert "deliveries_" in str(raised.value) or "CONSTRAINT" in str(raised.value).upper()
    assert factories.the(Delivery, row_id).status == "new"
