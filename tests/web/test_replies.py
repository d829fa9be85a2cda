"""The owner's answer stands under its comment, as inert as all text, and nowhere else."""

import pytest
from flask import Flask

from guestbook.comments import book
from tests.support import factories
from tests.support.visitor import Visitor, add, by_class, messages, text


def answer(comment_id: str, message: str) -> None:
    factories.change(comment_id, book.reply, message)


def answers(visitor: Visitor, url: str = "/") -> list[str]:
    return [text(element) for element in by_class(visitor.page(url), "comment-text")]


def test_an_answer_stands_under_its_comment_on_both_pages(app: Flask, visitor: Visitor) -> None:
    first, second = add(app, ["One", "Two"])
    answer(first, "Thank you.\nCome again!")
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
    answer(hidden, "A secret answer")
    for url in ("/", f"/?signed={hidden}", f"/comments/{hidden}", f"/?before={'f' * 32}"):
        assert "secret" not in visitor.get(url).text
    assert visitor.get(f"/comments/{hidden}").status_code == 404
