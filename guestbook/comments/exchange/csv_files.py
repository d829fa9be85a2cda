"""Comments as CSV, RFC 4180, safe to open in a spreadsheet; and CSV of others, with a map of its columns."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, TextIO

from guestbook.comments.exchange.file_row import FIELDS, FORMER_FIELDS, LINE_LIMIT, NOT_UTF8, FileRow, lines
from guestbook.lib import clock, spreadsheet
from guestbook.lib.errors import Refused

DELIMITERS = ",;\t"  # the second is what spreadsheets write where the comma is the decimal point
AS_UTF8 = (
    "Save the file again as UTF-8: in Excel with the file type CSV UTF-8, in LibreOffice with the "
    "character set UTF-8."
)
NEEDED = ("name", "message", "created_at")
TIMES = tuple(name for name in FIELDS if name.endswith("_at"))


def write(file: TextIO, rows: Iterator[Mapping[str, str]]) -> None:
    """Write comments under a line of headings."""
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(FIELDS)
    writer.writerows([spreadsheet.inert(row[name]) for name in FIELDS] for row in rows)


def read(file: BinaryIO, columns: Mapping[str, str], time_format: str | None = None) -> Iterator[FileRow]:
    """Yield the comments of a file; `columns` is field → heading, where the two differ.

    Raises Refused when a heading is missing, or when the quotes of a cell make no sense.
    """
    text = lines(file)
    csv.field_size_limit(LINE_LIMIT)  # by default a longer cell than a tenth of it would end the reading
    first = next(text, "")
    if NOT_UTF8.search(first):
        raise Refused(f"Line 1, with the headings, is not UTF-8. {AS_UTF8}")
    try:
        delimiter = max(DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
        headings = [one.strip() for one in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise Refused(f"Line 1 is not CSV: {error}. Save the file as CSV UTF-8.") from None
    places = _places(headings, columns)
    is_ours = tuple(headings) in (FIELDS, *FORMER_FIELDS)
    for line, cells in _cells(csv.reader(text, delimiter=delimiter, strict=True)):
        where = f"Line {line}"
        if len(cells) > len(headings):
            many = f"{len(cells)} cells for {len(headings)} headings"
            yield FileRow(where, problem=f"it has {many}; is a quote missing?")
        elif any(map(NOT_UTF8.search, cells)):
            yield FileRow(where, problem="it is not UTF-8; save the file as CSV UTF-8")
        else:
            values = {name: cells[place] for name, place in places.items() if place < len(cells)}
            yield _row(where, values, plain=spreadsheet.plain if is_ours else str, time_format=time_format)


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


def _row(
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
