"""Comments of a WordPress export (WXR): https://wordpress.org/documentation/article/tools-export-screen/.

The parser is Expat, fed a piece at a time. A DOCTYPE is refused before its first entity: an export has none,
and entities are how a small file fills the memory or reads other files.
"""

import re
from collections.abc import Iterator, Mapping, Set
from typing import BinaryIO
from xml.parsers import expat

from guestbook.comments.exchange import answers, web_page
from guestbook.comments.exchange.file_row import LINE_LIMIT, FileRow
from guestbook.lib import html_text
from guestbook.lib.errors import Refused

PARSED_AT_ONCE = 65536  # bytes
WXR_NAMESPACE = re.compile(r"https?://wordpress\.org/export/[0-9.]+/ ")
APPROVALS = {"1": "published", "0": "held", "spam": "spam", "trash": "trash", "post-trashed": "trash"}
COMMENT_TYPES = ("", "comment")  # others are a pingback, a trackback or an order's note
NO_TIME = "0000-00-00 00:00:00"
# Never the IP address. The e-mail address only tells who the owner is: this book does not store it.
WANTED = frozenset(
    f"comment_{name}"
    for name in (
        *("id", "author", "author_url", "content", "approved", "type", "date", "date_gmt"),
        *("parent", "user_id", "author_email"),
    )
)


def read(file: BinaryIO, page: str | None, owners: Set[str] = frozenset()) -> Iterator[FileRow]:
    """Yield the comments, of all pages or one; raises Refused for what is not XML.

    The owner's are those of users who have written what was exported. `owners` are other names and e-mail
    addresses, in lower case.
    """
    export = _Export(page, owners)
    is_over = False
    while not is_over:
        piece = file.read(PARSED_AT_ONCE)
        is_over = not piece
        try:
            export.feed(piece, last=is_over)
        except Refused:
            export.end_page()
            yield from export.take()  # these came before the error
            raise
        if is_over:
            export.end_page()
        yield from export.take()


class _Export:
    """Collects the text of the wanted elements, and makes a row at the end of each comment."""

    def __init__(self, page: str | None, owners: Set[str]) -> None:
        self._page, self._owners = page, owners
        self._authors: set[str] = set()  # the numbers of users who have written posts and pages
        self._link = self._site = ""
        self._fields: dict[str, str] | None = None  # of the comment that is open
        self._text: list[str] = []
        self._size = self._line = 0
        self._page_rows: list[FileRow] = []  # of the page that is open: an answer may come before or after
        self._rows: list[FileRow] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        """Parse a piece; raises Refused."""
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            what = f"Line {error.lineno} is not XML: {expat.ErrorString(error.code)}"
            raise Refused(f"{what}. The rest of the file was not read.") from None
        except (LookupError, ValueError):  # what Python makes of an encoding that Expat does not know
            raise Refused("The file names an encoding that cannot be read. Save it as UTF-8.") from None

    def end_page(self) -> None:
        """Make rows of the comments since the last page."""
        self._rows += answers.placed(self._page_rows)
        self._page_rows = []

    def take(self) -> list[FileRow]:
        """Return the rows since the last time."""
        rows, self._rows = self._rows, []
        return rows

    def _refuse_doctype(self, *_: object) -> None:
        raise Refused(
            "The file has a DOCTYPE, which an export of WordPress never has. Nothing more was read."
        )

    def _start(self, name: str, _attributes: object) -> None:
        self._text, self._size = [], 0
        if WXR_NAMESPACE.sub("", name, 1) == "comment" and name != "comment":
            self._fields, self._line = {}, self._parser.CurrentLineNumber

    def _add(self, text: str) -> None:
        if self._size <= LINE_LIMIT:  # what is longer is refused, so it need not be kept
            self._text.append(text)
            self._size += len(text)

    def _end(self, name: str) -> None:
        local, text = WXR_NAMESPACE.sub("", name, 1), "".join(self._text)
        self._text = []
        if name == "link":
            self._link = text
        elif local == "base_blog_url":
            self._site = text
        elif local == "author_id":
            self._authors.add(text.strip())
        elif name == "item":
            self.end_page()
        elif local == "comment" and self._fields is not None:
            if self._is_wanted():
                row = _row(self._line, self._site, self._fields, is_owners=self._is_owners(self._fields))
                self._page_rows.append(row)
            self._fields = None
        elif self._fields is not None and local in WANTED:
            self._fields[local] = text

    def _is_wanted(self) -> bool:
        kind = (self._fields or {}).get("comment_type", "")
        return kind in COMMENT_TYPES and web_page.is_wanted(self._link, self._page)

    def _is_owners(self, found: Mapping[str, str]) -> bool:
        user = found.get("comment_user_id", "").strip()
        is_author = user not in ("", "0") and (user in self._authors or not self._authors)
        names = {found.get(f"comment_author{part}", "").strip().lower() for part in ("", "_email")}
        return is_author or not self._owners.isdisjoint(names)


def _row(line: int, site: str, found: Mapping[str, str], *, is_owners: bool) -> FileRow:
    where, number = f"Line {line}", found.get("comment_id", "").strip()
    approved, gmt = found.get("comment_approved", "").strip(), found.get("comment_date_gmt", NO_TIME)
    if approved not in APPROVALS:
        return FileRow(where, problem=f"its comment_approved is {approved!r}")
    fields = {
        "name": html_text.plain(found.get("comment_author", "")).strip() or web_page.ANONYMOUS,
        "website": html_text.plain(found.get("comment_author_url", "")),
        "message": html_text.plain(found.get("comment_content", "")),
        "status": APPROVALS[approved],
        "created_at": found.get("comment_date", "") if gmt.strip() == NO_TIME else gmt,
    }
    return FileRow(
        where,
        fields,
        key=f"wordpress {site} {number}",
        number=_whole(number),
        parent=_whole(found.get("comment_parent", "")),
        is_owners=is_owners and fields["status"] == "published",
    )


def _whole(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,18}", text.strip()) else 0
