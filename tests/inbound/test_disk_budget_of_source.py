"""Strangers cannot fill the disk with what they send to a source, nor keep its genuine sender out."""

import time
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, current_app
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from guestbook.background import retention_rules, whole_pass
from guestbook.inbound import ingest
from guestbook.lib import clock
from guestbook.queries import webhook_status
from guestbook.storage import disk_budget_of_source
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Source
from tests.support import factories, inbound_factories, query_plans
from tests.support.at_once import at_once

KB300 = 300_000  # of which three fit into a megabyte
DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("any_app")


def source(**columns: Any) -> str:
    """Add a source of GitHub's kind whose budget is one megabyte."""
    given = {"verify": "github", "secret": inbound_factories.SECRET, "action": "log", "budget_mb": 1}
    return inbound_factories.source(**{"template": None, **given, **columns})


def junk(size: int = KB300) -> TestResponse:
    """Post as a stranger."""
    return current_app.test_client().post("/hooks/tok", data=b"x" * size)


def genuine(delivery: str, size: int = KB300) -> TestResponse:
    """Post as GitHub."""
    return inbound_factories.github({"text": "y" * size}, delivery)


def work() -> None:
    """Run a pass."""
    db.session.rollback()
    whole_pass.run(db.engine, factories.settings(), whole_pass.Options(max_seconds=20))


def used(source_id: str) -> int:
    with db.engine.connect() as connection:
        return connection.scalar(select(Source.unproven_bytes).where(Source.id == source_id)) or 0


def added_up() -> int:
    with db.engine.connect() as connection:
        return int(connection.scalar(select(func.sum(INBOUND.c.unproven_bytes))) or 0)


def statuses() -> list[str]:
    return [row.status for row in inbound_factories.rows()]


@pytest.mark.usefixtures("each_app")
def test_strangers_fill_the_budget_and_no_more() -> None:
    source_id = source()
    assert [junk().status_code for _ in range(3)] == [202] * 3
    answer = junk()
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "fill the 1 MB" in answer.get_json()["error"]["message"]
    assert len(inbound_factories.rows()) == 3
    assert used(source_id) == added_up() <= disk_budget_of_source.MEGABYTE
    state = webhook_status.of_source(db.session(), db.session.get_one(Source, source_id)).sentence
    assert "Until a pass makes room" not in state  # a short one would still find room
    assert junk(95_000).status_code == 202


@pytest.mark.usefixtures("each_app")
def test_the_genuine_sender_finds_room_when_strangers_have_filled_it() -> None:
    source_id = source()
    for _ in range(3):
        junk()
    assert [genuine(f"d{number}").status_code for number in range(3)] == [202] * 3
    assert genuine("d3").status_code == 429  # the reserve is as large as the budget
    assert junk().status_code == 429
    assert used(source_id) == added_up() <= 2 * disk_budget_of_source.MEGABYTE
    work()
    assert statuses() == ["failed"] * 3 + ["processed"] * 3
    assert used(source_id) == added_up() < disk_budget_of_source.MEGABYTE
    assert [row.unproven_bytes for row in inbound_factories.rows()][3:] == [0] * 3


@pytest.mark.usefixtures("each_app")
def test_what_was_refused_makes_room_and_the_oldest_goes_first() -> None:
    source_id = source()
    for _ in range(3):
        junk()
    work()
    before = [row.id for row in inbound_factories.rows()]
    assert junk().status_code == 202
    assert [row.id for row in inbound_factories.rows()][:2] == before[1:]
    assert statuses() == ["failed", "failed", "new"]
    assert used(source_id) == added_up() <= disk_budget_of_source.MEGABYTE


def test_proven_events_do_not_count_and_never_make_room() -> None:
    source_id = source()
    for number in range(6):
        assert genuine(f"d{number}").status_code == 202
        work()
    assert used(source_id) == 0
    for _ in range(8):
        junk()
        work()
    assert statuses().count("processed") == 6
    assert statuses().count("failed") <= 3


