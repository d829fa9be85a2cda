"""html5lib reads a page letter by letter. Here it reads only the skeleton of a page, and each skeleton once.

A skeleton has marks where a page has texts and values that can make no difference to the parser: it finds the
same errors in both. What is odd in any way is read as a whole.
"""

import html
import re
from copy import deepcopy
from functools import lru_cache
from xml.etree.ElementTree import Element

import html5lib
from html5lib._inputstream import invalid_unicode_re

START, END = "\ue000", "\ue001"  # around the number of a mark
MARK = re.compile(f"{START}([0-9]+){END}")
NAMES = "href|value|id|for|datetime|action|formaction|src|title|aria-label"
REST = r"""[^<>&"'\0\r]*(?:&(?:amp|lt|gt|#34|#39);[^<>&"'\0\r]*)*"""  # as Jinja escapes it
FIRST = r"""(?![ \t\n\f\r])(?=[^<"'])"""
# A text without quotes, since an attribute may hold a ">" too. The blanks before it stay, since some places
# take nothing else. A value does not begin with a blank, which could end another value before it.
VARIABLE = re.compile(f"""(>[ \\t\\n\\f]*){FIRST}({REST})(?=<)|( (?:{NAMES})=")(?!\\s)({REST})(?=")""")
RAW = ("script", "style")  # where no escape is read
ODD = re.compile(f"[{START}{END}]|<!--|<!\\[")
SKELETONS = 200  # that are kept


def parse(text: str) -> Element:
    """Read a page; raises on every error that the HTML standard names."""
    if ODD.search(text) or not _has_no_invalid_character(text):
        return _read(text)
    values: list[str] = []

    def mark(found: re.Match[str]) -> str:
        before, value = found.group(1, 2) if found[1] else found.group(3, 4)
        values.append(value)
        return f"{before}{START}{len(values) - 1}{END}"

    page = deepcopy(_read_skeleton(VARIABLE.sub(mark, text)))
    for element in page.iter():
        _fill(element, values)
    return page


def _has_no_invalid_character(text: str) -> bool:
    """Whether it has none of those that html5lib calls invalid; whatever can be printed is none of them."""
    return text.replace("\n", "").isprintable() or not invalid_unicode_re.search(text)


@lru_cache(maxsize=SKELETONS)
def _read_skeleton(text: str) -> Element:
    return _read(text)


def _read(text: str) -> Element:
    root: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return root


def _fill(element: Element, values: list[str]) -> None:
    """Put the values where their marks are."""

    def raw(found: re.Match[str]) -> str:
        return values[int(found[1])]

    def value(found: re.Match[str]) -> str:
        return html.unescape(values[int(found[1])])

    if element.text and START in element.text:
        element.text = MARK.sub(raw if element.tag in RAW else value, element.text)
    if element.tail and START in element.tail:
        element.tail = MARK.sub(value, element.tail)
    for name, marked in element.attrib.items():
        if START in marked:
            element.attrib[name] = MARK.sub(value, marked)
