"""The owner's answer stands under its comment, as inert as all text, and nowhere else."""

import pytest
from flask import Flask
from sqlalchemy import event

from guestbook.comments import book
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from tests.support import factories
from tests.support.visitor import Visitor, add, by_class, messages, text


def answer(app: Flask, comment_id: str, message: str) -> None:
    with app.app_context(), writing() as session:
        book.reply(session, session.get_one(Comment, comment_id), message, factories.settings())


def answers(visitor: Visitor, url: str = "/") -> list[str]:
    return [text(element) for element in by_class(visitor.page(url), "comment-text")]


def test_an_answer_stands_under_its_comment_on_both_pages(app: Flask, visitor: Visitor) -> None:
    first, second = add(app, ["One", "Two"])
    answer(app, first, "Thank you.\nCome again!")
    for url in ("/", f"/?signed={first}", f"/comments/{first}"):
        [letter] = [one for one in by_class(visitor.page(url), "comment") if one.attrib["id"] == f"c-{first}"]
        assert messages(letter) == ["One"]
        [reply] = by_class(letter, "reply")
        assert text(reply).split("\n")[1].strip().startswith("The owner replied")
        assert text(by_class(reply, "comment-text")[0]) == "Thank you.\nCome again!"
        [time] = reply.findall(".//time")
        assert time.attrib["datetime"].endswith("Z")
    assert answers(visitor, f"/comments/{second}") == []
    assert len(answers(visitor)) == 1


@pytest.mark.parametrize("status", ["held", "spam", "trash"])
def test_the_answer_to_a_comment_that_is_not_published_is_nowhere(
    app: Flask, visitor: Visitor, status: str
) -> None:
    [hidden] = add(app, ["Hello"], status=status)
    answer(app, hidden, "A secret answer")
    for url in ("/", f"/?signed={hidden}", f"/comments/{hidden}", f"/?before={'f' * 32}"):
        assert "secret" not in visitor.get(url).text
    assert visitor.get(f"/comments/{hidden}").status_code == 404


def test_the_etag_of_a_comment_changes_with_its_answer(app: Flask, visitor: Visitor) -> None:
    [comment_id] = add(app, ["Hello"])
    url = f"/comments/{comment_id}"
    tags: list[str] = []
    for message in ("", "One", "Two", ""):
        answer(app, comment_id, message)
        seen = visitor.get(url, headers={"If-None-Match": tags[-1] if tags else '"none"'})
        assert seen.status_code == 200
        tags.append(seen.headers["ETag"])
        assert visitor.get(url, headers={"If-None-Match": tags[-1]}).status_code == 304
    assert len(set(tags)) == 3
    assert tags[0] == tags[-1]


def test_a_page_asks_for_all_its_answers_at_once(app: Flask, visitor: Visitor) -> None:
    for comment_id in add(app, [str(number) for number in range(20)]):
        answer(app, comment_id, f"Answer {comment_id}")
    executed: list[str] = []
    with app.app_context():
        event.listen(db.engine, "checkout", lambda raw, *_: raw.set_trace_callback(executed.append))
    assert len(answers(visitor, "/?again")) == 20  # no page that is kept
    assert len([sql for sql in executed if "replies" in sql]) == 1
