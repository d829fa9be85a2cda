"""Visitors change or delete their own comment for fifteen minutes; nobody else can."""

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from guestbook.comments import comment_actions, submission
from guestbook.comments.comment_form import Draft
from guestbook.storage.models import Comment
from guestbook.web import book_signing, visitor_tokens
from tests.conftest import running
from tests.support import factories
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

LINKS = "http://a.example " * 4
ALL = "comment.created comment.published comment.deleted"


@pytest.mark.parametrize("base", ["http://localhost", "https://book.example/guests"])
def test_signing_sets_a_cookie_for_the_comments_alone(environ: dict[str, str], base: str) -> None:
    with running(environ | {"GUESTBOOK_BASE_URL": base}) as app:
        cookie = Visitor(app).sign().headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie)
    assert ("Secure" in cookie) == base.startswith("https")
    assert ("Path=/guests/comments" if "/guests" in base else "Path=/comments") in cookie


def test_a_visitor_changes_the_comment_without_an_event(visitor: Visitor) -> None:
    page = visitor.page(visitor.sign().location)
    comment_id = stored()[-1].id
    edit = attributes(page, f".//*[@id='thanks']//a[@href='{path(comment_id)}']")["href"]
    factories.webhook(events=ALL)
    form = visitor.form(edit)
    assert (form["name"], form["message"]) == ("Ada", "Hello")
    answer = send(visitor, comment_id, form | {"message": "Hello, all"})
    assert (answer.status_code, answer.location) == (303, f"/?signed={comment_id}&changed=yes#c-{comment_id}")
    page = visitor.page(answer.location)
    assert messages(page) == ["Hello, all"]
    assert "Your change is saved. Your comment is in the book." in text(by_class(page, "success")[0])
    [comment] = stored()
    assert comment.edited_at is not None
    assert events() == []


def test_a_change_is_previewed_first(visitor: Visitor) -> None:
    comment_id, _ = signed(visitor)
    answer = send(visitor, comment_id, visitor.form(path(comment_id)) | {"message": "New", "preview": "yes"})
    assert messages(parse(answer)) == ["New"]
    wrong = send(visitor, comment_id, visitor.form(path(comment_id)) | {"name": "", "preview": "yes"})
    assert (wrong.status_code, messages(parse(wrong))) == (422, [])
    assert [comment.message for comment in stored()] == ["Hello"]


def test_a_change_that_is_wrong_comes_back_with_its_text(visitor: Visitor) -> None:
    comment_id, form = signed(visitor)
    for change in ({"name": ""}, {"website": "javascript:x"}, {"token": "x"}):
        answer = send(visitor, comment_id, form | {"message": "New"} | change)
        assert answer.status_code == 422
        assert fields(parse(answer))["message"] == "New"
    assert [comment.message for comment in stored()] == ["Hello"]
    assert send(visitor, comment_id, fields(parse(answer))).status_code == 303  # it has a good token now


def test_a_change_meets_the_rules_for_new_comments(visitor: Visitor, later: Later) -> None:
    comment_id, _ = signed(visitor)
    factories.webhook(events=ALL)
    form = visitor.form(path(comment_id))
    del form["mark"]  # so that it stands for a form that is opened anew each time
    later(10)
    held = send(visitor, comment_id, form | {"message": LINKS})
    page = visitor.page(held.location)
    assert "Your change is saved. The owner will look at it first." in text(by_class(page, "success")[0])
    assert text(by_class(page, "empty-list")[0]) == "No comment is published yet."
    assert [comment.status for comment in stored()] == ["held"]
    again = send(visitor, comment_id, form | {"message": "Harmless"})
    assert [(comment.status, comment.message) for comment in stored()] == [("held", "Harmless")]
    spam = send(visitor, comment_id, form | {"subject": "Watches"})
    assert [comment.status for comment in stored()] == ["spam"]
    assert again.location == spam.location == held.location
    assert events() == ["comment.deleted"]
    send(visitor, comment_id, form | {"message": "Harmless"})
    assert [comment.status for comment in stored()] == ["spam"]


