"""The links of HTML pages, hostile ones too; the Link header; the addresses that pages hold."""

import time

import pytest

from guestbook.lib import page_content
from guestbook.lib.page_content import WebPage

PAGE = "https://site.example/blog/post"
LARGE = 500_000  # characters, half of what is read at most
MOST_SECONDS = 30  # of CPU; what takes the square of the size would need many minutes


def urls(html: str) -> list[str]:
    return [link.url for link in page_content.read_links(html, PAGE).links]


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
    assert page_content.read_links(html, PAGE).links[0].rel == {"me", "x"}


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
    found = page_content.read_links('<title>A &amp; B</title><p class="a b"><i><br></i></p><p>', PAGE)
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
    found = page_content.read_links(html, PAGE)
    page = WebPage(PAGE, "text/html", "", html)
    assert page_content.read_entry(page, found, "https://book.example/").relation == ""
    assert time.thread_time() - began < MOST_SECONDS


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
    assert list(page_content.header_links(header)) == expected


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
    assert page_content.read(PAGE, {"content-type": kind}, body, 1000).text == text


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
    assert (page_content.normal_address(one) == page_content.normal_address(other)) is same
    assert page_content.normal_address("http://[") == page_content.normal_address("http://a:99999/") == ""
