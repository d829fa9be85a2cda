"""The number of a comment on the pages that show it."""

from flask import Flask

from tests.support.visitor import Visitor, add, by_class, text


def numbers(visitor: Visitor, url: str) -> list[str]:
    return [text(found) for found in by_class(visitor.page(url), "number")]


def test_each_comment_shows_its_number_in_the_book_and_on_its_own_page(visitor: Visitor) -> None:
    visitor.sign(message="Here first")
    visitor.sign(message="Here too")
    [url] = [link.attrib["href"] for link in by_class(visitor.page(), "date")][1:]
    assert numbers(visitor, "/") == ["no. 2", "no. 1"]
    assert numbers(visitor, url) == ["no. 1"]


def test_a_large_number_is_easy_to_read(app: Flask, visitor: Visitor) -> None:
    add(app, ["Hello"], number=1204)
    assert numbers(visitor, "/") == ["no. 1,204"]


def test_a_comment_without_a_number_shows_none(app: Flask, visitor: Visitor) -> None:
    add(app, ["Hello"])
    assert numbers(visitor, "/") == []
