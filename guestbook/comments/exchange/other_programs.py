"""A file to import from is opened: by its kind, with how far it was read. Threads become replies."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from io import BufferedReader
from itertools import chain, groupby
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from guestbook.comments.comment_actions import REPLIED_LIMIT, REPLY_LIMIT
from guestbook.comments.comment_form import MESSAGE_LIMIT
from guestbook.comments.exchange import (
    comentario_and_remark42,
    file_formats,
    isso_and_cusdis,
    wordpress_and_disqus,
)
from guestbook.comments.exchange.file_formats import NEEDED, FileRow
from guestbook.lib.errors import Refused
from guestbook.storage.backup import SQLITE_HEAD

# CSV needs its options, and Isso has a database. That of Cusdis may be a database too.
TEXTS = {
    "jsonl": file_formats.read_json_lines,
    "cusdis": isso_and_cusdis.read_dump,
    "wordpress": wordpress_and_disqus.read_wordpress,
    "disqus": wordpress_and_disqus.read_disqus,
    "comentario": comentario_and_remark42.read_comentario,
    "commento": comentario_and_remark42.read_comentario,
    "remark42": comentario_and_remark42.read_remark42,
}
OTHERS = ("isso", "cusdis", "wordpress", "disqus", "comentario", "commento", "remark42")
IMPORT_FORMATS = ("auto", "jsonl", "csv", *OTHERS)
READ = (
    "These files are read: JSON lines and CSV from `comments export`, any other CSV with --map, databases of "
    "Isso and Cusdis, and exports of WordPress (WXR), Disqus, Comentario, Commento and Remark42."
)
NO_COMMENTS = f"The file has no comment that can be read. {READ}"
BEGINNING = 1024  # bytes
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read a file."""

    kind: str = "auto"  # one of IMPORT_FORMATS
    columns: Mapping[str, str] = field(default_factory=dict)  # field → heading of a CSV file
    time_format: str | None = None  # the times of a CSV file, as strptime wants it
    owners: Set[str] = frozenset()  # names and e-mail addresses of another program, in lower case
    page: str | None = None  # the address or the path of the only page, for other programs


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
    with _unpacking(), file if path else nullcontext():
        packed = file.peek(len(GZIP)).startswith(GZIP)
        text = cast(BufferedReader, gzip.GzipFile(fileobj=file)) if packed else file
        start = text.peek(BEGINNING)[:BEGINNING]
        is_database = start.startswith(SQLITE_HEAD) and not packed
        kind = options.kind if options.kind != "auto" else _kind(start, path if is_database else None)
        if kind != "csv" and (options.columns or options.time_format):
            raise Refused(f"--map and --time-format are for CSV files, and this one is {kind}.")
        if kind not in OTHERS and (options.page or options.owners):
            raise Refused(f"--page and --owner are for files of other programs, and this one is {kind}.")
        if kind == "isso" or (kind == "cusdis" and is_database):
            if path is None or packed:
                raise Refused("A database cannot be read from standard input or packed. Name its file.")
            size, rows = isso_and_cusdis.count_rows(path, kind), isso_and_cusdis.read_database(path, kind)
            yield ImportFile(_as_replies(rows, kind, options), size, lambda done: done)
            return
        of_csv = partial(file_formats.read_csv, columns=options.columns, time_format=options.time_format)
        rows = _as_replies(TEXTS.get(kind, of_csv)(text), kind, options)
        yield ImportFile(rows, path.stat().st_size if path else 0, lambda _: file.tell() if path else 0)


@contextmanager
def _unpacking() -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Refused("The packed file is damaged or incomplete. Get it again.") from None


# The key after the version, or after the id in Remark42, tells who wrote a document.
JSON_OF_OTHERS = re.compile(
    rb'\{\s*(?:"version"\s*:\s*\d+\s*,\s*|"id"\s*:\s*"[^"]*"\s*,\s*)?"(users|pid|comments|commenters|pages)"\s*:'
)
JSON_KINDS = {b"users": "remark42", b"pid": "remark42", b"pages": "comentario"}


def _kind(start: bytes, database: Path | None) -> str:
    """Return what the file is by its first bytes, which stay unread; raises Refused for what is not read."""
    if start.startswith(UTF_16):
        raise Refused("The file is in UTF-16. Save it as UTF-8, such as CSV UTF-8.")
    if start.startswith(b"PGDMP"):
        raise Refused("The dump is in PostgreSQL's own format. Make a plain one: pg_restore -f dump.sql FILE")
    if start.startswith(SQLITE_HEAD):
        return isso_and_cusdis.kind_of(database) if database else "isso"
    if b"\0" in start:
        raise Refused("The file is not text. Unpack an archive first, and save a spreadsheet as CSV UTF-8.")
    words = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<(!doctype )?html", words, re.IGNORECASE):
        raise Refused("The file is a web page, perhaps of a login. Export the comments again.")
    if re.match(rb"<\?xml|<rss|<disqus|<!--", words):
        return "disqus" if re.search(rb"<disqus\s", words) else "wordpress"
    if re.match(rb"--|SET |\\restrict", words):
        if b"PostgreSQL database" not in words:
            raise Refused(f"The file is SQL, but not a plain dump of PostgreSQL. {READ}")
        return "cusdis"
    return _json_kind(words) if words.startswith((b"{", b"[")) or not words else "csv"


