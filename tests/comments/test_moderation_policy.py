"""What is published, what waits for the owner, what is spam."""

import time

import pytest

from guestbook.comments.comment_form import Draft
from guestbook.comments.moderation_policy import LINK_PATTERN, Classification, classify


def classified(message: str, *, trap: str = "", age: float | None = 60) -> Classification:
    return classify(Draft("Ada", None, message, {}), trap=trap, age=age)


def test_an_ordinary_comment_is_published_without_a_reason() -> None:
    assert classified("Hello") == Classification("published", None)


def test_a_filled_in_trap_is_spam_whatever_else_is_right() -> None:
    verdict = classified("Hello", trap=" ")
    assert verdict == Classification("spam", "It filled in the hidden field, which people cannot see.")


def test_a_quick_comment_with_a_link_is_spam() -> None:
    verdict = classified("See https://example.org", age=1.24)
    assert verdict == Classification("spam", "It holds a link and was written in 1.2 seconds.")


@pytest.mark.parametrize(
    ("message", "age"), [("Hello", 0.1), ("See https://example.org", 3.0), ("See https://example.org", None)]
)
def test_quick_alone_or_a_link_alone_is_published(message: str, age: float | None) -> None:
    assert classified(message, age=age).status == "published"


def test_three_links_are_published_and_four_wait() -> None:
    assert classified("http://a.example " * 3).status == "published"
    verdict = classified("http://a.example " * 4)
    assert verdict == Classification("held", "It holds 4 links; more than 3 wait for your approval.")


@pytest.mark.parametrize(
    ("message", "links"),
    [
        ("HTTPS://www.example.com/a.com?b", 2),
        ("www.example.org, example.com; example.net.", 3),
        ("http://a.example,http://b.example", 2),
        ("[url=http://a.example]x[/url] <a href='http://b.example'>", 2),
        ("ada@example.com and e.g. this, 3.14, example.txt", 0),
    ],
)
def test_what_the_page_would_link_counts_as_a_link(message: str, links: int) -> None:
    assert len(LINK_PATTERN.findall(message)) == links


@pytest.mark.parametrize("part", ["a.", "a-", "http", "www.", "a.com", "@a", "-."])
def test_a_message_as_long_as_allowed_is_checked_in_a_moment(part: str) -> None:
    start = time.thread_time()
    classified(part * (4000 // len(part)))
    assert time.thread_time() - start < 2  # quadratic: minutes


def test_every_reason_fits_its_column() -> None:
    for verdict in (classified("x", trap="x"), classified("http://a" * 1000), classified("http://a", age=0)):
        assert 0 < len(verdict.reason or "") <= 200
