"""The numbers of comments: the place of each in the order of signing.

The last number is a row among the settings. A transaction that gives a number locks this row until its end,
so no two comments get the same one. A number stays with its comment; an erased comment leaves a gap.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.orm import Session

from guestbook.storage import upsert
from guestbook.storage.models import Comment, Setting

LAST_NUMBER = "last_number"  # the name of the row
SETTINGS = Setting.__table__
# Made once, because each comment runs them.
_LAST = select(SETTINGS.c.value).where(SETTINGS.c.name == LAST_NUMBER).with_for_update()
_SET_LAST = update(SETTINGS).where(SETTINGS.c.name == LAST_NUMBER).values(value=bindparam("number"))
HIGHEST_IMPORTED = 1_000_000_000  # of a file: the book must be able to go on counting behind it


def give(session: Session, comments: Sequence[Comment]) -> None:
    """Number those that stand in the book or wait to, in this order, unless they have a number.

    Spam gets one when the owner takes it out: it must not count among the visitors.
    """
    fresh = [comment for comment in comments if comment.is_known and comment.number is None]
    if fresh:
        connection = session.connection()
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
    last = connection.scalar(_LAST)
    if last is None:
        highest = connection.scalar(select(func.max(Comment.number))) or 0
        upsert.insert_missing(connection, Setting, name=LAST_NUMBER, value=str(highest))
        last = connection.scalar(_LAST)
    return int(last or 0)


def _set_last(connection: Connection, number: int) -> None:
    connection.execute(_SET_LAST, {"number": str(number)})