def _json_kind(words: bytes) -> str:
    line = words.partition(b"\n")[0].rstrip()
    if found := JSON_OF_OTHERS.match(words):
        return JSON_KINDS.get(found[1], "commento")
    is_ours = line.startswith(b"{") and any(f'"{name}"'.encode() in line for name in NEEDED)
    if is_ours or line in (b"", b"{}"):
        return "jsonl"
    raise Refused(f"The file is JSON of another kind. It begins with {str(words[:40])[1:]}. {READ}")


def _as_replies(rows: Iterator[FileRow], kind: str, options: ImportOptions) -> Iterator[FileRow]:
    """Yield the comments of all pages or of the wanted one, with the owner's answers as replies."""
    if kind not in OTHERS:
        return rows
    # WordPress writes page after page, so one page at a time is enough memory.
    pages = groupby(rows, lambda row: row.page if kind == "wordpress" else None)
    found = chain.from_iterable(placed(page, options.owners) for _, page in pages)
    return (row for row in found if options.page is None or _path(row.page) == _path(options.page))


def _path(address: str) -> str:
    try:
        parts = urlsplit(address.strip())
    except ValueError:  # The brackets are impossible.
        return address
    path = parts.path.strip("/")
    return f"{path}?{parts.query}" if parts.query else path


ANONYMOUS = "Anonymous"  # the name of a comment without any, which this book does not allow
OTHER_FIELDS = 4000  # bytes of a comment beside its message, at most


def placed(page: Iterable[FileRow], owners: Set[str] = frozenset()) -> Iterator[FileRow]:
    """Yield the comments of a page: an owner's answer is a comment's reply, any other names whom it answers.

    An owner's answer to that reply continues it. One that does not fit stays a comment of its own.
    """
    rows, fault = _in_order(page)
    places = {row.key: place for place, row in enumerate(rows) if row.key and not row.problem}
    targets: dict[int, int] = {}  # the place of an owner's answer → that of the comment whose reply it is
    replies: dict[int, dict[str, str]] = {}  # the fields of a comment's reply
    for place, row in enumerate(rows):
        parent = places.get(row.parent, place)
        target = targets.get(parent, parent)
        if (
            target < place
            and _is_owners(row, owners)
            and (reply := _replied(rows[target], replies.get(target), row))
        ):
            targets[place], replies[target] = target, reply
    for place, row in enumerate(rows):
        parent = places.get(row.parent, place)
        fields = {**row.fields, **replies.get(place, {})}
        if parent < place and not row.problem:
            message = f"@{' '.join(rows[parent].fields['name'].split())}:\n{fields['message']}"
            fields["message"] = message if len(message) <= MESSAGE_LIMIT else fields["message"]
        if place not in targets:
            yield replace(row, fields=fields)
    if fault:
        raise fault


def _in_order(page: Iterable[FileRow]) -> tuple[list[FileRow], Refused | None]:
    """Return the comments by their numbers or else by time, and why the rest cannot be read."""
    rows: list[FileRow] = []
    fault = None
    try:
        for row in page:
            name = row.fields.get("name", "").strip() or ANONYMOUS
            rows.append(row if row.problem else replace(row, fields={**row.fields, "name": name}))
    except Refused as error:  # What came before it is good.
        fault = error
    return sorted(rows, key=lambda row: (row.number, row.fields.get("created_at", ""))), fault


def _is_owners(row: FileRow, owners: Set[str]) -> bool:
    """Whether the owner wrote it; only a published one may be a reply."""
    names = {name.strip().lower() for name in row.authors}
    return row.fields.get("status") == "published" and (row.is_owners or not owners.isdisjoint(names))


def _replied(comment: FileRow, before: Mapping[str, str] | None, answer: FileRow) -> dict[str, str] | None:
    """Return the fields of the reply with one more answer; None if it does not fit."""
    message, at = answer.fields["message"], answer.fields["created_at"]
    if before:
        message, at = f"{before['reply']}\n\n{message}", before["reply_created_at"]
    both = json.dumps([comment.fields["message"], message], ensure_ascii=False)
    if len(message) > REPLY_LIMIT or len(both.encode(errors="replace")) > REPLIED_LIMIT - OTHER_FIELDS:
        return None
    return {"reply": message, "reply_created_at": at}
