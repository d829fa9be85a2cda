"""The quick way to read the pages of tests finds what html5lib finds, and no less."""

from xml.etree.ElementTree import tostring

import html5lib
import pytest
from html5lib.html5parser import ParseError

from tests.support import strict_html

PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Book</title></head><body>
<table><tr><td id="x"> One  two </td></tr></table><p title="A">Text <a href="/a">link</a> &amp; more</p>
<form><textarea id="text">
typed</textarea><input type="hidden" value="key"></form><script>let x = 1</script></body></html>
"""


def whole(page: str) -> bytes:
    return tostring(html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Text", "Another text, as long as it likes"),
        ('"/a"', '"/b?c=d"'),
        ("key", "other-key"),
        ("Book", "\u00a0"),
        ("One  two", "\ue0000\ue001"),
        ("typed", ""),
        ("typed", "\ntyped"),
        ("more", "more &lt; 3"),
        ("let x = 1", "let x = y > 1"),
        ("let x = 1", "let x = 1 > y &amp; z"),
        ("Text", "&#34;Text&#34; &lt;"),
        ("Text", "a &amp;&amp;lt; b"),
        ('"/a"', '"/a?b=c&amp;d=&#39;"'),
        ('"key"', '""'),
        ('"key"', '" key &amp; "'),
        ("One  two", " &amp; "),
        ("typed", "&lt;\n"),
        (">Text", " data-x>Text"),
        ("A", "> b <"),
        ("<p", "<!-- a > b <c --><p"),
    ],
)
def test_each_page_is_read_as_html5lib_reads_it(old: str, new: str) -> None:
    for page in (PAGE, PAGE.replace(old, new)):
        assert tostring(strict_html.parse(page)) == whole(page)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<td", "<b>words</b><td"),
        ("Text", "Te\0xt"),
        ("Text", "Te\x01xt"),
        ("Text", "Te\ufffext"),
        ("Text", "&nothing; or so"),
        ("more", "&#1;"),
        ("more", "&ampere"),
        ('title="A"', 'title="x title="" y"'),
        ("</a>", ""),
        ("</p>", "</b></p>"),
        ('"A"', '"A" title="B"'),
        ('"A"', '"A"B"'),
        ('"/a"', '"/a"b"'),
        ('"/a"', '"/a&#x1;"'),
        ("<title>", "<title>a</title><title"),
        ("Text", "1 < 2"),
        ("<!DOCTYPE html>", ""),
        ("<p", "<!-- a > b -- <c --><p"),
        ("</body>", "</body>words"),
        ("key", "\x7f"),
    ],
)
def test_an_error_is_found_after_the_page_was_read_without_it(old: str, new: str) -> None:
    strict_html.parse(PAGE)
    broken = PAGE.replace(old, new)
    with pytest.raises(ParseError):
        whole(broken)
    with pytest.raises(ParseError):
        strict_html.parse(broken)
