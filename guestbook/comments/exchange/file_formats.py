"""Comments in files, as text: a row, CSV (RFC 4180) that is safe in a spreadsheet, and JSON lines."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, TextIO

from guestbook.lib import clock
from guestbook.lib import text as text_module
from guestbook.lib.errors import Refused
from guestbook.storage.comment_fields import COMMENT_FIELDS

# In the order of the CSV's columns; those that were added later stand at the end. An empty text is none.
FIRST_FIELDS = (
    *("id", "name", "website", "message", "place", "note", "status", "reason", "reasons", "created_at"),
    *("announced_at", "edited_at", "number", "reply", "reply_created_at"),
    *("origin_name", "origin_url", "origin_told_at"),
)
LATER_FIELDS = ("last_sequence", "origin_source_id")
FIELDS = (*FIRST_FIELDS, *LATER_FIELDS, *(name for name in COMMENT_FIELDS if name not in FIRST_FIELDS))
WHOLE_NUMBERS = ("number", "last_sequence")
LINE_LIMIT = 1_000_000  # bytes; the longest comment with its reply takes a tenth of it
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # `lines` decodes such bytes so.


@dataclass(frozen=True, slots=True)
class FileRow:
    """A comment in a file."""

    where: str  # such as `Line 7`
    fields: Mapping[str, str] = field(default_factory=dict)  # some of FIELDS
    key: str | None = None  # what it is called where it comes from; None for what its content says
    number: int = 0  # its place among the others of the same millisecond
    parent: int = 0  # the number of the comment that it answers, if the program has threads
    is_owners: bool = False  # A published comment of the owner may be a reply.
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
    csv.field_size_limit(LINE_LIMIT)  # By default a cell of a tenth would end the reading.
    first = next(text, "")
    if NOT_UTF8.search(first):
        raise Refused(f"Line 1, with the headings, is not UTF-8. {AS_UTF8}")
    try:
        delimiter = max(DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
        headings = [one.strip() for one in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise Refused(f"Line 1 is not CSV: {error}. Save the file as CSV UTF-8.") from None
    places = _places(headings, columns)
    # Exports of earlier programs lack some of the last fields.
    is_ours = len(headings) >= len(FIRST_FIELDS) and tuple(headings) == FIELDS[: len(headings)]
    for line, cells in _cells(csv.reader(text, delimiter=delimiter, strict=True)):
        where = f"Line {line}"
        if len(cells) > len(headings):
            many = f"{len(cells)} cells for {len(headings)} headings"
            yield FileRow(where, problem=f"it has {many}; is a quote missing?")
        elif any(map(NOT_UTF8.search, cells)):
            yield FileRow(where, problem="it is not UTF-8; save the file as CSV UTF-8")
        else:
            values = {name: cells[place] for name, place in places.items() if place < len(cells)}
            yield _csv_row(
                where, values, plain=text_module.plain_cell if is_ours else str, time_format=time_format
            )


def _cells(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with its first line; the headings were line 1."""
    while True:
        line = reader.line_num + 2
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Refused(f"Line {line} is not CSV: {error}. The rest of the file was not read.") from None
        if cells is None:
            return
        if any(cells):
            yield line, cells


def _csv_row(
    where: str, values: Mapping[str, str], *, plain: Callable[[str], str], time_format: str | None
) -> FileRow:
    fields = {name: plain(cell) for name, cell in values.items()}
    if time_format:
        for name in [name for name in TIMES if fields.get(name)]:
            try:
                fields[name] = _in_iso(fields[name], time_format)
            except ValueError:
                return FileRow(where, problem=f"its {name} is not written as {time_format}")
    return FileRow(where, fields)


def _places(headings: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return where each field stands in a row; raises Refused."""
    named = {name: columns.get(name, name) for name in FIELDS}
    there = ", ".join(headings)
    for heading in columns.values():
        if heading not in headings:
            raise Refused(f"The file has no column {heading}. Its columns are {there}.")
    missing = [name for name in NEEDED if named[name] not in headings]
    if missing:
        example = " ".join(f"--map {name}=COLUMN" for name in missing)
        raise Refused(f"Say which columns hold what, with {example}. The file's columns are {there}.")
    return {name: headings.index(heading) for name, heading in named.items() if heading in headings}


def _in_iso(text: str, time_format: str) -> str:
    read = datetime.strptime(text.strip(), time_format)
    return clock.to_text(read if read.tzinfo else read.replace(tzinfo=UTC))


# The objects inside the object: name → key in it → field.
INNER_OBJECTS = {
    "reply": {"message": "reply", "created_at": "reply_created_at"},
    "origin": {
        **{"name": "origin_name", "url": "origin_url", "told_at": "origin_told_at"},
        "source_id": "origin_source_id",
    },
}
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
            yield _json_row(f"Line {number}", text)


def _json_row(where: str, text: str) -> FileRow:
    if len(text) > LINE_LIMIT / 4 and len(text.encode(errors="surrogateescape")) > LINE_LIMIT:
        return FileRow(where, problem=f"it has more than {LINE_LIMIT:,} bytes")
    if NOT_UTF8.search(text):
        return FileRow(where, problem="it is not UTF-8")
    try:
        document = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return FileRow(where, problem="it is not JSON")
    if not isinstance(document, dict):
        return FileRow(where, problem="it is not a JSON object")
    try:
        return FileRow(where, _fields(document))
    except TypeError as error:
        return FileRow(where, problem=str(error))


def _whole(digits: str) -> int:
    return int(digits[:20])  # More digits are too large, and Python may refuse to read them.


def _fields(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of an object; raises TypeError with a sentence."""
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
