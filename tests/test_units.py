"""A unit of work is done again when it asked for what must not be done in a transaction."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import func, select

from guestbook import database, units
from guestbook.database import db
from guestbook.models import Comment
from guestbook.units import NotYet, Unsettled


def stored() -> int:
    return db.session.scalar(select(func.count()).select_from(Comment)) or 0


def store(name: str) -> None:
    db.session().add(Comment(name=name, message="Hello", status="held"))


@pytest.mark.usefixtures("app")
def test_what_is_asked_for_is_done_between_two_transactions_and_its_result_is_there_in_the_second() -> None:
    story = []

    def do() -> str:
        with database.writing():
            story.append("begun")
            store("a")
            return units.ask("key", lambda: story.append(f"done, {stored()} stored") or "result", "nothing")

    assert units.complete(do) == "result"
    assert story == ["begun", "done, 0 stored", "begun"]
    assert stored() == 1


@pytest.mark.usefixtures("app")
def test_outside_a_transaction_it_is_done_at_once() -> None:
    assert units.ask("key", lambda: "result", "nothing") == "result"
    assert units.complete(lambda: units.ask("key", lambda: "result", "nothing")) == "result"


def test_ids_and_times_are_the_same_each_time_and_new_in_the_next_unit() -> None:
    seen: list[tuple[object, ...]] = []

    def do() -> None:
        seen.append((units.new_id(), units.now(), units.new_id()))
        with units.transaction():
            units.ask("key", lambda: "result", "nothing")

    units.complete(do)
    units.complete(do)
    assert len(seen) == 4
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert seen[0][0] != seen[0][2]


def test_what_goes_another_way_the_second_time_still_gets_ids_for_ids_and_times_for_times() -> None:
    seen: list[object] = []

    def do() -> None:
        with units.transaction():
            seen.append(units.new_id() if seen else units.now())
            units.ask("key", lambda: "result", "nothing")

    units.complete(do)
    assert [type(one) for one in seen] == [datetime, str]


@pytest.mark.usefixtures("app")
def test_what_changes_each_time_is_given_up_after_some_rounds() -> None:
    rounds: list[int] = []

    def do() -> None:
        with database.writing():
            rounds.append(len(rounds))
            store("a")
            units.ask(len(rounds), lambda: "result", "nothing")

    with pytest.raises(Unsettled):
        units.complete(do)
    assert len(rounds) == units.ROUNDS + 1
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

    units.complete(do)
    assert (len(rounds), stored()) == (2, 1)


def ask_in_a_transaction(then: Callable[[], object] = str) -> None:
    with database.writing():
        store("a")
        units.ask("key", lambda: "result", "nothing")
        then()
