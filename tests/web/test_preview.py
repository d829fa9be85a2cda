"""Visitors see their comment before they send it."""

import re

from flask import Flask

from tests.support.visitor import GREETING, Visitor, by_class, fields, parse, stored, text
from tests.web.conftest import Later

PREVIEW = {"preview": "yes"}


def test_a_preview_shows_the_comment_as_the_book_does_and_stores_nothing(
    app: Flask, visitor: Visitor, later: Later
) -> None:
    typed = {
        "name": "Ada <i>",
        "website": "https://ada.example",
        "message": "<b>Hi</b> https://a.example\n\nBye",
    }
    answer = visitor.sign(**typed, **PREVIEW)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert stored(app) == []
    assert fields(parse(answer)) | typed == fields(parse(answer))
    later(10)  # or the link would be spam
    sent = visitor.send(fields(parse(answer)))
    [comment] = stored(app)
    previewed, shown = article(answer.text), article(visitor.get(sent.location).text)
    shown = re.sub(r'\s*<span class="number">no. 1</span>', "", shown)  # a comment gets it when it is stored
    assert previewed == shown.replace(f"/comments/{comment.id}", "#c-preview").replace(comment.id, "preview")


def test_a_preview_keeps_the_token_so_that_sending_it_twice_makes_one_comment(
    app: Flask, visitor: Visitor
) -> None:
    form = visitor.form() | GREETING
    previewed = fields(parse(visitor.send(form | PREVIEW)))
    assert previewed["token"] == form["token"]
    assert visitor.send(previewed).location == visitor.send(form).location
    assert len(stored(app)) == 1


def test_a_preview_says_what_is_wrong_in_place_of_showing_it(visitor: Visitor) -> None:
    answer = visitor.sign(name="", **PREVIEW)
    assert answer.status_code == 422
    assert not by_class(parse(answer), "preview")


def test_enter_sends_the_comment_and_does_not_preview_it(visitor: Visitor) -> None:
    buttons = [text(button) for button in visitor.page().findall(".//main//form//button")]
    assert buttons == ["Sign the book", "Preview"]


def article(page: str) -> str:
    found = re.search("<article.*</article>", page, re.DOTALL)
    assert found
    return re.sub(r'(datetime|title)="[^"]+"', "", found[0])