def test_a_comment_is_not_like_its_own_earlier_words(visitor: Visitor, later: Later) -> None:
    words = "We walked along the old harbour and found your lovely island by chance"
    visitor.sign(message=words)
    [comment] = stored()
    form = visitor.form(path(comment.id))
    later(10)
    send(visitor, comment.id, form | {"name": "Ada L.", "message": f"{words}!"})
    assert [(row.name, row.status) for row in stored()] == [("Ada L.", "published")]


def test_changes_count_for_the_limit(visitor: Visitor) -> None:
    set_(rate="2")
    comment_id, form = signed(visitor)
    assert send(visitor, comment_id, form | {"message": "1"}).status_code == 303
    refused = send(visitor, comment_id, form | {"message": "2"})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    assert fields(parse(refused))["message"] == "2"


def test_a_visitor_deletes_the_comment_as_the_owner_would(visitor: Visitor) -> None:
    comment_id, _ = signed(visitor)
    factories.webhook(events=ALL)
    page = visitor.page(path(comment_id))
    action = attributes(page, f".//form[@action='/comments/{comment_id}/delete']")["action"]
    refused = visitor.open("POST", action, data={"token": "x"})
    assert refused.status_code == 422
    assert "nothing was deleted yet" in refused.text
    answer = visitor.open("POST", action, data={"token": fields(page)["token"]})
    assert answer.status_code == 303
    after = visitor.page(answer.location)
    assert "Your comment is deleted." in text(by_class(after, "success")[0])
    assert messages(after) == []
    assert [comment.status for comment in stored()] == ["trash"]
    assert events() == ["comment.deleted"]
    assert visitor.get(path(comment_id)).status_code == 403


def test_after_fifteen_minutes_it_is_too_late(visitor: Visitor, later: Later) -> None:
    comment_id, form = signed(visitor)
    later(14 * 60)
    assert visitor.get(path(comment_id)).status_code == 200
    assert "</a> within 1 minute." in visitor.get(f"/?signed={comment_id}").text
    later(61)
    for answer in (
        visitor.get(path(comment_id)),
        send(visitor, comment_id, form),
        delete(visitor, comment_id, form),
    ):
        assert answer.status_code == 403
        assert "15 minutes" in answer.text
    assert "Change or delete it" not in visitor.get(f"/?signed={comment_id}").text
    assert [comment.message for comment in stored()] == ["Hello"]


def test_its_own_page_leads_there_only_its_visitor(app: Flask, visitor: Visitor, later: Later) -> None:
    comment_id, _ = signed(visitor)
    url = f"/comments/{comment_id}"
    own, other = visitor.get(url), Visitor(app).get(url)
    assert attributes(parse(own), f".//a[@href='{path(comment_id)}']")
    assert own.headers["Cache-Control"] == "no-cache"  # and the other page has another ETag
    assert "Change or delete it" not in other.text
    assert own.headers["ETag"] != other.headers["ETag"]
    later(15 * 60 + 1)
    assert visitor.get(url).text == Visitor(app).get(url).text


def test_nobody_else_changes_or_deletes_it(app: Flask, visitor: Visitor) -> None:
    comment_id, form = signed(visitor)
    stranger, other = Visitor(app), Visitor(app)
    other.sign(name="Eve")
    forged = Visitor(app)
    forged.client.set_cookie(visitor_tokens.VISITOR_COOKIE, f"{comment_id}.xxx", path="/comments")
    for one in (stranger, other, forged):
        for answer in (one.get(path(comment_id)), send(one, comment_id, form), delete(one, comment_id, form)):
            assert answer.status_code == 403
    assert [comment.message for comment in stored()] == ["Hello", "Hello"]


@pytest.mark.parametrize("comment_id", ["x", "f" * 32, "%00", "0" * 32])
def test_a_wrong_id_is_refused_with_a_sentence(visitor: Visitor, comment_id: str) -> None:
    address = f"/comments/{comment_id}"
    for answer in (visitor.get(f"{address}/edit"), visitor.open("POST", f"{address}/delete")):
        assert answer.status_code == 403
        assert "You cannot change this comment" in answer.text


