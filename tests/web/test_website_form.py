"""Plain forms on the owner's own pages: where they lead back to, and what they may not do."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from guestbook.comments import submission, website_forms
from guestbook.lib.errors import Refused
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import GREETING, Visitor, fields, parse, set_, stored, text

PAGE = "https://ada.example/guestbook.html"
FROM_PAGE = {"Origin": "https://ada.example"}
LINKS = "http://a.example " * 4


@pytest.fixture
def key(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    return str(factories.written(lambda session: website_forms.add(session, PAGE)))


def send(visitor: Visitor, key: str, headers: dict[str, str] | None = None, **typed: str) -> TestResponse:
    sent = FROM_PAGE if headers is None else headers
    return visitor.open("POST", f"/form/{key}", data=GREETING | typed, headers=sent)


def test_it_leads_back_to_the_page_and_says_what_became_of_the_comment(visitor: Visitor, key: str) -> None:
    answers = [send(visitor, key), send(visitor, key, message=LINKS), send(visitor, key, name=" ")]
    answers += [send(visitor, key, message="x" * 4001), send(visitor, key, subject="x", message="Watches")]
    assert [answer.status_code for answer in answers] == [303] * 5
    ends = ["thanks", "waiting", "error-name", "error-message", "waiting"]
    assert [answer.location for answer in answers] == [f"{PAGE}#{end}" for end in ends]
    assert [comment.status for comment in stored()] == ["published", "held", "spam"]
    assert "guestbook_signed" in answers[0].headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (FROM_PAGE, "published"),
        ({"Origin": "https://ADA.example:443"}, "published"),
        ({"Referer": "https://ada.example/"}, "published"),
        ({"Origin": "null", "Referer": PAGE}, "published"),
        ({"Origin": "null"}, "held"),
        ({}, "held"),
        *(
            ({"Origin": origin}, None)
            for origin in ("http://ada.example", "https://evil.example", "x", "https://[")
        ),
        ({"Origin": "https://ada.example.evil.example", "Referer": PAGE}, None),
        ({"Referer": "https://evil.example/https://ada.example/"}, None),
    ],
)
def test_only_its_website_may_use_it_and_one_that_does_not_say_where_it_is_must_wait(
    visitor: Visitor, key: str, headers: dict[str, str], status: str | None
) -> None:
    answer = send(visitor, key, headers)
    assert [comment.status for comment in stored()] == ([status] if status else [])
    assert answer.status_code == (303 if status else 403)
    if status is None:
        assert "a page that may not use it" in answer.text
        assert visitor.send(fields(parse(answer))).status_code == 303, "the text is kept, and signs the book"
        assert [comment.message for comment in stored()] == ["Hello"]


def test_a_second_click_adds_nothing_and_limits_hold(visitor: Visitor, key: str) -> None:
    assert [send(visitor, key).location for _ in range(2)] == [f"{PAGE}#thanks"] * 2
    assert len(stored()) == 1
    set_(rate="1")
    answer = send(visitor, key, message="Another")
    assert (answer.status_code, len(stored())) == (429, 1)
    assert fields(parse(answer))["message"].strip() == "Another"
    set_(closed="yes")
    assert send(visitor, key).status_code == 403


def test_the_owner_s_question_is_asked_there_too(visitor: Visitor, key: str) -> None:
    set_(question="Which river?", answers="Neisse")
    wrong = send(visitor, key, answer="Oder")
    assert (wrong.status_code, fields(parse(wrong))["message"].strip()) == (422, "Hello")
    assert send(visitor, key, answer="neisse").location == f"{PAGE}#thanks"


def test_a_key_that_nobody_has_made_or_that_was_taken_back_takes_nothing(visitor: Visitor, key: str) -> None:
    assert send(visitor, "nothing").status_code == 404
    factories.written(lambda session: website_forms.remove(session, key))
    factories.written(lambda session: website_forms.remove(session, key))
    gone = send(visitor, key)
    assert (gone.status_code, fields(parse(gone))["message"].strip()) == (404, "Hello")
    assert stored() == []


@pytest.mark.parametrize(
    "typed", ["", "ada", "javascript:alert(1)", PAGE, PAGE + "#x",
    *(f"https://a.example/{path}" for path in (" b", "\nx", "x" * 500))],
)  # fmt: skip
def test_a_wrong_address_is_refused(key: str, typed: str) -> None:  # noqa: ARG001  the page has a form
    with pytest.raises(Refused) as refused:
        factories.written(lambda session: website_forms.add(session, typed))
    assert list(refused.value.fields) == ["page"]


def test_the_owner_makes_a_form_copies_its_code_and_removes_it(owner: Owner, visitor: Visitor) -> None:
    set_(embed_sites="https://ada.example")
    page = owner.refused("/admin/embed/forms", {"page": "ada"}, on="/admin/embed/")
    assert "is not the address of a website" in text(page)
    assert text(page.find(".//textarea[@name='embed_sites']")).strip() == "https://ada.example"
    page = owner.does("/admin/embed/forms", {"page": PAGE}, on="/admin/embed/")
    assert PAGE in text(page)
    [key] = factories.read(website_forms.pages)
    assert f'<form action="https://book.example/form/{key}" method="post"' in text(page)
    code = text(owner.page("/admin/embed/"))
    assert all(f'id="{end}"' in code for end in ("thanks", "waiting", "error-name", "error-message"))
    assert send(visitor, key).location == f"{PAGE}#thanks"
    question = f"/admin/embed/forms/{key}/delete"
    assert f"Remove the form on {PAGE}?" in text(owner.page(question))
    assert list(factories.read(website_forms.pages)) == [key], "a question removes nothing"
    owner.does(question, on=question)
    assert factories.read(website_forms.pages) == {}
    assert owner.get(question).status_code == 404


def test_its_code_has_the_language_of_the_book_and_the_page_around_it_is_english(
    owner: Owner, key: str
) -> None:
    set_(language="de")
    page = text(owner.page("/admin/embed/"))
    for words in (
        "Nachricht<br><textarea",
        "Danke! Dein Eintrag steht im Buch.",
        "bis zu 4.000 Zeichen",
        "Gästebuch</a>",
    ):
        assert words in page
    assert "A plain form on your page" in page
    assert key in page


@pytest.mark.parametrize("wrong", ["", "x", "%00", "%80"])
def test_opening_its_address_leads_to_the_page_or_to_the_book(visitor: Visitor, key: str, wrong: str) -> None:
    answer = visitor.get(f"/form/{key}{wrong}")
    assert (answer.status_code, answer.location) == (302, "/" if wrong else PAGE)


def test_only_the_request_that_stored_a_comment_may_change_it(app: Flask, visitor: Visitor, key: str) -> None:
    assert "Set-Cookie" in send(visitor, key).headers
    other = send(Visitor(app), key)
    assert other.location == f"{PAGE}#thanks"
    assert "Set-Cookie" not in other.headers, "anybody can send the same words"


def test_after_an_error_of_the_database_the_same_words_are_stored_once(
    visitor: Visitor, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_it = submission.submit

    def lose_the_answer(*values: Any) -> None:
        stored_it(*values)
        raise OperationalError("COMMIT", {}, Exception("database is locked"))

    monkeypatch.setattr(submission, "submit", lose_the_answer)
    failed = send(visitor, key)
    assert failed.status_code == 503
    monkeypatch.setattr(submission, "submit", stored_it)
    assert visitor.send(fields(parse(failed))).status_code == 303
    assert len(stored()) == 1
