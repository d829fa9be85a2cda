"""Comments of Isso's database: https://isso-comments.de/docs/."""

import sqlite3
from collections.abc import Iterator, Set
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from guestbook.comments.exchange import answers, web_page
from guestbook.comments.exchange.file_row import LINE_LIMIT, FileRow
from guestbook.lib import clock, html_text
from guestbook.lib.errors import Refused

MODES = {1: "published", 2: "held"}  # 4 is a deleted one, which has no words and is kept for its replies
# Never the IP address. The e-mail address only tells who the owner is: this book does not store it.
ISSO_COMMENTS = """
    SELECT comments.id, threads.uri, comments.created, comments.mode, comments.parent, comments.email,
        comments.author, comments.website, comments.text
    FROM comments JOIN threads ON threads.id = comments.tid ORDER BY comments.id
"""
OTHER_KINDS = "SELECT name FROM sqlite_master WHERE name IN ('comments', 'threads') AND type <> 'table'"


def count(path: Path) -> int:
    """Return how many rows there are; raises Refused."""
    with closing(_opened(path)) as connection:
        try:
            views = connection.execute(OTHER_KINDS).fetchall()
            if views:  # one may compute rows without an end
                raise Refused(f"{path} is not a database of Isso: {views[0][0]} is not a table.")
            found: int = connection.execute(f"SELECT count(*) FROM ({ISSO_COMMENTS})").fetchone()[0]
        except sqlite3.Error as error:
            raise Refused(f"{path} is not a database of Isso: {error}.") from None
        return found


def read(path: Path, page: str | None, owners: Set[str] = frozenset()) -> Iterator[FileRow]:
    """Yield the comments, of all pages or one; raises Refused.

    Isso does not know who its owner is: `owners` are names and e-mail addresses, in lower case.
    """
    with closing(_opened(path)) as connection:
        try:
            rows = connection.execute(ISSO_COMMENTS)
            wanted = (row for row in rows if row[3] in MODES and web_page.is_wanted(str(row[1]), page))
            yield from answers.placed(_row(owners, *row) for row in wanted)
        except sqlite3.Error as error:
            raise Refused(f"{path} cannot be read: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LINE_LIMIT)
    connection.text_factory = lambda stored: stored.decode(errors="replace")
    return connection


def _row(
    owners: Set[str], number: object, uri: object, created: object, mode: int, parent: object, *words: object
) -> FileRow:
    where = f"Comment {number}"
    try:
        moment = datetime.fromtimestamp(float(str(created)), UTC)
    except (ValueError, OverflowError, OSError):
        return FileRow(where, problem="its time is not a number of seconds")
    email, author, website, text = ("" if one is None else str(one) for one in words)
    author = html_text.unescaped(author)  # Isso escapes it and the website when it stores them
    fields = {
        "name": author or web_page.ANONYMOUS,
        "website": html_text.unescaped(website),
        "message": text,  # as it was typed, in Markdown
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
