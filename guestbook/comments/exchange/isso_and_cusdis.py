"""The databases of Isso and Cusdis: files of SQLite, and of Cusdis also a plain dump of PostgreSQL."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from guestbook.comments.exchange import file_formats
from guestbook.comments.exchange.file_formats import LINE_LIMIT, NOT_UTF8, FileRow
from guestbook.lib import clock, ids, parse_html
from guestbook.lib.errors import Refused

# Never the IP address. The e-mail address only tells who the owner is: this book does not store it.
QUERIES = {
    "isso": """
        SELECT comments.id, threads.uri, comments.created, comments.mode, comments.parent, comments.email,
            comments.author, comments.website, comments.text
        FROM comments JOIN threads ON threads.id = comments.tid ORDER BY comments.id
    """,
    "cusdis": """
        SELECT comments.id, coalesce(pages.url, pages.slug), comments.created_at, deletedAt, moderatorId,
            approved, parentId, by_email, by_nickname, content
        FROM comments LEFT JOIN pages ON pages.id = pageId ORDER BY comments.created_at, comments.id
    """,
}
VIEWS = "SELECT name FROM sqlite_master WHERE name IN ('comments', 'threads', 'pages') AND type <> 'table'"


def kind_of(path: Path) -> str:
    """Return cusdis or isso, whose reader says what is wrong with any other file."""
    with closing(_opened(path)) as connection, suppress(sqlite3.Error, UnicodeError):
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pages'").fetchone():
            return "cusdis"
    return "isso"


def count_rows(path: Path, kind: str) -> int:
    """Return how many rows there are; raises Refused."""
    with closing(_opened(path)) as connection:
        try:
            views = connection.execute(VIEWS).fetchall()
            if views:  # A view may compute rows without an end.
                raise Refused(f"{path} is not a database of {kind.title()}: {views[0][0]} is not a table.")
            found: int = connection.execute(f"SELECT count(*) FROM ({QUERIES[kind]})").fetchone()[0]
        except (sqlite3.Error, UnicodeError) as error:
            raise Refused(f"{path} is not a database of {kind.title()}: {error}.") from None
        return found


def read_database(path: Path, kind: str) -> Iterator[FileRow]:
    """Yield the comments; raises Refused."""
    with closing(_opened(path)) as connection:
        try:
            yield from filter(None, (ROWS[kind](*row) for row in connection.execute(QUERIES[kind])))
        except (sqlite3.Error, UnicodeError) as error:
            raise Refused(f"{path} cannot be read: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LINE_LIMIT)
    connection.text_factory = lambda stored: stored.decode(errors="replace")
    return connection


MODES = {1: "published", 2: "held"}  # 4 is a deleted one, which has no words and is kept for its replies


def _isso_row(
    number: object, uri: object, created: object, mode: int, parent: object, *words: object
) -> FileRow | None:
    where, page = f"Comment {number}", str(uri)
    if mode not in MODES:
        return None
    try:
        at = clock.to_text(datetime.fromtimestamp(float(str(created)), UTC))
    except (ValueError, OverflowError, OSError):
        return FileRow(where, page=page, problem="its time is not a number of seconds")
    email, author, website, text = ("" if one is None else str(one) for one in words)
    # Isso escapes these two when it stores them. The text stays in Markdown.
    name, website = parse_html.unescaped(author), parse_html.unescaped(website)
    fields = {"name": name, "website": website, "message": text, "status": MODES[mode], "created_at": at}
    key, place = f"isso {uri} {number}", number if isinstance(number, int) else 0
    return FileRow(where, fields, key, place, f"isso {uri} {parent}", page, authors=(email, name))


def _cusdis_row(
    number: object, page: object, created: object, deleted: object, moderator: object, *others: object
) -> FileRow:
    approved, parent, email, name, text = ("" if one is None else str(one) for one in others)
    status = "trash" if deleted else "published" if approved in ("1", "t") else "held"
    at = str(created)
    # SQLite has milliseconds since 1970, and may have a text in UTC as PostgreSQL has it. Others are refused.
    with suppress(ValueError, OverflowError):
        moment = ids.EPOCH + timedelta(milliseconds=created) if isinstance(created, int) else None
        at = clock.to_text(moment or clock.from_text(at))
    fields = {"name": name, "message": text, "status": status, "created_at": at}
    where, key, above, address = f"Comment {number}", f"cusdis {number}", f"cusdis {parent}", str(page or "")
    return FileRow(where, fields, key, 0, above, address, (email, name), bool(moderator))


ROWS: dict[str, Callable[..., FileRow | None]] = {"isso": _isso_row, "cusdis": _cusdis_row}
DUMPED = {
    "comments": "id pageId created_at deletedAt moderatorId approved parentId by_email by_nickname content",
    "pages": "id url slug",
}
COPY = re.compile(r'COPY (?:"?\w+"?\.)?"?(\w+)"? \((.*)\) FROM stdin;')
ENCODING = re.compile(r"SET client_encoding = '(?!UTF-?8')")
ESCAPED = re.compile(r"\\(.)")
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def read_dump(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments of a dump of Cusdis; raises Refused."""
    # The pages come after their comments. So both go through a file that SQLite deletes in the end.
    with closing(sqlite3.connect("")) as connection:
        for table, columns in DUMPED.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns.split())})")
        try:
            for table, values in _dumped_rows(file_formats.lines(file)):
                connection.execute(f"INSERT INTO {table} VALUES (?{', ?' * (len(values) - 1)})", values)
        finally:  # What came before a fault is good.
            yield from (_cusdis_row(*row) for row in connection.execute(QUERIES["cusdis"]))


def _dumped_rows(text: Iterator[str]) -> Iterator[tuple[str, list[str | None]]]:
    """Yield each row with the name of its table; raises Refused."""
    missing, is_complete = set(DUMPED), False
    for line in text:
        is_complete |= line.startswith("-- PostgreSQL database") and "dump complete" in line
        if ENCODING.match(line):
            raise Refused("The dump is not in UTF-8. Make it again with pg_dump --encoding=UTF8.")
        if found := COPY.match(line):
            missing.discard(found[1])
            there, wanted = found[2].replace('"', "").split(", "), DUMPED.get(found[1], "").split()
            if lacking := [name for name in wanted if name not in there]:
                raise Refused(f"The dump is not one of Cusdis: {found[1]} has no column {lacking[0]}.")
            places = [there.index(name) for name in wanted]
            while (line := next(text, r"\.").rstrip("\r\n")) != r"\.":
                if places:  # Rows of other tables are skipped, whatever their words look like.
                    cells = dict(enumerate(map(_value, line.split("\t"))))
                    yield found[1], [cells.get(place) for place in places]
    if "comments" in missing:
        raise Refused("The dump has no COPY of a table comments. Make it with pg_dump, without --inserts.")
    if not is_complete:
        raise Refused("The dump has no end. The rest of it is missing.")


def _value(cell: str) -> str | None:
    """Return what a cell of COPY stands for; bytes that are not UTF-8 become a mark."""
    text = ESCAPED.sub(lambda found: ESCAPES.get(found[1], found[1]), cell)
    return None if cell == r"\N" else NOT_UTF8.sub("\ufffd", text)
