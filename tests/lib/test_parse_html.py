"""What a page holds: its links, hostile pages too, its addresses, and who says what in its microformats."""

import time

import pytest

from guestbook.lib import parse_html
from guestbook.lib.parse_html import PageEntry, WebPage

PAGE = "https://site.example/blog/post"
LARGE = 500_000  # characters, half of what is read at most
MOST_SECONDS = 30  # of CPU; what takes the square of the size would need many minutes


def urls(html: str) -> list[str]:
    return [link.url for link in parse_html.read_links(html, PAGE).links]


def test_links_stand_in_the_order_of_the_document_and_are_absolute() -> None:
    html = """<LINK HREF=/a REL="Me X"><a href='b'>b</a><img src="//c.example/c"><video poster=d></video>
    <blockquote cite="?e">x</blockquote><a>none</a><a href="">itself</a><a href="http://[">broken</a>"""
    assert urls(html) == [
        "https://site.example/a",
        "https://site.example/blog/b",
        "https://c.example/c",
        "https://site.example/blog/d",
        "https://site.example/blog/post?e",
        PAGE,
    ]
    assert parse_html.read_links(html, PAGE).links[0].rel == {"me", "x"}


def test_the_first_base_counts() -> None:
    html = '<a href="x">1</a><base href="/other/"><base href="/third/"><a href="x">2</a>'
    assert urls(html) == ["https://site.example/blog/x", "https://site.example/other/x"]


@pytest.mark.parametrize(
    "html",
    [
        "<!-- <a href=x> -->",
        "<!-- > <a href=x> -->",
        "&lt;a href=x&gt;",
        "<script>'<a href=x>'</script>",
        "<style><a href=x></style>",
        "<textarea><a href=x></textarea>",
        "<title><a href=x></title>",
        "<template><a href=x></template>",
        "<a title='<a href=x>'>",
    ],
)
def test_what_only_looks_like_a_link_is_none(html: str) -> None:
    assert urls(html + "<p>") == []


def test_a_title_and_the_size_are_noted() -> None:
    found = parse_html.read_links('<title>A &amp; B</title><p class="a b"><i><br></i></p><p>', PAGE)
    assert (found.title, found.tags, found.depth, found.class_names) == ("A & B", 5, 2, 2)


@pytest.mark.parametrize(
    "html",
    [
        *("<" * LARGE, "<a " * 150_000, "<a " + "a=" * 250_000, "<!--" * 125_000, "<![CDATA[" * 50_000),
        *("<b>" * 150_000, "<i>" + "</b>" * 125_000, '<a b="' * 80_000, "<script>" + "</scrip" * 70_000),
        *("<a href=x>" * 50_000, "&#x" * 150_000, '<div class="h-entry"><div class="e-content">' * 10_000),
        '<div class="h-entry"><p class="p-name">' * 70 + "x" * LARGE,
    ],
    ids=lambda html: html[:12],
)
def test_a_hostile_page_is_read_in_linear_time(html: str) -> None:
    began = time.thread_time()
    found = parse_html.read_links(html, PAGE)
    page = WebPage(PAGE, "text/html", "", html)
    assert parse_html.read_entry(page, found, "https://book.example/").relation == ""
    parse_html.of_html(html)  # of a comment in another program's file
    assert time.thread_time() - began < MOST_SECONDS


@pytest.mark.parametrize(
    "section", ["<![CDATle b>", "<![ foo [bar]]>", "<![<br>", "<![CDATA[x]]>", "<![if a]>"]
)
def test_a_section_that_python_cannot_read_is_skipped(section: str) -> None:
    found = parse_html.read_links(f'{section}<a href="/x">', PAGE)
    assert [link.url for link in found.links] == ["https://site.example/x"]
    assert parse_html.of_html(f"<p>One</p>{section}<p>two</p>") == "One\n\ntwo"
    assert parse_html.of_html("Three <![") == "Three <! ["


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('<a>; rel="x Y"', [("a", {"x", "y"})]),
        ("<a>;rel=x,<b> ; REL = y", [("a", {"x"}), ("b", {"y"})]),
        ('<a,b;c>; title="q, <z>; rel=no"; rel=x', [("a,b;c", {"x"})]),
        ("<a>; rel=x; rel=y", [("a", {"x"})]),
        ("<a>; type=x, <b>; rel=", [("b", set())]),
        ("nothing; rel=x", []),
        ("<" * 16_000, []),
        ("<a>" + ';"' * 8_000, []),
    ],
)
def test_a_link_header_is_read(header: str, expected: list[tuple[str, set[str]]]) -> None:
    assert list(parse_html.header_links(header)) == expected


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/html; charset=iso-8859-1", b"\xe9", "é"),
        ("text/html", "é".encode(), "é"),
        ("text/html", b'<meta charset="windows-1252">\x80', '<meta charset="windows-1252">€'),
        ("text/html; charset=punycode", b"a-", "a-"),
        ("text/html; charset=iso-8859-99", b"a", "a"),
        ("text/html", b"\xff", "\ufffd"),
    ],
)
def test_a_page_is_decoded_as_it_says(kind: str, body: bytes, text: str) -> None:
    assert parse_html.read(PAGE, {"content-type": kind}, body, 1000).text == text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://A.example", "https://a.example:443/", True),
        ("http://a.example:80/x", "http://a.example/x", True),
        ("https://a.example/x", "https://a.example/X", False),
        ("https://a.example/x", "https://a.example/x?", True),
        ("https://a.example/x", "https://a.example/x#y", False),
        ("http://a.example/", "https://a.example/", False),
    ],
)
def test_addresses_are_compared_in_their_normal_form(one: str, other: str, same: bool) -> None:
    assert (parse_html.normal_address(one) == parse_html.normal_address(other)) is same
    assert parse_html.normal_address("http://[") == parse_html.normal_address("http://a:99999/") == ""


# --- microformats

ENTRY_PAGE, BOOK = "https://site.example/post", "https://book.example/"


def read(html: str) -> PageEntry:
    return parse_html.read_entry(
        WebPage(ENTRY_PAGE, "text/html", "", html), parse_html.read_links(html, ENTRY_PAGE), BOOK
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
    found = parse_html.read_links(f'{html}<a href="/?{long}">', ENTRY_PAGE)
    assert (found.title, len(found.links)) == ("a \ufffd b", 1)
    assert read(html).content == "a \ufffd b"
    page = WebPage(ENTRY_PAGE, "application/json", "", f'[{"9" * 5000}, "{BOOK}"]')
    assert parse_html.addresses(page) == [BOOK]


def test_a_page_that_is_too_large_gives_its_title() -> None:
    html = "<title>Large</title>" + '<p class="h-entry"><b class="e-content">x</b></p>' * 5001
    assert read(html) == PageEntry(title="Large")
