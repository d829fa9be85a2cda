"""Numbers of comments: each its place in the order of signing, given once, exact whoever signs at once."""

import time
from itertools import combinations
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.exchange import comment_import, file_formats
from guestbook.comments.exchange.comment_import import ImportRules
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import BookState, Comment, Setting
from tests.support import factories
from tests.support.at_once import at_once

SERVERS, EACH = 4, 6  # that sign at once, and comments of each
LINE = '{{"id": "{:032x}", "name": "Ada", "message": "Hello", "created_at": "2020-01-31", "number": {}}}\n'
pytestmark = pytest.mark.usefixtures("any_app")


def numbers() -> list[int | None]:
    """The numbers of all comments in the order of the book, the oldest first."""
    db.session.rollback()
    return list(db.session.scalars(select(Comment.number).order_by(Comment.id)))


def imported(tmp_path: Path, *given: object) -> None:
    path = tmp_path / "book.jsonl"
    path.write_text("".join(LINE.format(place + 1, one) for place, one in enumerate(given)))
    with path.open("rb") as file:
        comment_import.run_import(file_formats.read_json_lines(file), ImportRules(factories.settings()))


@pytest.mark.usefixtures("each_app")
def test_comments_are_counted_in_the_order_of_signing_and_keep_their_number() -> None:
    first = factories.sign()
    factories.sign(verdict=factories.HELD)
    factories.sign()
    for status in ("trash", "spam", "published"):
        factories.change(first, comment_actions.move, status)
        assert numbers() == [1, 2, 3]


@pytest.mark.usefixtures("each_app")
def test_spam_has_no_number_until_the_owner_takes_it_out() -> None:
    spam = factories.sign(verdict=factories.SPAM)
    factories.sign()
    assert numbers() == [None, 1]
    factories.change(spam, comment_actions.move, "published")
    assert numbers() == [2, 1]


def test_a_comment_that_is_not_stored_takes_no_number() -> None:
    def stumble(session: database.Session) -> None:
        draft, read = Draft("Ada", None, "Hello", {}), factories.settings()
        comment_actions.sign(session, draft, factories.PUBLISHED, settings=read)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        factories.written(stumble)
    factories.sign()
    assert numbers() == [1]


def test_a_lost_counter_goes_on_behind_the_highest_number() -> None:
    first, *_ = (factories.sign() for _ in range(3))
    factories.change(first, comment_actions.delete)
    factories.written(lambda session: session.execute(delete(BookState)))
    factories.sign()
    assert numbers() == [2, 3, 4]


def test_an_older_web_server_counts_among_the_settings_and_no_number_is_given_twice() -> None:
    factories.written(lambda session: session.add(Setting(name=comment_actions.LAST_NUMBER, value="0")))
    factories.sign()
    assert db.session.get_one(Setting, comment_actions.LAST_NUMBER).value == "1"
    factories.written(lambda session: session.execute(update(Comment).values(number=5)))
    factories.sign()
    assert numbers() == [5, 6]


def test_an_import_of_low_numbers_does_not_take_the_count_back(tmp_path: Path) -> None:
    factories.change([factories.sign() for _ in range(3)][1], comment_actions.delete)
    imported(tmp_path, 2, 2)
    factories.sign()
    assert sorted(number or 0 for number in numbers()) == [1, 2, 3, 4, 5]


def test_imported_comments_keep_free_numbers_and_the_book_counts_on_behind_them(tmp_path: Path) -> None:
    factories.sign()
    imported(tmp_path, 7, 1, "null", '"5"')
    factories.sign()
    assert numbers() == [7, 8, 9, 5, 1, 10]


def test_signed_at_once_each_number_is_given_once_and_in_the_order_of_signing(each_app: Flask) -> None:
    spans = dict[str, tuple[float, float]]()

    def sign(place: int) -> list[str]:
        signed = []
        for number in range(EACH):
            began = time.monotonic()
            signed.append(factories.sign(f"lantern{place}x{number} and boat{place}y{number}"))
            spans[signed[-1]] = began, time.monotonic()
        return signed

    of_servers = at_once(each_app, SERVERS, sign)
    number_of = {row.id: row.number or 0 for row in factories.comments()}
    in_order = sorted(spans, key=lambda one: number_of[one])
    assert [number_of[one] for one in in_order] == list(range(1, SERVERS * EACH + 1))
    for earlier, later in combinations(in_order, 2):
        assert spans[later][1] > spans[earlier][0]  # It did not end before the earlier one began.
    assert [sorted(signed, key=lambda one: number_of[one]) for signed in of_servers] == of_servers
