"""Comments of Isso's database: https://isso-comments.de/docs/."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

from guestbook.comments.exchange import web_page
from guestbook.comments.exchange.file_row import FileRow
from guestbook.lib import clock
from guestbook.lib.errors import Refused

MODES = {1: "published", 2: "held"}  # 4 is a deleted one, which has no words and is kept for its replies
# Never the e-mail or the IP address, which this book does not store.
ISSO_COMMENTS = """
    SELECT comments.id, threads.uri, comments.created, comments.mode, comments.author, comments.website,
        comments.text
    FROM comments JOIN threads ON threads.id = comments.tid ORDER BY comments.id
"""


def count(path: Path) -> int:
    """Return how many rows there are; raises Refused."""
    with closing(_opened(path)) as connection:
        try:
            found: int = connection.execute(f"SELECT count(*) FROM ({ISSO_COMMENTS})").fetchone()[0]
        except sqlite3.Error as error:
            raise Refused(f"{path} is not a database of Isso: {error}.") from None
        return found


def read(path: Path, page: str | None) -> Iterator[FileRow]:
    """Yield the comments, of all pages or one; raises Refused."""
    with closing(_opened(path)) as connection:
        try:
            for row in connection.execute(ISSO_COMMENTS):
                if row[3] in MODES and web_page.is_wanted(str(row[1]), page):
                    yield _row(*row)
        except sqlite3.Error as error:
            raise Refused(f"{path} cannot be read: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda stored: stored.decode(errors="replace")
    return connection


def _row(number: int, uri: object, created: object, mode: int, *words: object) -> FileRow:
    where = f"Comment {number}"
    try:
        moment = datetime.fromtimestamp(float(str(created)), UTC)
    except (ValueError, OverflowError, OSError):
        return FileRow(where, problem="its time is not a number of seconds")
    author, website, text = ("" if one is None else str(one) for one in words)
    fields = {
        "name": unescape(author) or web_page.ANONYMOUS,  # Isso escapes both when it stores them
        "website": unescape(website),
        "message": text,  # as it was typed, in Markdown
        "status": MODES[mode],
        "created_at": clock.to_text(moment),
    }
    return FileRow(where, fields, key=f"isso {uri} {number}", number=number)
