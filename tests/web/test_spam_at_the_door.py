"""What a visitor meets of the spam rules: the question, the cookie, honest refusals, a flood."""

import re
from http.cookies import SimpleCookie

import pytest

from guestbook.comments.spam import spam_report
from guestbook.lib import clock
from guestbook.storage.models import Comment
from guestbook.web.visitor_tokens import VISITOR_COOKIE
from tests.support import factories
from tests.support.visitor import GREETING, Visitor, add, by_class, fields, let_write, parse, stored, text
from tests.web.conftest import Later
from tests.web.test_preferences import set_

TWO_LINKS = "Pictures: https://a.example/1 and https://a.example/2"
QUESTION = {"question": "What colour is the <b>cat</b>?", "answers": "Red\nginger"}


def refused() -> dict[str, int]:
    found = factories.read(lambda session: spam_report.refused_lately(session, clock.now()))
    return {one.reason: one.number for one in found}


def test_readers_get_no_cookie_and_signers_one_for_the_form_alone(visitor: Visitor) -> None:
    for url in ("/", "/comments/nowhere", "/static/book.css", "/healthz"):
        assert "Set-Cookie" not in visitor.get(url).headers
    assert "Set-Cookie" not in visitor.sign(message="").headers
    cookie = SimpleCookie(visitor.sign().headers["Set-Cookie"])[VISITOR_COOKIE]
    assert (cookie["path"], cookie["samesite"]) == ("/comments", "Lax")
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["max-age"] == str(180 * 24 * 3600)
    assert cookie["domain"] == ""
    assert stored()[0].id in cookie.value
    assert "Set-Cookie" not in visitor.get("/").headers


def test_only_whose_comment_is_in_the_book_writes_more_links(visitor: Visitor, later: Later) -> None:
    def sign(message: str) -> Comment:
        form = visitor.form() | GREETING | {"message": message}
        later(10)  # a link within three seconds is spam
        visitor.client.post("/comments", data=form, base_url="https://localhost")  # the cookie is for https
        return stored()[-1]

    assert sign(TWO_LINKS).status == "held"
    first = sign("Hello")
    assert sign(f"Now {TWO_LINKS}").status == "published"
    factories.alter(Comment, stored()[-1].id, status="spam")
    assert sign(f"More {TWO_LINKS}").status == "held"
    assert first.status == "published"


@pytest.mark.parametrize("value", ["", "x", "a.b", "x" * 3000, "é"])
def test_a_forged_cookie_is_none(visitor: Visitor, later: Later, value: str) -> None:
    form = visitor.form() | GREETING | {"message": TWO_LINKS}
    later(10)
    headers = {"Cookie": f"{VISITOR_COOKIE}={value}"}
    assert visitor.client.post("/comments", data=form, headers=headers).status_code == 303
    assert stored()[-1].status == "held"


def test_the_question_is_in_the_form_and_a_wrong_answer_keeps_the_text(visitor: Visitor) -> None:
    assert "answer" not in visitor.form()
    set_(**QUESTION)
    assert QUESTION["question"] in text(visitor.page().find(".//form"))
    answer = visitor.sign(message="Kept", answer="blue")
    assert answer.status_code == 422
    page = parse(answer)
    assert "That is not the answer that the owner of this book expects." in text(by_class(page, "summary")[0])
    assert fields(page)["message"] == "Kept"
    assert (stored(), refused()) == ([], {"answer": 1})
    assert visitor.send(fields(page) | {"answer": "GINGER!"}).status_code == 303
    assert stored()[0].message == "Kept"


def test_programs_are_asked_too_and_the_error_has_the_question(visitor: Visitor) -> None:
    set_(**QUESTION)

    def post(**more: str) -> tuple[int, dict[str, object]]:
        answer = visitor.client.post("/api/v1/comments", json={"name": "Ada", "message": "Hello", **more})
        return answer.status_code, answer.get_json()

    status, body = post()
    assert status == 422
    assert body["error"]["fields"] == {  # type: ignore[index]  # the shape of all errors
        "answer": f"Answer the question of this book: {QUESTION['question']}"
    }
    assert post(answer="blue")[0] == 422
    assert post(answer="red")[0] == 201
    assert refused() == {"answer": 2}


def test_each_refusal_is_counted_with_its_reason(visitor: Visitor, later: Later) -> None:
    form = visitor.form() | GREETING
    visitor.send(form | {"token": "forged"})
    visitor.send(form | {"name": ""})
    visitor.send(form | {"message": "x" * 4001})
    visitor.send(form | {"website": "no address"})
    visitor.client.post("/api/v1/comments", json={"name": "", "message": "Hello"})
    later(25 * 3600)
    visitor.send(form)
    let_write(1)
    assert visitor.sign().status_code == 303
    assert visitor.sign(message="Again").status_code == 429
    set_(closed="yes")
    visitor.send(form)
    counted = refused()
    assert counted.pop("name", 0) + counted.pop("unknown", 0) >= 1  # of the day before, maybe
    assert {"expired": 1, "rate": 1, "closed": 1}.items() <= counted.items()


def test_a_refusal_is_counted_once_under_its_first_reason(visitor: Visitor) -> None:
    visitor.sign(name="", message="")
    wrong = {"name": "\u200b", "message": "\u200b"}
    visitor.client.post("/api/v1/comments", json=wrong)
    visitor.client.post("/api/v1/comments", json=GREETING | {"e-mail": "a@b.example"})  # has no reason
    assert refused() == {"name": 2}


def test_in_a_flood_all_are_held_until_it_is_over(visitor: Visitor, later: Later) -> None:
    set_(flood="2")
    later.stand_still()
    for number in range(4):
        assert visitor.sign(message=f"Number {number}").status_code == 303
    rows = stored()
    assert [row.status for row in rows] == ["published", "published", "held", "held"]
    assert re.fullmatch(r"Many comments .*, so all are held until \d\d:\d\d UTC\.", str(rows[-1].reason))
    later(3601)
    visitor.sign(message="Afterwards")
    assert stored()[-1].status == "published"


def test_spam_makes_no_flood(visitor: Visitor) -> None:
    set_(flood="1")
    for number in range(4):
        visitor.sign(message=f"{number}", subject="x")
    visitor.sign()
    assert [row.status for row in stored()] == ["spam"] * 4 + ["published"]


OFFER = "https://slots.example/ Δωρεάν περιστροφές σε όλους τους παίκτες μόνο απόψε"


@pytest.mark.parametrize(("book", "message", "is_foreign"), [
    ("We walked to the harbour", "Χαιρετισμούς από την Αθήνα!", False),
    ("We walked to the harbour", OFFER, True),
    ("Περπατήσαμε ως το λιμάνι με όλους", OFFER, False),
])  # fmt: skip
def test_a_language_is_foreign_only_with_an_address_and_where_no_comment_has_it(
    visitor: Visitor, later: Later, book: str, message: str, is_foreign: bool
) -> None:
    add([f"{book} {number}" for number in range(20)])
    form = visitor.form() | GREETING | {"message": message}
    later(10)
    visitor.send(form)
    comment = stored()[-1]
    assert (comment.status == "published") == (message != OFFER)
    assert ("is in Greek, unlike" in str(comment.reasons)) == is_foreign