def test_where_nothing_is_verified_the_oldest_that_are_done_make_room() -> None:
    source_id = source(verify="none", secret=None)
    for _ in range(3):
        junk()
    assert junk().status_code == 429  # what waits is not dropped
    work()
    assert statuses() == ["processed"] * 3
    assert junk().status_code == 202
    assert statuses() == ["processed"] * 2 + ["new"]
    assert used(source_id) == added_up()


def test_repeats_and_what_is_our_fault_stay_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    source()
    genuine("d1")
    genuine("d1")
    work()
    assert [row.unproven_bytes > 0 for row in inbound_factories.rows()] == [False, True]

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("guestbook.inbound.verify_and_decide.decide", broken)
    genuine("d2")
    work()
    assert [row.unproven_bytes > 0 for row in inbound_factories.rows()] == [False, True, True]


def test_many_at_once_do_not_go_beyond_it(each_app: Flask) -> None:
    source_id = source()

    def send(_: int) -> list[int]:
        answers = []
        for _ in range(4):
            while (status := junk(95_000).status_code) == 503:
                pass  # on SQLite few may wait for the lock; the others are asked to come again
            answers.append(status)
        return answers

    answers = [status for some in at_once(each_app, 6, send) for status in some]
    assert sorted(answers) == [202] * 10 + [429] * 14
    assert used(source_id) == added_up() <= disk_budget_of_source.MEGABYTE


def test_ten_thousand_that_wait_do_not_keep_the_genuine_sender_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MOST_WAITING", 3)
    source(budget_mb=50)
    assert [junk(10).status_code for _ in range(4)] == [202, 202, 202, 429]
    assert genuine("d1", 10).status_code == 202
    work()
    assert statuses()[-1] == "processed"


def test_the_page_says_what_they_take_and_when_it_is_full() -> None:
    source_id = source()
    while junk(20_000).status_code == 202:
        pass
    while junk(1).status_code == 202:
        pass
    state = webhook_status.of_source(db.session(), db.session.get_one(Source, source_id)).sentence
    assert "Unverified events fill its 1 MB. Until a pass makes room, only what it has signed is a" in state
    assert disk_budget_of_source.taken(db.session.get_one(Source, source_id)) == "1.0 of 1 MB"
    work()
    db.session.rollback()
    now = webhook_status.of_source(db.session(), db.session.get_one(Source, source_id))
    assert "fill its" not in now.sentence


@pytest.mark.usefixtures("each_app")
def test_refused_events_go_after_a_week_and_proven_ones_stay() -> None:
    signed, open_ = source(), inbound_factories.source("open", action="log", template=None)
    now = clock.now()
    week = retention_rules.KEEP_UNPROVEN
    for source_id, status, unproven, age in (
        (signed, "failed", 900, week + DAY),
        (signed, "processed", 900, week + DAY),  # a repeat
        (signed, "failed", 900, week - DAY),
        (signed, "failed", 0, week + DAY),  # a genuine one that could not be read, or one of an older book
        (signed, "processed", 0, week + DAY),
        (open_, "processed", 900, week + DAY),
    ):
        times = {"received_at": now - age, "processed_at": now - age}
        factories.inbound(source_id, status=status, unproven_bytes=unproven, **times)
    assert whole_pass.prune(db.engine, factories.settings(), until=time.monotonic() + 60) == 2
    assert sorted(row.unproven_bytes for row in inbound_factories.rows()) == [0, 0, 900, 900]


def test_the_sum_and_the_oldest_are_found_by_an_index() -> None:
    source_id = source()
    if db.engine.dialect.name != "sqlite":
        pytest.skip("needs SQLite")
    for query in (
        disk_budget_of_source._sum(source_id),
        select(INBOUND.c.id).where(*disk_budget_of_source._droppable(source_id)),
    ):
        sql = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
        plan = query_plans.explain(sql, {})
        assert "COVERING INDEX inbound_events_by_proof" in plan


@pytest.mark.usefixtures("each_app")
def test_a_wrong_sum_is_set_right() -> None:
    source_id = source()
    junk()
    right = used(source_id)
    factories.execute(update(Source).values(unproven_bytes=7))
    disk_budget_of_source.recount(db.engine)
    assert used(source_id) == right == added_up()
