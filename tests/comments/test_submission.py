"""How much one network may write: a limit that is honest, keeps the text, and counts what is stored."""

import pytest
from flask import Flask
from sqlalchemy import select

from guestbook.auth import rate_limit
from guestbook.storage.database import db
from guestbook.storage.models import Limit
from tests.support.at_once import at_once
from tests.support.visitor import GREETING, Visitor, by_class, fields, let_write, parse, stored, text
from tests.web.conftest import Later

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def three(app: Flask) -> None:  # noqa: ARG001  the factories fill it
    """A book in which one network may write three comments in ten minutes."""
    let_write(3)


def counts(app: Flask) -> list[int]:
    with app.app_context():
        flood = rate_limit.who(app.config["GUESTBOOK"].secret_key, "flood")
        # Around midnight a network has a row for each of the two days; one of them counts.
        return list(db.session.scalars(select(Limit.hits).where(Limit.who != flood, Limit.hits > 0)))


@pytest.mark.usefixtures("three")
def test_the_comment_too_many_comes_back_with_text_and_time_to_wait(visitor: Visitor, later: Later) -> None:
    for number in range(3):
        assert visitor.sign(message=f"Number {number}").status_code == 303
    later(360)
    answer = visitor.sign(message="Number 3")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "240")
    page = parse(answer)
    said = "You have written many comments in a short time. Please try again in 4 minutes."
    assert said in text(by_class(page, "summary")[0])
    assert fields(page)["message"] == "Number 3"
    assert len(stored()) == 3
    later(239)
    assert visitor.send(fields(page)).status_code == 429
    later(2)
    assert visitor.send(fields(page)).status_code == 303
    assert stored()[-1].message == "Number 3"


@pytest.mark.usefixtures("three")
def test_others_may_write_meanwhile(visitor: Visitor) -> None:
    for _ in range(4):
        last = visitor.sign()
    assert last.status_code == 429
    assert visitor.send(visitor.form() | GREETING, ELSEWHERE).status_code == 303


@pytest.mark.usefixtures("three")
def test_a_double_click_is_one_comment_and_counts_once_also_the_last(app: Flask, visitor: Visitor) -> None:
    for number in range(3):
        form = visitor.form() | GREETING | {"message": f"Number {number}"}
        assert [visitor.send(form).status_code for _ in range(3)] == [303, 303, 303]
        assert counts(app) == [number + 1]
    assert len(stored()) == 3


@pytest.mark.usefixtures("three")
def test_what_is_not_stored_does_not_count(app: Flask, visitor: Visitor) -> None:
    for _ in range(5):
        assert visitor.sign(message="").status_code == 422
    assert counts(app) == []


@pytest.mark.usefixtures("three")
def test_spam_counts_like_any_other(visitor: Visitor) -> None:
    answers = [visitor.sign(subject="Cheap", message=f"{number}").status_code for number in range(4)]
    assert answers == [303, 303, 303, 429]
    assert len(stored()) == 3


def test_many_at_once_are_no_more_than_the_limit(each_app: Flask) -> None:
    let_write(5)
    form = Visitor(each_app).form() | GREETING

    def write(number: int) -> int:
        return Visitor(each_app).send(form | {"message": f"Number {number}"}).status_code

    answers = at_once(each_app, 8, write)
    assert sorted(answers) == [303] * 5 + [429] * 3
    assert len(stored()) == 5
    assert counts(each_app) == [5]
