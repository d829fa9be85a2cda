"""Who says what on a page, read from its microformats."""

import pytest

from guestbook.lib import page_content
from guestbook.lib.page_content import PageEntry, WebPage

PAGE = "https://site.example/post"
BOOK = "https://book.example/"


def read(html: str) -> PageEntry:
    return page_content.read_entry(
        WebPage(PAGE, "text/html", "", html), page_content.read_links(html, PAGE), BOOK
    )


@pytest.mark.parametrize("relation", ["in-reply-to", "like-of", "repost-of", "bookmark-of"])
def test_it_says_what_the_author_does(relation: str) -> None:
    assert read(f'<p class="h-entry"><a class="u-{relation}" href="{BOOK}"></a></p>').relation == relation
    cite = (
        f'<div class="h-entry"><p class="u-{relation} h-cite"><a class="u-url" href="{BOOK}"></a></p></div>'
    )
    assert read(cite).relation == relation


def test_another_address_is_no_relation() -> None:
    assert read(f'<p class="h-entry"><a class="u-like-of" href="{BOOK}x"></a></p>').relation == ""


@pytest.mark.parametrize(
    ("author", "name", "website"),
    [
        ('<a class="p-author h-card" href="/me">Ada</a>', "Ada", "https://site.example/me"),
        ('<p class="p-author">Ada</p>', "Ada", ""),
        ('<a class="u-author" href="/me"></a>', "", "https://site.example/me"),
        ("", "", ""),
    ],
)
def test_an_author_may_be_written_in_several_ways(author: str, name: str, website: str) -> None:
    entry = read(f'<div class="h-entry">{author}<p class="e-content">Hi</p></div>')
    assert (entry.name, entry.website, entry.content) == (name, website, "Hi")


def test_the_entry_that_links_to_the_book_counts() -> None:
    one = '<div class="h-entry"><p class="e-content">One</p></div>'
    two = f'<div class="h-entry"><p class="e-content">Two <a href="{BOOK}">x</a></p></div>'
    assert read(one + two).content == "Two x"
    assert read(f'<div class="h-feed">{one}{two}</div>').content == "Two x"
    assert read(one).content == "One"


def test_a_title_that_only_repeats_the_text_is_left_out() -> None:
    assert read('<div class="h-entry"><p class="p-name e-content">Hello there</p></div>').title == ""
    assert read('<p class="h-entry"><b class="p-name">T</b><i class="e-content">C</i></p>').title == "T"


def test_a_number_of_thousands_of_digits_costs_one_character() -> None:
    long = f"a &#{'9' * 5000}; b"
    html = f'<title>{long}</title><p class="h-entry" title="{long}"><i class="e-content">{long}</i></p>'
    found = page_content.read_links(f'{html}<a href="/?{long}">', PAGE)
    assert (found.title, len(found.links)) == ("a \ufffd b", 1)
    assert read(html).content == "a \ufffd b"
    page = WebPage(PAGE, "application/json", "", f'[{"9" * 5000}, "{BOOK}"]')
    assert page_content.addresses(page) == [BOOK]


def test_a_page_that_is_too_large_gives_its_title() -> None:
    html = "<title>Large</title>" + '<p class="h-entry"><b class="e-content">x</b></p>' * 5001
    assert read(html) == PageEntry(title="Large")
