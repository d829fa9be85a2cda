"""One comment of a file, as text: what all readers give and all writers take."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

# In the order of the CSV's columns. An empty text stands for none.
FIELDS = (
    *("id", "name", "website", "message", "place", "note", "status", "reason", "reasons", "created_at"),
    *("announced_at", "edited_at", "number", "reply", "reply_created_at"),
    *("origin_name", "origin_url", "origin_told_at"),
    *("last_sequence", "origin_source_id"),
)
FORMER_FIELDS = (FIELDS[:-2], FIELDS[:-1])  # of exports before a field was added
WHOLE_NUMBERS = ("number", "last_sequence")
LINE_LIMIT = 1_000_000  # bytes; the longest comment with its reply takes a tenth of it
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # as `lines` decodes such bytes


@dataclass(frozen=True, slots=True)
class FileRow:
    """A comment in a file."""

    where: str  # such as `Line 7`
    fields: Mapping[str, str] = field(default_factory=dict)  # some of FIELDS
    key: str | None = None  # what it is called where it comes from; None for what its content says
    number: int = 0  # its place among the others of the same millisecond
    parent: int = 0  # the number of the comment that it answers, if the program has threads
    is_owners: bool = False  # and may be a reply, because it is published
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
