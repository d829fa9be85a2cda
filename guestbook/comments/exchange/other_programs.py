"""A file to import from is opened: by its kind, with how far it was read. The kinds of others are read here.

They are Isso's database and a WordPress export (WXR).
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from xml.parsers import expat

from guestbook.comments.comment_actions import REPLIED_LIMIT, REPLY_LIMIT
from guestbook.comments.comment_form import MESSAGE_LIMIT
from guestbook.comments.exchange import file_formats
from guestbook.comments.exchange.file_formats import LINE_LIMIT, FileRow
from guestbook.lib import clock, parse_html
from guestbook.lib.errors import Refused
from guestbook.storage.backup import SQLITE_HEAD

ANONYMOUS = "Anonymous"  # the name of a comment without any, which this book does not allow


def _is_of(address: str, page: str | None) -> bool:
    """Whether an address is that of the page, given as an address or its path; None wants all."""
    return page is None or _path(address) == _path(page)


def _path(address: str) -> str:
    try:
        parts = urlsplit(address.strip())
    except ValueError:  # The brackets are impossible.
        return address
    path = parts.path.strip("/")
    return f"{path}?{parts.query}" if parts.query else path


OTHER_FIELDS = 4000  # bytes of a comment beside its message, at most


def placed(page: Iterable[FileRow]) -> Iterator[FileRow]:
    """Yield the comments of a page: an owner's answer is a comment's reply, any other names whom it answers.

    An owner's answer to that reply continues it. One that does not fit stays a comment of its own.
    """
    rows = sorted(page, key=lambda row: row.number)
    places = {row.number: place for place, row in enumerate(rows) if row.number and not row.problem}
    targets: dict[int, int] = {}  # the place of an owner's answer → that of the comment whose reply it is
    replies: dict[int, dict[str, str]] = {}  # the fields of a comment's reply
    for place, row in enumerate(rows):
        parent = places.get(row.parent, place)
        target = targets.get(parent, parent)
        if row.is_owners and target < place and (reply := _replied(rows[target], replies.get(target), row)):
            targets[place], replies[target] = target, reply
    for place, row in enumerate(rows):
        parent = places.get(row.parent, place)
        fields = {**row.fields, **replies.get(place, {})}
        if parent < place and not row.problem:
            message = f"@{' '.join(rows[parent].fields['name'].split())}:\n{fields['message']}"
            fields["message"] = message if len(message) <= MESSAGE_LIMIT else fields["message"]
        if place not in targets:
            yield replace(row, fields=fields)


def _replied(comment: FileRow, before: Mapping[str, str] | None, answer: FileRow) -> dict[str, str] | None:
    """Return the fields of the reply with one more answer; None if it does not fit."""
    message, at = answer.fields["message"], answer.fields["created_at"]
    if before:
        message, at = f"{before['reply']}\n\n{message}", before["reply_created_at"]
    both = json.dumps([comment.fields["message"], message], ensure_ascii=False)
    if len(message) > REPLY_LIMIT or len(both.encode(errors="replace")) > REPLIED_LIMIT - OTHER_FIELDS:
        return None
    return {"reply": message, "reply_created_at": at}


MODES = {1: "published", 2: "held"}  # 4 is a deleted one, which has no words and is kept for its replies
# Never the IP address. The e-mail address only tells who the owner is: this book does not store it.
ISSO_COMMENTS = """
    SELECT comments.id, threads.uri, comments.created, comments.mode, comments.parent, comments.email,
        comments.author, comments.website, comments.text
    FROM comments JOIN threads ON threads.id = comments.tid ORDER BY comments.id
