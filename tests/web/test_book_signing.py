"""Somebody signs the book: once, with the reasons beside what is wrong, and never in vain."""

import re
from functools import partial

import pytest
from flask import Flask

import guestbook
from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.web import visitor_tokens
from tests.support.at_once import at_once
from tests.support.visitor import (
    GREETING,
    Visitor,
    attributes,
    by_class,
    fields,
    messages,
    parse,
    set_,
    stored,
    text,
)
from tests.web.conftest import Later
from tests.web.test_errors import AWAY

RECEIPT = r"/\?signed=waiting&receipt=[0-9a-f]{32}\.[\w-]+#thanks"


def test_signing_leads_to_the_book_with_the_comment_in_it(visitor: Visitor) -> None:
    answer = visitor.sign(name="Grace", website="example.org", message="Hello\r\nthere")
    [comment] = stored()
    assert (comment.name, comment.website) == ("Grace", "https://example.org")
    assert (comment.message, comment.status) == ("Hello\nthere", "published")
    assert (answer.status_code, answer.location) == (303, f"/?signed={comment.id}#c-{comment.id}")
    page = visitor.page(answer.location)
    assert page.find(f".//article[@id='c-{comment.id}']") is not None
    assert "Thank you, Grace!" in text(by_class(page, "success")[0])


def test_what_is_wrong_comes_back_beside_its_field_with_the_text(visitor: Visitor) -> None:
    answer = visitor.sign(name=" ", website="javascript:alert(1)", message="x" * 4001)
    assert answer.status_code == 422
    assert stored() == []
    page = parse(answer)
    sent = fields(page)
    assert (sent["website"], sent["message"]) == ("javascript:alert(1)", "x" * 4001)
    for name in ("name", "website", "message"):
        field = attributes(page, f".//*[@id='{name}']")
        assert field["aria-invalid"] == "true"
        assert f"{name}-reason" in field["aria-describedby"].split()
        assert page.find(f".//*[@id='{name}-reason']") is not None
        assert page.find(f".//*[@class='summary']//a[@href='#{name}']") is not None
    assert "autofocus" in by_class(page, "summary")[0].attrib


def test_a_mended_form_is_taken_even_at_once_and_with_a_link(visitor: Visitor, later: Later) -> None:
    form = visitor.form()
    later(10)
    resent = visitor.send(form | {"name": "", "message": "See https://example.org"})
    later(1)
    answer = visitor.send(fields(parse(resent)) | {"name": "Ada"})
    assert answer.status_code == 303
    assert [comment.status for comment in stored()] == ["published"]


def test_a_first_line_that_is_empty_or_a_textarea_s_end_come_back_as_typed(visitor: Visitor) -> None:
    message = "</textarea><b>bold</b>\n\n&amp; <!-- done"
    page = parse(visitor.sign(name="", message=f"\n{message}"))
    assert fields(page)["message"] == message


