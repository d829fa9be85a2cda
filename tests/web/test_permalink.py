"""A comment that somebody links to is highlighted: on its own page, and in the book at its anchor."""

from pathlib import Path

from flask import Flask

import guestbook
from tests.support.visitor import Visitor, add, attributes, by_class

HIGHLIGHT = ".comment:target, .subtitle + .comment {"  # both, in the stylesheet


def test_the_stylesheet_highlights_the_comment_of_an_anchor_and_of_its_own_page() -> None:
    css = (Path(guestbook.__file__).parent / "static/book.css").read_text()
    [rule] = [line for line in css.splitlines() if line.startswith(HIGHLIGHT)]
    assert "background: var(--success-background)" in rule


def test_its_own_page_has_the_comment_where_the_stylesheet_looks_for_it(app: Flask, visitor: Visitor) -> None:
    [comment_id] = add(app, ["Hello"])
    [column] = by_class(visitor.page(f"/comments/{comment_id}"), "one-column")
    heading, article = list(column)[:2]
    assert heading.attrib["class"] == "subtitle"
    assert article.attrib["class"].split()[0] == "comment"


def test_the_book_leads_to_the_anchor_after_signing(visitor: Visitor) -> None:
    place = visitor.sign().location
    anchor = place.partition("#")[2]
    assert attributes(visitor.page(place), f".//article[@id='{anchor}']")