@pytest.mark.parametrize("how", ["trash", "delete"])
def test_the_owner_who_throws_it_away_meanwhile_is_faster(app: Flask, visitor: Visitor, how: str) -> None:
    comment_id, _ = signed(visitor)
    seen = factories.the(Comment, comment_id)
    factories.change(
        comment_id, *((comment_actions.decide, "trash") if how == "trash" else (comment_actions.delete,))
    )
    changed = Draft("Ada", None, "Changed", {})
    with app.test_request_context():
        assert submission.revise(seen, changed, book_signing.visitor()) is None
    assert "Changed" not in [comment.message for comment in stored()]


def test_a_correction_by_the_owner_is_not_overwritten_unread(visitor: Visitor) -> None:
    comment_id, form = signed(visitor)
    form |= {"message": "Hello, all"}
    preview = parse(send(visitor, comment_id, form | {"preview": "yes"}))
    assert fields(preview)["mark"] == form["mark"]
    factories.change(comment_id, comment_actions.edit, Draft("Ada", None, "Hello, owner", {}))
    assert fields(parse(send(visitor, comment_id, form | {"name": ""})))["mark"] == form["mark"]
    answer = send(visitor, comment_id, form)
    page = parse(answer)
    assert (answer.status_code, messages(page)) == (409, ["Hello, owner"])
    assert "Your comment was changed after you opened this page" in text(page)
    assert fields(page)["message"].strip() == "Hello, all"
    assert [comment.message for comment in stored()] == ["Hello, owner"]
    assert send(visitor, comment_id, fields(page)).status_code == 303
    assert [comment.message for comment in stored()] == ["Hello, all"]


def test_a_double_click_and_a_decision_of_the_owners_are_no_other_words(visitor: Visitor) -> None:
    comment_id, form = signed(visitor)
    form |= {"message": "Hello, all"}
    factories.change(comment_id, comment_actions.decide, "held")
    assert [send(visitor, comment_id, form).status_code for _ in range(2)] == [303, 303]
    assert [comment.message for comment in stored()] == ["Hello, all"]


def test_an_answered_comment_keeps_its_words(visitor: Visitor) -> None:
    comment_id, form = signed(visitor)
    factories.change(comment_id, comment_actions.reply, "Welcome!")
    answer = send(visitor, comment_id, form | {"message": "I hate you"})
    assert answer.status_code == 422
    assert "The owner has answered" in answer.text
    assert [comment.message for comment in stored()] == ["Hello"]
    assert delete(visitor, comment_id, form).status_code == 303


def test_the_name_of_a_waiting_comment_is_shown_to_its_visitor_alone(visitor: Visitor, later: Later) -> None:
    form = visitor.form() | GREETING | {"message": LINKS}
    later(10)
    address = visitor.send(form).location
    assert "Thank you, Ada." in text(by_class(visitor.page(address), "success")[0])
    broken = re.sub(r"\.[\w-]+#", ".x#", address)
    assert "Ada" not in text(by_class(visitor.page(broken), "success")[0])
    later(16 * 60)
    assert "Ada" not in text(by_class(visitor.page(address), "success")[0])


def signed(visitor: Visitor) -> tuple[str, dict[str, str]]:
    """Sign the book; return the comment's id and the form that changes it."""
    visitor.sign()
    comment_id = stored()[-1].id
    return comment_id, visitor.form(path(comment_id))


def path(comment_id: str) -> str:
    return f"/comments/{comment_id}/edit"


def send(visitor: Visitor, comment_id: str, form: dict[str, str]) -> TestResponse:
    return visitor.open("POST", path(comment_id), data=form)


def delete(visitor: Visitor, comment_id: str, form: dict[str, str]) -> TestResponse:
    return visitor.open("POST", f"/comments/{comment_id}/delete", data={"token": form["token"]})


def events() -> list[str]:
    return [one.event for one in factories.deliveries()]