@pytest.mark.parametrize("token", ["", "x", "a.b", "\0", "é", "x" * 5000, "W10.AAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_a_form_that_is_not_ours_comes_back_with_a_good_one(visitor: Visitor, token: str) -> None:
    answer = visitor.send(GREETING | {"token": token})
    assert answer.status_code == 422
    assert stored() == []
    page = parse(answer)
    assert "was incomplete" in text(by_class(page, "summary")[0])
    assert visitor.send(fields(page)).status_code == 303
    assert [comment.message for comment in stored()] == ["Hello"]


def test_a_token_signed_with_another_key_is_refused(visitor: Visitor, environ: dict[str, str]) -> None:
    foreign = guestbook.create_app(environ | {"GUESTBOOK_SECRET_KEY": "somebody else's secret key"})
    with foreign.app_context():
        token = visitor_tokens.new_token()
    assert visitor.send(GREETING | {"token": token}).status_code == 422
    assert stored() == []


def test_a_form_open_for_longer_comes_back_and_is_taken_at_once(visitor: Visitor, later: Later) -> None:
    form = visitor.form() | GREETING | {"message": "See https://example.org"}
    later(24 * 3600 + 1)
    answer = visitor.send(form)
    assert answer.status_code == 422
    page = parse(answer)
    assert "more than a day" in text(by_class(page, "summary")[0])
    assert visitor.send(fields(page)).status_code == 303
    assert [comment.status for comment in stored()] == ["published"]


def test_a_clock_set_back_does_not_turn_a_visitor_away(visitor: Visitor, later: Later) -> None:
    form = visitor.form() | GREETING | {"message": "See https://example.org"}
    later(-3600)
    assert visitor.send(form).status_code == 303
    assert [comment.status for comment in stored()] == ["published"]


def test_going_back_and_writing_something_else_is_another_comment(visitor: Visitor) -> None:
    form = visitor.form() | GREETING
    visitor.send(form)
    visitor.send(form | {"message": "Hello again"})
    assert [comment.message for comment in stored()] == ["Hello", "Hello again"]


def test_two_clicks_in_the_same_moment_are_one_comment_on_every_database(each_app: Flask) -> None:
    for number in range(10):
        form = Visitor(each_app).form() | GREETING | {"message": f"Hello {number}"}
        click = partial(lambda form, _: Visitor(each_app).send(form), form)
        answers = [(answer.status_code, answer.location) for answer in at_once(each_app, 2, click)]
        newest = stored()[-1].id
        assert answers == [(303, f"/?signed={newest}#c-{newest}")] * 2
    assert len(stored()) == 10


def test_a_held_comment_is_told_to_wait_and_shown_to_its_visitor_alone(
    visitor: Visitor, later: Later
) -> None:
    form = visitor.form() | GREETING | {"message": "http://a.example " * 4}
    later(10)
    answer = visitor.send(form)
    assert [comment.status for comment in stored()] == ["held"]
    assert answer.status_code == 303
    assert re.fullmatch(RECEIPT, answer.location)
    page = visitor.page(answer.location)
    assert "Thank you, Ada. The owner will look at it first." in text(by_class(page, "success")[0])
    assert [words.split() for words in messages(page)] == [["http://a.example"] * 4]
    assert messages(visitor.page()) == []


def test_spam_is_answered_exactly_like_a_held_comment(visitor: Visitor, later: Later) -> None:
    links = "http://a.example " * 4
    form = visitor.form() | GREETING | {"message": links}
    later(10)
    held = visitor.send(form)
    trapped = visitor.sign(message=links, subject="Cheap watches")
    later.stand_still()
    quick = visitor.sign(message=links)
    assert [comment.status for comment in stored()] == ["held", "spam", "spam"]
    assert all(comment.reason for comment in stored())
    for answer in (held, trapped, quick):
        assert answer.status_code == 303
        assert re.fullmatch(RECEIPT, answer.location)
    first, *others = [anonymous(visitor.get(answer.location).text) for answer in (held, trapped, quick)]
    assert others == [first] * 2


def test_when_the_database_is_away_the_text_comes_back(environ: dict[str, str]) -> None:
    app = guestbook.create_app(environ | AWAY)
    with app.app_context():
        token = visitor_tokens.new_token()
    typed = GREETING | {"message": "Please keep me", "place": "Görlitz", "note": "For you", "token": token}
    typed |= {"mood": "happy"}
    answer = Visitor(app).send(typed)
    assert fields(parse(answer)) == dict.fromkeys(DRAFT_FIELDS, "") | typed | {"subject": ""}
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "cannot be reached" in text(by_class(parse(answer), "summary")[0])


def anonymous(page: str) -> str:
    """Return a page without ids, times and tokens, which are always new."""
    return re.sub(r'[0-9a-f]{32}|T[0-9:.]+Z|name="token" value="[^"]+"', "", page)


PREVIEW = {"preview": "yes"}


def test_a_preview_shows_the_comment_as_the_book_and_stores_nothing(visitor: Visitor, later: Later) -> None:
    typed = {
        "name": "Ada <i>",
        "website": "https://ada.example",
        "message": "<b>Hi</b> https://a.example\n\nBye",
    }
    answer = visitor.sign(**typed, **PREVIEW)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert stored() == []
    assert fields(parse(answer)) | typed == fields(parse(answer))
    later(10)  # or the link would be spam
    sent = visitor.send(fields(parse(answer)))
    [comment] = stored()
    previewed, shown = article(answer.text), article(visitor.get(sent.location).text)
    shown = re.sub(r'\s*<span class="number">no. 1</span>', "", shown)  # a comment gets it when it is stored
    assert previewed == shown.replace(f"/comments/{comment.id}", "#c-preview").replace(comment.id, "preview")


@pytest.mark.parametrize("wrong", [{}, {"message": ""}, {"website": "javascript:alert(1)"}, {"answer": "no"}])
def test_a_plain_form_of_another_website_is_shown_once_more_and_then_taken(
    visitor: Visitor, wrong: dict[str, str]
) -> None:
    set_(question="Which colour has snow?", answers="white")
    page = parse(visitor.send(GREETING | {"preview": "yes", "answer": "white"} | wrong))
    assert ("This is how it will look" in text(page)) is not bool(wrong)
    assert stored() == []
    assert visitor.send(fields(page) | GREETING | {"answer": "white"}).status_code == 303
    assert [comment.message for comment in stored()] == ["Hello"]


def test_a_preview_keeps_the_token_so_that_sending_it_twice_makes_one_comment(visitor: Visitor) -> None:
    form = visitor.form() | GREETING
    previewed = fields(parse(visitor.send(form | PREVIEW)))
    assert previewed["token"] == form["token"]
    assert visitor.send(previewed).location == visitor.send(form).location
    assert len(stored()) == 1


def test_a_preview_says_what_is_wrong_in_place_of_showing_it(visitor: Visitor) -> None:
    answer = visitor.sign(name="", **PREVIEW)
    assert answer.status_code == 422
    assert not by_class(parse(answer), "preview")


def test_enter_sends_the_comment_and_does_not_preview_it(visitor: Visitor) -> None:
    buttons = [text(button) for button in visitor.page().findall(".//main//form//button")]
    assert buttons == ["Sign the book", "Preview"]


def article(page: str) -> str:
    found = re.search("<article.*</article>", page, re.DOTALL)
    return re.sub(r'(datetime|title)="[^"]+"', "", found[0])