"""
OTHER_KINDS = "SELECT name FROM sqlite_master WHERE name IN ('comments', 'threads') AND type <> 'table'"


def count_isso(path: Path) -> int:
    """Return how many rows there are; raises Refused."""
    with closing(_opened_isso(path)) as connection:
        try:
            views = connection.execute(OTHER_KINDS).fetchall()
            if views:  # A view may compute rows without an end.
                raise Refused(f"{path} is not a database of Isso: {views[0][0]} is not a table.")
            found: int = connection.execute(f"SELECT count(*) FROM ({ISSO_COMMENTS})").fetchone()[0]
        except (sqlite3.Error, UnicodeError) as error:  # A sentence of SQLite may not be UTF-8.
            raise Refused(f"{path} is not a database of Isso: {error}.") from None
        return found


def read_isso(path: Path, page: str | None, owners: Set[str] = frozenset()) -> Iterator[FileRow]:
    """Yield the comments, of all pages or one; raises Refused.

    Isso does not know who its owner is: `owners` are names and e-mail addresses, in lower case.
    """
    with closing(_opened_isso(path)) as connection:
        try:
            rows = connection.execute(ISSO_COMMENTS)
            wanted = (row for row in rows if row[3] in MODES and _is_of(str(row[1]), page))
            yield from placed(_isso_row(owners, *row) for row in wanted)
        except (sqlite3.Error, UnicodeError) as error:
            raise Refused(f"{path} cannot be read: {error}.") from None


def _opened_isso(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LINE_LIMIT)
    connection.text_factory = lambda stored: stored.decode(errors="replace")
    return connection


def _isso_row(
    owners: Set[str], number: object, uri: object, created: object, mode: int, parent: object, *words: object
) -> FileRow:
    where = f"Comment {number}"
    try:
        moment = datetime.fromtimestamp(float(str(created)), UTC)
    except (ValueError, OverflowError, OSError):
        return FileRow(where, problem="its time is not a number of seconds")
    email, author, website, text = ("" if one is None else str(one) for one in words)
    author = parse_html.unescaped(author)  # Isso escapes it and the website when it stores them
    fields = {
        "name": author or ANONYMOUS,
        "website": parse_html.unescaped(website),
        "message": text,  # It stays in Markdown.
        "status": MODES[mode],
        "created_at": clock.to_text(moment),
    }
    return FileRow(
        where,
        fields,
        key=f"isso {uri} {number}",
        number=number if isinstance(number, int) else 0,
        parent=parent if isinstance(parent, int) else 0,
        is_owners=MODES[mode] == "published" and not owners.isdisjoint((email.lower(), author.lower())),
    )


PARSED_AT_ONCE = 65536  # bytes
WXR_NAMESPACE = re.compile(r"https?://wordpress\.org/export/[0-9.]+/ ")
APPROVALS = {"1": "published", "0": "held", "spam": "spam", "trash": "trash", "post-trashed": "trash"}
COMMENT_TYPES = ("", "comment")  # Others are pingbacks, trackbacks and notes of orders.
NO_TIME = "0000-00-00 00:00:00"
# Never the IP address. The e-mail address only tells who the owner is: this book does not store it.
WANTED = frozenset(
    f"comment_{name}"
    for name in (
        *("id", "author", "author_url", "content", "approved", "type", "date", "date_gmt"),
        *("parent", "user_id", "author_email"),
    )
)


def read_wordpress(file: BinaryIO, page: str | None, owners: Set[str] = frozenset()) -> Iterator[FileRow]:
    """Yield the comments, of all pages or one; raises Refused for what is not XML.

    The owner's are those of users who have written what was exported. `owners` are other names and e-mail
    addresses, in lower case.
    """
    export = _Export(page, owners)
    piece, fault = b"...", None
    while piece and not fault:
        piece = file.read(PARSED_AT_ONCE)
        try:
            export.parser.Parse(piece, not piece)
        except expat.ExpatError as error:
            what = f"Line {error.lineno} is not XML: {expat.ErrorString(error.code)}"
            fault = Refused(f"{what}. The rest of the file was not read.")
        except (LookupError, ValueError):  # Expat does not know the encoding.
            fault = Refused("The file names an encoding that cannot be read. Save it as UTF-8.")
        except Refused as error:
            fault = error
        if fault or not piece:
            export.end_page()
        yield from export.rows
        export.rows.clear()
    if fault:
        raise fault


class _Export:
    """Collects the text of the wanted elements, and makes a row at the end of each comment."""

    def __init__(self, page: str | None, owners: Set[str]) -> None:
        self._page, self._owners = page, owners
        self._authors: set[str] = set()  # the numbers of users who have written posts and pages
        self._link = self._site = ""
        self._fields: dict[str, str] | None = None  # the fields of the open comment
        self._text: list[str] = []
        self._size = self._line = 0
        self._page_rows: list[FileRow] = []  # An answer may come before its comment.
        self.rows: list[FileRow] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add

    def end_page(self) -> None:
        """Make rows of the comments since the last page."""
        self.rows += placed(self._page_rows)
        self._page_rows = []

    def _refuse_doctype(self, *_: object) -> None:
        raise Refused(
            "The file has a DOCTYPE, which an export of WordPress never has. Nothing more was read."
        )

    def _start(self, name: str, _attributes: object) -> None:
        self._text, self._size = [], 0
        if WXR_NAMESPACE.sub("", name, 1) == "comment" and name != "comment":
            self._fields, self._line = {}, self.parser.CurrentLineNumber

    def _add(self, text: str) -> None:
        if self._size <= LINE_LIMIT:  # What is longer is refused.
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
        elif self._fields is not None and local == "comment":
            is_comment = self._fields.get("comment_type", "") in COMMENT_TYPES
            if is_comment and _is_of(self._link, self._page):
                self._page_rows.append(self._row(self._fields))
            self._fields = None
        elif self._fields is not None and local in WANTED:
            self._fields[local] = text

    def _row(self, found: Mapping[str, str]) -> FileRow:
        where, number = f"Line {self._line}", found.get("comment_id", "").strip()
        approved, gmt = found.get("comment_approved", "").strip(), found.get("comment_date_gmt", NO_TIME)
        if approved not in APPROVALS:
            return FileRow(where, problem=f"its comment_approved is {approved!r}")
        fields = {
            "name": parse_html.of_html(found.get("comment_author", "")).strip() or ANONYMOUS,
            "website": parse_html.of_html(found.get("comment_author_url", "")),
            "message": parse_html.of_html(found.get("comment_content", "")),
            "status": APPROVALS[approved],
            "created_at": found.get("comment_date", "") if gmt.strip() == NO_TIME else gmt,
        }
        user = found.get("comment_user_id", "").strip()
        names = {found.get(f"comment_author{part}", "").strip().lower() for part in ("", "_email")}
        is_owners = user in self._authors - {"", "0"} or not self._owners.isdisjoint(names)
        return FileRow(
            where,
            fields,
            key=f"wordpress {self._site} {number}",
            number=_whole(number),
            parent=_whole(found.get("comment_parent", "")),
            is_owners=is_owners and fields["status"] == "published",
        )


def _whole(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,18}", text.strip()) else 0


IMPORT_FORMATS = ("auto", "jsonl", "csv", "isso", "wordpress")
NO_COMMENTS = (
    "The file has no comment that can be read. These files are read: JSON lines and CSV from "
    "`comments export`, any other CSV with --map, the database of Isso, and the export of WordPress (WXR)."
)
WITH_PAGES = ("isso", "wordpress")
BEGINNING = 1024  # bytes
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read a file."""

    kind: str = "auto"  # one of IMPORT_FORMATS
    columns: Mapping[str, str] = field(default_factory=dict)  # field → heading of a CSV file
    time_format: str | None = None  # the times of a CSV file, as strptime wants it
    owners: Set[str] = frozenset()  # names and e-mail addresses, in lower case
    page: str | None = None  # the address or the path of the only page, for Isso and WordPress


