"""A file to import from: what it is, its comments, and how far it has been read."""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from guestbook.comments.exchange import file_formats, other_programs
from guestbook.comments.exchange.file_formats import FileRow
from guestbook.lib.errors import Refused
from guestbook.storage.backup_file import SQLITE_HEAD

IMPORT_FORMATS = ("auto", "jsonl", "csv", "isso", "wordpress")
NO_COMMENTS = (
    "The file has no comment that can be read. These files are read: JSON lines and CSV from "
    "`comments export`, any other CSV with --map, the database of Isso, and the export of WordPress (WXR)."
)
WITH_PAGES = ("isso", "wordpress")
BEGINNING = 1024  # bytes in which the kind of a file shows
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read a file."""

    kind: str = "auto"  # one of IMPORT_FORMATS
    columns: Mapping[str, str] = field(default_factory=dict)  # of a CSV file: field → heading
    time_format: str | None = None  # of a CSV file, as for strptime
    owners: Set[str] = frozenset()  # names and e-mail addresses of the owner, in lower case; for the same
    page: str | None = None  # of Isso and WordPress: the address or the path of the only page


@dataclass(frozen=True, slots=True)
class ImportFile:
    """An open file."""

    rows: Iterator[FileRow]
    size: int  # 0 if nobody knows
    position: Callable[[], int]  # how much of the size has been read


@contextmanager
def opened(path: Path | None, standard_input: BufferedReader, options: ImportOptions) -> Iterator[ImportFile]:
    """Open a file, or standard input for None; raises Refused for one that cannot be a list of comments."""
    if path is None:
        yield _text(standard_input, options, size=0)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror or error}.") from None
    with file:
        if _kind(file, options) == "isso":
            yield _database(path, options)
        else:
            yield _text(file, options, path.stat().st_size)


def _database(path: Path, options: ImportOptions) -> ImportFile:
    _refuse_unused(options, "isso")
    done = 0

    def counted() -> Iterator[FileRow]:
        nonlocal done
        for row in other_programs.read_isso(path, options.page, options.owners):
            done += 1
            yield row

    return ImportFile(counted(), other_programs.count_isso(path), lambda: done)


def _text(file: BufferedReader, options: ImportOptions, size: int) -> ImportFile:
    kind = _kind(file, options)
    _refuse_unused(options, kind)
    position = file.tell if size else lambda: 0
    if kind == "wordpress":
        return ImportFile(other_programs.read_wordpress(file, options.page, options.owners), size, position)
    if kind == "csv":
        return ImportFile(file_formats.read_csv(file, options.columns, options.time_format), size, position)
    if kind == "isso":
        raise Refused("A database cannot be read from standard input. Name its file.")
    return ImportFile(file_formats.read_json_lines(file), size, position)


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


def _refuse_unused(options: ImportOptions, kind: str) -> None:
    if kind != "csv" and (options.columns or options.time_format):
        raise Refused(f"--map and --time-format are for CSV files, and this one is {kind}.")
    if kind not in WITH_PAGES and (options.page or options.owners):
        raise Refused(f"--page and --owner are for {' and '.join(WITH_PAGES)}, and this file is {kind}.")
