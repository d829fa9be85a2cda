"""The numbers of comments: the place of each in the order of signing.

The last number is a row among the settings. A transaction that gives a number locks this row until its end,
so no two comments get the same one. A number stays with its comment; an erased comment leaves a gap.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from guestbook.storage import plain_statement, upsert
from guestbook.storage.models import Comment, Setting

LAST_NUMBER = "last_number"  # the name of the row
LOCKED_LAST = f"SELECT value FROM settings WHERE name = '{LAST_NUMBER}'{plain_statement.FOR_UPDATE}"
SET_LAST = f"UPDATE settings SET value = :number WHERE name = '{LAST_NUMBER}'"
HIGHEST_IMPORTED = 1_000_000_000  # of a file: the book must be able to go on counting behind it


def give(connection: Connection, comments: Sequence[Comment]) -> None:
    """Number those that stand in the book or wait to, in this order, unless they have a number.

    Spam gets one when the owner takes it out: it must not count among the visitors.
    """
    fresh = [comment for comment in comments if comment.is_known and comment.number is None]
    if fresh:
        last = _locked_last(connection)
        for number, comment in enumerate(fresh, last + 1):
            comment.number = number
        _set_last(connection, last + len(fresh))


def keep(session: Session, comments: Sequence[Comment]) -> None:
    """Let the comments of a file keep their numbers, but for those that the book has given to others."""
    given = [comment.number for comment in comments if comment.number is not None]
    if not given:
        return
    connection = session.connection()
    last = _locked_last(connection)
    taken = set(session.scalars(select(Comment.number).where(Comment.number.in_(given))))
    for comment in comments:
        if comment.number in taken:
            comment.number = None
        taken.add(comment.number)
    _set_last(connection, max(last, *given))


def _locked_last(connection: Connection) -> int:
    """Return the last number that was given; others wait for this transaction."""
    found = plain_statement.run(connection, LOCKED_LAST)
    if not found:
        highest = connection.scalar(select(func.max(Comment.number))) or 0
        upsert.insert_missing(connection, Setting, name=LAST_NUMBER, value=str(highest))
        found = plain_statement.run(connection, LOCKED_LAST)
    return int(found[0][0] or 0) if found else 0


def _set_last(connection: Connection, number: int) -> None:
    plain_statement.run(connection, SET_LAST, number=str(number))
