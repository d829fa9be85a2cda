"""The encoding that a content type or a page names. Pure."""

import codecs
import re

# Python knows encodings that take a second for each kilobyte, so only those of pages are used.
PAGE_ENCODING = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|iso-?8859-?\d{1,2}|windows-?125\d|koi8-[ru]|shift_jis"
    r"|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5|us-ascii",
    re.IGNORECASE,
)
# Both names mean the letters of Windows: https://encoding.spec.whatwg.org/#names-and-labels
WINDOWS_NAMES = re.compile(r"iso-?8859-?1|us-ascii", re.IGNORECASE)
NAMED_ENCODING = re.compile(r"""charset\s*=\s*["']?([\w-]{1,40})""", re.IGNORECASE)


def is_named(text: str) -> bool:
    """Whether a text names an encoding at all."""
    return bool(NAMED_ENCODING.search(text))


def named(text: str) -> str | None:
    """Return Python's name of the encoding that `charset=` names; None for none, or for an unknown one."""
    found = NAMED_ENCODING.search(text)
    if not found or not PAGE_ENCODING.fullmatch(found[1]):
        return None
    if WINDOWS_NAMES.fullmatch(found[1]):
        return "cp1252"
    try:
        return codecs.lookup(found[1]).name
    except LookupError:  # ISO 8859 has no part of that number
        return None