@dataclass(frozen=True, slots=True)
class ImportFile:
    """An open file."""

    rows: Iterator[FileRow]
    size: int  # 0 if nobody knows
    position: Callable[[int], int]  # how much of the size was read for so many rows


@contextmanager
def opened(path: Path | None, standard_input: BufferedReader, options: ImportOptions) -> Iterator[ImportFile]:
    """Open a file, or standard input for None; raises Refused for one that cannot be a list of comments."""
    try:
        file = path.open("rb") if path else standard_input
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror or error}.") from None
    with file if path else nullcontext():
        kind = _kind(file, options)
        if kind != "csv" and (options.columns or options.time_format):
            raise Refused(f"--map and --time-format are for CSV files, and this one is {kind}.")
        if kind not in WITH_PAGES and (options.page or options.owners):
            raise Refused(f"--page and --owner are for {' and '.join(WITH_PAGES)}, and this file is {kind}.")
        if kind == "isso":
            if path is None:
                raise Refused("A database cannot be read from standard input. Name its file.")
            rows = read_isso(path, options.page, options.owners)
            yield ImportFile(rows, count_isso(path), lambda done: done)
            return
        if kind == "wordpress":
            rows = read_wordpress(file, options.page, options.owners)
        elif kind == "csv":
            rows = file_formats.read_csv(file, options.columns, options.time_format)
        else:
            rows = file_formats.read_json_lines(file)
        yield ImportFile(rows, path.stat().st_size if path else 0, lambda _: file.tell() if path else 0)


def _kind(file: BufferedReader, options: ImportOptions) -> str:
    """Return what the file is by its first bytes, which stay unread."""
    start = file.peek(BEGINNING)[:BEGINNING]
    if start.startswith(UTF_16):
        raise Refused("The file is in UTF-16. Save it as UTF-8, such as CSV UTF-8.")
    if b"\0" in start and not start.startswith(SQLITE_HEAD):
        raise Refused("The file is not text. Unpack an archive first, and save a spreadsheet as CSV UTF-8.")
    if options.kind != "auto":
        return options.kind
    if start.startswith(SQLITE_HEAD):
        return "isso"
    words = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<(!doctype )?html", words, re.IGNORECASE):
        raise Refused("The file is a web page, perhaps of a login. Export the comments again.")
    if re.match(rb"<\?xml|<rss|<!--", words):
        return "wordpress"
    return "jsonl" if words.startswith(b"{") or not words else "csv"
