"""A unit of work runs again when it asked for work that must not run in a transaction."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import func, select

from guestbook.lib import unit_of_work
from guestbook.lib.unit_of_work import NotYet, StillChanging
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment


def stored() -> int:
    return db.session.scalar(select(func.count()).select_from(Comment)) or 0


def store(name: str) -> None:
    db.session().add(Comment(name=name, message="Hello", status="held"))


@pytest.mark.usefixtures("app")
def test_work_runs_between_two_transactions_and_the_second_has_its_result() -> None:
    story = []

    def do() -> str:
        with database.writing():
            story.append("begun")
            store("a")
            return unit_of_work.ask(
                "key", lambda: story.append(f"done, {stored()} stored") or "result", "nothing"
            )

    assert unit_of_work.complete(do) == "result"
    assert story == ["begun", "done, 0 stored", "begun"]
    assert stored() == 1


@pytest.mark.usefixtures("app")
def test_outside_a_transaction_it_is_done_at_once() -> None:
    assert unit_of_work.ask("key", lambda: "result", "nothing") == "result"
    assert unit_of_work.complete(lambda: unit_of_work.ask("key", lambda: "result", "nothing")) == "result"


def test_ids_and_times_are_the_same_each_time_and_new_in_the_next_unit() -> None:
    seen: list[tuple[object, ...]] = []

    def do() -> None:
        seen.append((unit_of_work.new_id(), unit_of_work.now(), unit_of_work.new_id()))
        with unit_of_work.transaction():
            unit_of_work.ask("key", lambda: "result", "nothing")

    unit_of_work.complete(do)
    unit_of_work.complete(do)
    assert len(seen) == 4
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert seen[0][0] != seen[0][2]


def test_what_goes_another_way_the_second_time_still_gets_ids_for_ids_and_times_for_times() -> None:
    seen: list[object] = []

    def do() -> None:
        with unit_of_work.transaction():
            seen.append(unit_of_work.new_id() if seen else unit_of_work.now())
            unit_of_work.ask("key", lambda: "result", "nothing")

    unit_of_work.complete(do)
    assert [type(one) for one in seen] == [datetime, str]


@pytest.mark.usefixtures("app")
def test_what_changes_each_time_is_given_up_after_some_rounds() -> None:
    rounds: list[int] = []

    def do() -> None:
        with database.writing():
            rounds.append(len(rounds))
            store("a")
            unit_of_work.ask(len(rounds), lambda: "result", "nothing")

    with pytest.raises(StillChanging):
        unit_of_work.complete(do)
    assert len(rounds) == unit_of_work.ROUNDS + 1
    assert stored() == 0


@pytest.mark.usefixtures("app")
def test_a_transaction_of_no_unit_is_undone_rather_than_committed_without_the_result() -> None:
    with pytest.raises(NotYet):
        ask_in_a_transaction()
    assert stored() == 0


@pytest.mark.usefixtures("app")
def test_a_transaction_that_fails_before_all_is_known_fails_for_good_when_it_is_and_stops_no_other() -> None:
    rounds: list[int] = []

    def do() -> None:
        rounds.append(len(rounds))
        with pytest.raises(ZeroDivisionError):
            ask_in_a_transaction(then=lambda: 1 // 0)
        with database.writing():
            store("a")

    unit_of_work.complete(do)
    assert (len(rounds), stored()) == (2, 1)


def ask_in_a_transaction(then: Callable[[], object] = str) -> None:
    with database.writing():
        store("a")
        unit_of_work.ask("key", lambda: "result", "nothing")
        then()
