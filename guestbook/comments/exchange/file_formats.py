"""Comments in files: the book's rows as text, written and read as CSV or as JSON lines.

CSV (RFC 4180) is safe in a spreadsheet: no cell of it is a formula.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, TextIO

from sqlalchemy import Connection, Engine, Select, func, select

from guestbook.lib import clock, ids, text as text_module
from guestbook.lib.errors import Refused
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.models import Comment, Origin, Reply

# In the order of the CSV's columns; those that were added later stand at the end. An empty text is none.
FIRST_FIELDS = (
    *("id", "name", "website", "message", "place", "note", "status", "reason", "reasons", "created_at"),
    *("announced_at", "edited_at", "number", "reply", "reply_created_at"),
    *("origin_name", "origin_url", "origin_told_at"),
)
LATER_FIELDS = ("last_sequence", "origin_source_id", "mood", "page")
FIELDS = (
    *(*FIRST_FIELDS, *LATER_FIELDS),
    *(name for name in COMMENT_FIELDS if name not in (*FIRST_FIELDS, *LATER_FIELDS)),
)
WHOLE_NUMBERS = ("number", "last_sequence")
FETCHED_ROWS = 500  # at once

# A field of a file → its column.
ORIGIN_FIELDS = {name: f"origin_{name}" for name in ("name", "url", "told_at", "source_id")}
OTHER_TABLES = {"reply": Reply.message, "reply_created_at": Reply.created_at}
OTHER_TABLES |= {field: getattr(Origin, name) for name, field in ORIGIN_FIELDS.items()}
COLUMNS = {name: OTHER_TABLES[name] if name in OTHER_TABLES else getattr(Comment, name) for name in FIELDS}


@dataclass(frozen=True, slots=True)
class ExportedComments:
    """Which comments; None is all."""

    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None  # the visitor's exact name

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return the query for these alone."""
        if self.status:
            query = query.where(Comment.status == self.status)
        if self.name is not None:
            query = query.where(Comment.name == self.name)
        if self.since:
            query = query.where(Comment.id >= ids.first_of(self.since))
        return query.where(Comment.id < ids.first_of(self.until)) if self.until else query


def count_comments(connection: Connection, wanted: ExportedComments) -> int:
    """Return how many comments those are."""
    return connection.scalar(wanted.narrow(select(func.count()).select_from(Comment))) or 0


def snapshot(engine: Engine) -> Connection:
    """Return a connection that sees the book as it is at its first read, whatever is written meanwhile."""
    connection = engine.connect()
    if engine.dialect.name != "sqlite":
        connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def comment_rows(connection: Connection, wanted: ExportedComments) -> Iterator[dict[str, str]]:
    """Yield the fields of each comment, the oldest first."""
    named: Any = [column.label(f"_{name}") for name, column in COLUMNS.items()]
    query = wanted.narrow(select(*named).select_from(Comment).outerjoin(Reply).outerjoin(Origin))
    ordered = query.order_by(Comment.id)
    for row in connection.execute(ordered, execution_options={"yield_per": FETCHED_ROWS}):
        yield {name: _text(value) for name, value in zip(COLUMNS, row, strict=True)}


def _text(value: str | int | datetime | None) -> str:
    return clock.to_text(value) if isinstance(value, datetime) else str(value or "")


LINE_LIMIT = 1_000_000  # bytes; the longest comment with its reply takes a tenth of it
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # `lines` decodes such bytes so.


@dataclass(frozen=True, slots=True)
class FileRow:
    """A comment in a file."""

    where: str  # such as `Line 7`
    fields: Mapping[str, str] = field(default_factory=dict)  # some of FIELDS
    key: str = ""  # what it is called where it comes from; none for what its content says
    number: int = 0  # its place among the others of the same millisecond
    parent: str = ""  # the key of the comment that it answers, if the program has threads
    page: str = ""  # the address or the path of the page with the comment, if the program has pages
    authors: tuple[str, ...] = ()  # the names and e-mail addresses of its author, to find the owner
    is_owners: bool = False  # The program says that the owner wrote it.
    problem: str | None = None  # why it cannot be read; then it has no fields


def lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a text in UTF-8 with their ends, and keep bytes that are not UTF-8 visible.

    Of a line that is too long to be a comment the end is left out.
    """
    mark = "\ufeff"
    while line := file.readline(LINE_LIMIT):
        end = line
        while len(end) == LINE_LIMIT and not end.endswith(b"\n"):
            end = file.readline(LINE_LIMIT)
        text = (line if end is line else line + b"\n").decode(errors="surrogateescape")
        yield text.removeprefix(mark)
        mark = ""


DELIMITERS = ",;\t"  # Spreadsheets write the second where the comma is the decimal point.
AS_UTF8 = (
    "Save the file again as UTF-8: in Excel with the file type CSV UTF-8, in LibreOffice with the "
    "character set UTF-8."
)
NEEDED = ("name", "message", "created_at")
TIMES = tuple(name for name in FIELDS if name.endswith("_at"))


def write_csv(file: TextIO, rows: Iterator[Mapping[str, str]]) -> None:
    """Write comments under a line of headings."""
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(FIELDS)
    writer.writerows([text_module.inert_cell(row[name]) for name in FIELDS] for row in rows)


def read_csv(file: BinaryIO, columns: Mapping[str, str], time_format: str | None = None) -> Iterator[FileRow]:
    """Yield the comments of a file; `columns` is field → heading, where the two differ.

    Raises Refused when a heading is missing, or when the quotes of a cell make no sense.
    """
    text = lines(file)
    delimiter, headings = _headings(next(text, ""))
    places = _places(headings, columns)
    # Exports of earlier programs lack some of the last fields.
    is_ours = len(headings) >= len(FIRST_FIELDS) and tuple(headings) == FIELDS[: len(headings)]
    plain = text_module.plain_cell if is_ours else str
    for line, cells in _cells(csv.reader(text, delimiter=delimiter, strict=True)):
        where, fields, problem = f"Line {line}", {}, None
        if len(cells) > len(headings):
            many = f"{len(cells)} cells for {len(headings)} headings"
            problem = f"it has {many}; is a quote missing?"
        elif any(map(NOT_UTF8.search, cells)):
            problem = "it is not UTF-8; save the file as CSV UTF-8"
        else:
            fields = {name: plain(cells[place]) for name, place in places.items() if place < len(cells)}
            for name in [name for name in TIMES if time_format and fields.get(name)]:
                try:
                    read = datetime.strptime(fields[name].strip(), str(time_format))
                except ValueError:
                    problem = f"its {name} is not written as {time_format}"
                    break
                fields[name] = clock.to_text(read if read.tzinfo else read.replace(tzinfo=UTC))
        yield FileRow(where, {} if problem else fields, problem=problem)


def _headings(line: str) -> tuple[str, list[str]]:
    """Return what stands between the cells, and the headings."""
    csv.field_size_limit(LINE_LIMIT)  # By default a cell of a tenth would end the reading.
    if NOT_UTF8.search(line):
        raise Refused(f"Line 1, with the headings, is not UTF-8. {AS_UTF8}")
    try:
        cells = {one: next(csv.reader([line], delimiter=one), []) for one in DELIMITERS}
    except csv.Error as error:
        raise Refused(f"Line 1 is not CSV: {error}. Save the file as CSV UTF-8.") from None
    delimiter = max(DELIMITERS, key=lambda one: len(cells[one]))
    return delimiter, [one.strip() for one in cells[delimiter]]


def _cells(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with its first line; the headings were line 1."""
    line = 2
    try:
        for cells in reader:
            if any(cells):
                yield line, cells
            line = reader.line_num + 2
    except csv.Error as error:
        raise Refused(f"Line {line} is not CSV: {error}. The rest of the file was not read.") from None


def _places(headings: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return where each field stands in a row; raises Refused."""
    there = ", ".join(headings)
    for heading in columns.values():
        if heading not in headings:
            raise Refused(f"The file has no column {heading}. Its columns are {there}.")
    places = {name: headings.index(at) for name in FIELDS if (at := columns.get(name, name)) in headings}
    if missing := [f"--map {name}=COLUMN" for name in NEEDED if name not in places]:
        raise Refused(
            f"Say which columns hold what, with {' '.join(missing)}. The file's columns are {there}."
        )
    return places


# The objects inside the object: name → key in it → field.
INNER_OBJECTS = {"reply": {"message": "reply", "created_at": "reply_created_at"}, "origin": ORIGIN_FIELDS}
INNER_FIELDS = {one for inner in INNER_OBJECTS.values() for one in inner.values()}


def json_line(fields: Mapping[str, str]) -> str:
    """Return the line of a comment."""
    document: dict[str, Any] = {name: fields[name] or None for name in FIELDS if name not in INNER_FIELDS}
    for name, inner in INNER_OBJECTS.items():
        values = {key: fields[one] or None for key, one in inner.items()}
        document[name] = values if any(values.values()) else None
    document |= {name: int(fields[name]) if fields[name] else None for name in WHOLE_NUMBERS}
    return json.dumps(document, ensure_ascii=False) + "\n"


def read_json_lines(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments of a file; other keys of its objects are ignored."""
    for number, text in enumerate(lines(file), 1):
        if text.strip():
            try:
                yield FileRow(f"Line {number}", _json_fields(text))
            except TypeError as error:
                yield FileRow(f"Line {number}", problem=str(error))


def json_object(text: str) -> dict[str, Any]:
    """Return the object of a line; raises TypeError with a sentence."""
    if len(text) > LINE_LIMIT / 4 and len(text.encode(errors="surrogateescape")) > LINE_LIMIT:
        raise TypeError(f"it has more than {LINE_LIMIT:,} bytes")
    if NOT_UTF8.search(text):
        raise TypeError("it is not UTF-8")
    try:
        # A number with more digits is too large, and Python may refuse to read it.
        document = json.loads(text, parse_int=lambda digits: int(digits[:20]))
    except (ValueError, RecursionError):
        raise TypeError("it is not JSON") from None
    if not isinstance(document, dict):
        raise TypeError("it is not a JSON object")
    return document


def _json_fields(text: str) -> dict[str, str]:
    """Return the fields of a comment; raises TypeError with a sentence."""
    document = json_object(text)
    fields = {name: _json_text(document, name) for name in FIELDS if name not in INNER_FIELDS}
    for name, inner in INNER_OBJECTS.items():
        nested = document.get(name) or {}
        if not isinstance(nested, dict):
            raise TypeError(f"its {name} is not an object")
        fields |= {one: _json_text(nested, key) for key, one in inner.items()}
    return fields


def _json_text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if name in WHOLE_NUMBERS and type(value) is int:
        return str(value)
    if not isinstance(value, str | None):
        raise TypeError(f"its {name} is not text")
    return value or ""
